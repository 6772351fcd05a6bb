"""Cedar: the engine that answers whether a policy allows a request.

cedarpy is imported when a policy is asked, so that no other function pays for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from governance.domain.errors import InvalidInputError
from governance.domain.explanations import EXPLANATIONS
from governance.domain.gates import Decision


class PolicyEngine:
    """A policy's rules, parsed once and asked often.

    InvalidInputError if Cedar cannot parse them, if they break their schema, or if a rule has no
    @id of its own or none that we could explain: what nobody understands decides nothing.
    """

    def __init__(self, cedar: str, schema: str) -> None:
        from cedarpy import PolicySet, Schema

        found = problems(cedar, schema)
        if found:
            said = "; ".join(f"{rule}: {reason}" if rule else reason for rule, reason in found)
            raise InvalidInputError(f"approvals.cedar is not valid: {said}")
        self._policies = PolicySet.from_str(cedar)
        self._schema = Schema.from_str(schema)
        self._rules = rules(cedar)

    def decide(self, request: Mapping[str, Any]) -> Decision:
        """Cedar's decision, with every rule that was asked and every rule that said no.

        InvalidInputError if Cedar could not evaluate the request or any policy: one that fails is
        skipped by Cedar, and a forbid that is skipped would allow.
        """
        from cedarpy import Decision as Answer
        from cedarpy import is_authorized

        answer = is_authorized(
            {key: request[key] for key in ("principal", "action", "resource", "context")},
            self._policies,
            list(request["entities"]),
            self._schema,
        )
        errors = answer.diagnostics.errors
        if errors or answer.decision is Answer.NoDecision:
            raise InvalidInputError(
                f"approvals.cedar cannot be evaluated for {request['action']['id']}: "
                f"{'; '.join(errors) or 'no decision'}"
            )
        action = request["action"]["id"]
        forbids = [rule for rule in self._rules if rule.forbids]
        said_no = set() if answer.allowed else set(answer.diagnostics.reasons)
        return Decision(
            allowed=answer.allowed,
            denied_by=tuple(rule.name for rule in forbids if rule.policy_id in said_no),
            rules=tuple(rule.name for rule in forbids if rule.is_asked_for(action)),
        )


@lru_cache(maxsize=8)
def engine(cedar: str, schema: str) -> PolicyEngine:
    """The engine for these rules, made once per process: warm functions ask it again and again."""
    return PolicyEngine(cedar, schema)


class Rule:
    """One policy of a set: the id that Cedar gave it, its own name, and what it is about."""

    def __init__(self, policy_id: str, parsed: Mapping[str, Any]) -> None:
        self.policy_id = policy_id
        self.name = str((parsed.get("annotations") or {}).get("id") or "")
        self.forbids = parsed["effect"] == "forbid"
        action = parsed["action"]
        named = [action["entity"]] if "entity" in action else action.get("entities", [])
        # A scope that names no action is about every action.
        self._actions = {entity["id"] for entity in named} if action["op"] != "All" else None

    def is_asked_for(self, action: str) -> bool:
        """True if its scope takes in the action."""
        return self._actions is None or action in self._actions


def rules(cedar: str) -> list[Rule]:
    """The policies of a set in the order of the text. ValueError if Cedar cannot parse it."""
    from cedarpy import policies_to_json_str

    parsed = json.loads(policies_to_json_str(cedar))["staticPolicies"]
    # Cedar numbers them as they come: policy0, policy1, ...
    ordered = sorted(parsed, key=lambda policy_id: int(policy_id.removeprefix("policy")))
    return [Rule(policy_id, parsed[policy_id]) for policy_id in ordered]


def problems(cedar: str, schema: str) -> list[tuple[str, str]]:
    """(rule, reason) of all that is wrong: syntax, types by the schema, names of the rules.

    The rule is "" where a problem is not one rule's.
    """
    from cedarpy import validate_policies

    answer = validate_policies(cedar, schema)
    names = answer.id_annotations_by_policy_id
    found = [
        (str(names.get(error.policy_id) or ""), error.error.removeprefix(_PREFIX % error.policy_id))
        for error in answer.errors
    ]
    return sorted(set(found)) or _misnamed(rules(cedar))


# What Cedar's messages begin with; the number of a policy says nothing to who reads it.
_PREFIX = "for policy `%s`, "


def _misnamed(found: list[Rule]) -> list[tuple[str, str]]:
    names = [rule.name for rule in found]
    nameless = [("", f"{rule.policy_id} has no @id") for rule in found if not rule.name]
    twice = {name for name in names if name and names.count(name) > 1}
    known = ", ".join(EXPLANATIONS)
    unexplained = [
        (rule.name, f"nothing explains this rule; known are {known}")
        for rule in found
        if rule.forbids and rule.name and rule.name not in EXPLANATIONS
    ]
    shared = [(name, "more than one policy has this @id") for name in sorted(twice)]
    return [*nameless, *shared, *unexplained]
