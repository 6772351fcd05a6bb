"""RecordPolicyChange: a policy that an Admin published for a model becomes a ledger entry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from governance.adapters import clock, items
from governance.adapters.ledger import Writer
from governance.adapters.lineage import Lineage
from governance.domain import ledger, policy_changes
from governance.entry import entry_point, logger
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Record the policy changes in a batch of the directory's stream, each once.

    A pin that no Admin answers for is logged and left alone: no gate accepts such a policy.
    """
    ours, lineage = Writer(settings), Lineage()
    outcomes = [
        _record(items.from_item(record["dynamodb"]["NewImage"]), ours, lineage)
        for record in event["Records"]
        if policy_changes.is_change(_image(record, "OldImage"), _image(record, "NewImage"))
    ]
    return {"outcomes": outcomes}


def _record(entry: Mapping[str, Any], ours: Writer, lineage: Lineage) -> str:
    action = lineage.find_action(entry["policy"]["change"])
    objection = policy_changes.objection(entry, action, settings.registry_account_id)
    if objection or action is None:
        logger.error("policy of model %s not recorded: %s", entry["model"], objection)
        return "refused"
    last = next(ours.newest_first(entry["model"], policy_changes.KIND), None)
    request = policy_changes.entry_request(entry, action, last)
    if last and last["claim_id"] == request["promotion"]["claim_id"]:
        return "recorded"
    ours.append(ledger.entry(policy_changes.KIND, request, recorded_at=clock.now()))
    return "recorded"


def _image(record: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    image = record["dynamodb"].get(name)
    return None if image is None else items.from_item(image)
