"""The engine: what cannot be evaluated is never allowed, and every name is the rule's own."""

from __future__ import annotations

from typing import Any

import pytest

from governance.adapters.policy_engine import PolicyEngine, problems, rules
from governance.domain import policy_request
from governance.domain.errors import InvalidInputError
from governance.domain.explanations import EXPLANATIONS
from governance.domain.facts import Facts
from tests.contracts import policies, samples

POLICY = policies.policy()
FACTS = Facts(
    stage="Prod",
    model_package_arn=samples.version_arn(),
    candidate_id=samples.CANDIDATE,
    approver={},
    trainer={},
    decision_current=True,
    approval={},
    asked_at="2026-11-21T06:00:00Z",
)


def _request() -> dict[str, Any]:
    return policy_request.request(FACTS, POLICY)


def test_each_forbid_has_the_name_of_an_explanation_and_each_permit_one_of_its_own() -> None:
    found = rules(POLICY.cedar)
    assert [rule.name for rule in found if rule.forbids] == list(
        dict.fromkeys(rule.name for rule in found if rule.forbids)
    )
    assert {rule.name for rule in found if rule.forbids} == set(EXPLANATIONS)
    assert [rule.name for rule in found if not rule.forbids] == [
        "dev_may_be_approved",
        "test_may_be_approved",
        "prod_may_be_approved",
        "prod_may_be_rolled_back",
    ]


def test_a_rules_name_is_the_one_that_cedar_itself_gives_it() -> None:
    """Cedar numbers policies as they come; its own map from number to @id agrees with ours."""
    from cedarpy import is_authorized

    request = _request()
    answer = is_authorized(
        {key: request[key] for key in ("principal", "action", "resource", "context")},
        POLICY.cedar,
        request["entities"],
        POLICY.schema,
    )
    ours = {rule.policy_id: rule.name for rule in rules(POLICY.cedar)}
    said = answer.diagnostics.id_annotations_by_reason
    assert len(said) > 5
    assert said == {policy_id: ours[policy_id] for policy_id in answer.diagnostics.reasons}


def test_the_policy_is_valid() -> None:
    assert problems(POLICY.cedar, POLICY.schema) == []


def test_a_forbid_that_fails_is_an_error_and_does_not_drop_out() -> None:
    """9223372036854775807 is the largest number; one more overflows."""
    cedar = (
        '@id("prod") permit (principal, action, resource);\n'
        '@id("policy_is_recorded") forbid (principal, action, resource)\n'
        "when { context.description_chars + 9223372036854775807 > 0 };"
    )
    engine = PolicyEngine(cedar, POLICY.schema)
    request = _request()
    request["context"]["description_chars"] = 1
    with pytest.raises(InvalidInputError, match=r"approve-Prod.*policy1.*overflow"):
        engine.decide(request)


def test_a_fact_of_the_wrong_type_is_an_error() -> None:
    request = _request()
    request["context"]["decision_current"] = "yes"
    with pytest.raises(InvalidInputError, match="decision_current"):
        PolicyEngine(POLICY.cedar, POLICY.schema).decide(request)


def test_a_missing_fact_is_an_error() -> None:
    request = _request()
    del request["context"]["tests_passed"]
    with pytest.raises(InvalidInputError, match="tests_passed"):
        PolicyEngine(POLICY.cedar, POLICY.schema).decide(request)


def test_an_action_that_the_schema_does_not_know_is_an_error() -> None:
    request = _request()
    request["action"]["id"] = "approve-Retired"
    with pytest.raises(InvalidInputError, match="approve-Retired"):
        PolicyEngine(POLICY.cedar, POLICY.schema).decide(request)


@pytest.mark.parametrize(
    ("cedar", "said"),
    [
        ("permit (principal, action", "Policy parse error"),
        ("permit (principal, action, resource);", "has no @id"),
        (POLICY.cedar.replace("decision_current };", "decision_curent };"), "decision_curent"),
        (
            POLICY.cedar + '@id("be_nice") forbid (principal, action, resource);',
            "be_nice: nothing explains this rule",
        ),
        (
            POLICY.cedar + '@id("policy_is_recorded") forbid (principal, action, resource);',
            "policy_is_recorded: more than one policy has this @id",
        ),
        # An optional fact that is read without asking whether it is there.
        (POLICY.cedar.replace("context has phase &&", ""), "unable to guarantee safety"),
    ],
)
def test_a_policy_that_is_not_understood_is_not_loaded(cedar: str, said: str) -> None:
    with pytest.raises(InvalidInputError, match=f"approvals.cedar is not valid: .*{said}"):
        PolicyEngine(cedar, POLICY.schema)
