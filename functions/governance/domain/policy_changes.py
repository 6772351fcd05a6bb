"""Policy changes: an Admin publishes a policy for a model, and the model's ledger says so.

The directory pins a model's policy by version and digest. Before that the Admin makes an action of
SageMaker's lineage that says which policy it is: SageMaker itself notes who made it, so the entry
names a person whom nobody could have made up. A pin without such an action is never recorded, and
a policy that is not recorded lets nothing pass (rule policy_is_recorded).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from governance.domain import claims
from governance.domain.identity import account_of, identity_of
from governance.domain.policies import PARTS, combined

KIND = "PolicyChanged"
WORKFLOW = "record_policy_change"
ACTION_TYPE = "GovernedPathPolicyChange"

Image = Mapping[str, Any] | None


def action_properties(model: str, digests: Mapping[str, str]) -> dict[str, str]:
    """What the Admin's action says: the model, the policy's digest and that of each part."""
    parts = {f"{part}-sha256": digests[part] for part in PARTS}
    return {"model": model, "policy-digest": combined(digests), **parts}


def pinned(entry: Image) -> Mapping[str, Any] | None:
    """The pins {cedar, schema, tier, change} of a directory entry; None if it has not all."""
    policy = (entry or {}).get("policy") or {}
    return policy if all(policy.get(name) for name in (*PARTS, "change")) else None


def is_change(before: Image, after: Image) -> bool:
    """True if a directory entry pins a policy that it did not pin before."""
    now = pinned(after)
    return now is not None and now != pinned(before)


def objection(entry: Mapping[str, Any], action: Image, central_account: str) -> str | None:
    """Why the pins of a directory entry are not what an Admin published; None if they are.

    `action` is DescribeAction's answer for the pins' `change`, None if there is no such action.
    """
    pins = pinned(entry) or {}
    if action is None or action.get("ActionType") != ACTION_TYPE:
        return f"{pins.get('change')} is no {ACTION_TYPE}"
    by = identity_of(action.get("CreatedBy"))
    if by["persona"] != "admin" or account_of(by["role_arn"]) != central_account:
        return f"{by['role_arn'] or 'nobody known'} is not the Admin of account {central_account}"
    if not by["person"]:
        return f"nothing tells who acted as {by['session_arn']}"
    says = action_properties(entry["model"], _digests(pins))
    given = action.get("Properties") or {}
    wrong = sorted(name for name, value in says.items() if given.get(name) != value)
    return f"{pins['change']} is about another {', '.join(wrong)}" if wrong else None


def entry_request(
    entry: Mapping[str, Any], action: Mapping[str, Any], last: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What ledger.entry needs for the change; `last` is the model's newest PolicyChanged.

    The entry is about the model as a whole, so it carries the ARN of its model package group.
    """
    pins = pinned(entry) or {}
    change = str(pins["change"])
    digests = _digests(pins)
    before = last["policy"]["after"] if last else None
    return {
        "promotion": {
            "model": entry["model"],
            "claim_id": hashlib.sha256(change.encode()).hexdigest(),
            "workflow": WORKFLOW,
            "decided_at": claims.decision_time(action["CreationTime"]),
            "model_package_arn": _group(change, entry["model"]),
        },
        "approver": identity_of(action.get("CreatedBy")),
        "policy": {
            "tier": entry["risk_tier"],
            "change": change,
            "before": before,
            "after": {"digest": combined(digests), **digests},
            "files": [
                {"part": part, **{key: pins[part][key] for key in ("uri", "version_id", "sha256")}}
                for part in PARTS
                if before is None or before[part] != digests[part]
            ],
        },
    }


def recorded(entries: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Mapping[str, Any]]]:
    """{digest: {cedar, schema, tier}} of the policies that a ledger's entries record.

    Each part is {part, uri, version_id, sha256}. An entry names the files that it changed; the
    others are those of the entries before.
    """
    places: dict[tuple[str, str], Mapping[str, Any]] = {}
    found = {}
    for entry in entries:
        if entry["kind"] != KIND:
            continue
        after = entry["policy"]["after"]
        places |= {(one["part"], one["sha256"]): one for one in entry["policy"]["files"]}
        found[str(after["digest"])] = {
            part: places[part, after[part]] for part in PARTS if (part, after[part]) in places
        }
    return found


def _digests(pins: Mapping[str, Any]) -> dict[str, str]:
    return {part: str((pins.get(part) or {}).get("sha256")) for part in PARTS}


def _group(change: str, model: str) -> str:
    """The ARN of the model's group, which is where the action is."""
    return f"{change.rpartition(':action/')[0]}:model-package-group/{model}"
