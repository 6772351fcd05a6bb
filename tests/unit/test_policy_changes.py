"""Only what an Admin said about the very policy that is pinned becomes a policy change."""

from __future__ import annotations

from typing import Any

import pytest

from governance.domain import dossiers, policy_changes
from governance.domain.policies import PARTS, combined, digests_of
from tests.contracts import samples
from tests.evidence import Republished

ENTRY = samples.project()
DIGESTS = {part: ENTRY["policy"][part]["sha256"] for part in PARTS}
ACTION = {
    "ActionType": policy_changes.ACTION_TYPE,
    "CreatedBy": samples.user("admin", "adam", samples.CENTRAL),
    "CreationTime": "2026-11-21T05:00:00.250000Z",
    "Properties": policy_changes.action_properties(samples.MODEL, DIGESTS),
}


def test_an_admins_word_about_the_pinned_policy_counts() -> None:
    assert policy_changes.objection(ENTRY, ACTION, samples.CENTRAL) is None


@pytest.mark.parametrize(
    ("action", "said"),
    [
        (None, "is no GovernedPathPolicyChange"),
        ({**ACTION, "ActionType": "ModelTraining"}, "is no GovernedPathPolicyChange"),
        (
            {**ACTION, "CreatedBy": samples.user("ai-engineer", "alex", samples.CENTRAL)},
            "is not the Admin of account 111122223333",
        ),
        ({**ACTION, "CreatedBy": samples.user("admin", "adam", samples.DEV)}, "is not the Admin"),
        ({**ACTION, "CreatedBy": None}, "nobody known is not the Admin"),
        (
            {**ACTION, "Properties": {**ACTION["Properties"], "tier-sha256": "0" * 64}},
            "is about another tier-sha256",
        ),
        ({**ACTION, "Properties": {**ACTION["Properties"], "model": "m"}}, "another model"),
        ({**ACTION, "Properties": None}, "is about another cedar-sha256, model"),
    ],
)
def test_anything_else_does_not(action: dict[str, Any] | None, said: str) -> None:
    assert said in str(policy_changes.objection(ENTRY, action, samples.CENTRAL))


def test_an_admin_whom_nothing_names_does_not() -> None:
    anonymous = samples.user("admin", "botocore-session-1", samples.CENTRAL)
    del anonymous["IamIdentity"]["SourceIdentity"]
    said = policy_changes.objection(ENTRY, {**ACTION, "CreatedBy": anonymous}, samples.CENTRAL)
    assert "nothing tells who" in str(said)


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        (None, ENTRY, True),
        (ENTRY, ENTRY, False),
        (ENTRY, {**ENTRY, "instance_count": 9}, False),
        (ENTRY, {**ENTRY, "policy": {**ENTRY["policy"], "change": "another"}}, True),
        (None, {**ENTRY, "policy": {"uri": "s3://b/k"}}, False),
        (ENTRY, None, False),
    ],
)
def test_a_change_is_another_pin(before: Any, after: Any, changes: bool) -> None:
    assert policy_changes.is_change(before, after) is changes


def test_the_entry_says_what_was_before_and_which_files_changed() -> None:
    first = policy_changes.entry_request(ENTRY, ACTION, None)
    assert first["promotion"]["decided_at"] == "2026-11-21T05:00:00Z"
    assert first["promotion"]["model_package_arn"].endswith(
        f":{samples.CENTRAL}:model-package-group/{samples.MODEL}"
    )
    assert first["policy"]["after"] == {"digest": combined(DIGESTS), **DIGESTS}
    assert [file["part"] for file in first["policy"]["files"]] == ["cedar", "schema", "tier"]
    older = {"policy": {"after": {"digest": "0" * 64, **DIGESTS, "tier": "1" * 64}}}
    second = policy_changes.entry_request(ENTRY, ACTION, older)
    assert second["policy"]["before"] == older["policy"]["after"]
    assert [file["part"] for file in second["policy"]["files"]] == ["tier"]


def test_the_digest_of_a_policy_is_of_all_its_parts() -> None:
    for part in PARTS:
        assert combined({**DIGESTS, part: "f" * 64}) != combined(DIGESTS)
    assert combined(dict(reversed(DIGESTS.items()))) == combined(DIGESTS)


def test_the_ledger_says_where_every_policy_that_was_ever_published_is() -> None:
    """The second entry names the tier alone: rules and schema are still those of the first."""
    evidence = Republished()
    entries = [one["predicate"]["entry"] for one in evidence.chain().statements]
    recorded = policy_changes.recorded(entries)
    assert recorded.keys() == {dossiers.policy_digest(one) for one in evidence.policies}
    for policy in evidence.policies:
        places = recorded[dossiers.policy_digest(policy)]
        assert {part: place["sha256"] for part, place in places.items()} == digests_of(policy)
    assert [len(e["policy"]["files"]) for e in entries if e["kind"] == "PolicyChanged"] == [3, 1]


def test_a_part_whose_place_no_entry_says_is_left_out() -> None:
    entries = [one["predicate"]["entry"] for one in Republished().chain().statements]
    (policy,) = policy_changes.recorded(entries[2:]).values()
    assert policy.keys() == {"tier"}
