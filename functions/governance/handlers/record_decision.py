"""RecordDecision: what a person decided that starts no workflow, and still is a ledger entry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from governance.adapters import clock
from governance.adapters.candidates import Candidates
from governance.adapters.comparison import Recorded, compare_if_possible
from governance.adapters.directory import Directory
from governance.adapters.ledger import Writer
from governance.adapters.parts import Parts
from governance.adapters.registry import Registry
from governance.adapters.sessions import Sessions
from governance.domain import approval_events, decisions, ledger, parts
from governance.domain.identity import identity_of
from governance.entry import entry_point, logger
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Append the decision with who it was and why, once, however often the event comes.

    What the hub itself rejected is recorded by the workflow that did it, and ignored here.
    """
    decision = approval_events.decision(event, "record_decision")
    logger.append_keys(claim_id=decision["claim_id"])
    project = Directory(settings.project_directory_table).project_of(decision["model"])
    approval_events.check_account(decision, project, settings.registry_account_id)
    sessions = Sessions(settings, decision["claim_id"])
    in_dev = decision["stage"] == "Dev"
    registry = Registry(sessions.hub(decision["account"]) if in_dev else sessions.registry())
    ours = Writer(settings)
    recorded = Recorded(ours, decision["model"], decision["model_package_arn"])
    description = registry.describe(decision["model_package_arn"])
    current = approval_events.is_current(decision, description)
    # A later change has replaced who it was.
    by = identity_of(description.get("LastModifiedBy")) if current else None
    reason = approval_events.reason_of(event)
    story = list(ours.story(decision["model"], decision["model_package_arn"]))
    if _is_the_hubs(decision, by, reason, story):
        return {"outcome": "ignored"}
    before = ledger.phase(story)
    compared = _compared(decision, description, story, current, recorded)
    serves = _serves(decision, ours) if decision["kind"] == decisions.RETIRED else None
    objections = decisions.objections(decision, by, reason, before, compared, story, serves)
    recalled = decision["kind"] == decisions.RECALLED
    metadata = description.get("CustomerMetadataProperties") or {}
    recall = parts.recall_of(metadata) if recalled else None
    request = decisions.entry_request(decision, by, reason, compared, objections, recall)
    entry = ledger.entry(decision["kind"], request, recorded_at=clock.now())
    sequence = ours.append(entry)
    if recalled:
        # A version whose promotion ended before it was recorded is known by its registration alone.
        _close(entry, recall, entry.get("candidate_id") or metadata.get("candidate-id"))
    _show_again(decision, objections, registry, ours)
    return {"outcome": "recorded", "entry_id": entry["entry_id"], "sequence": sequence}


def _serves(decision: Mapping[str, Any], ours: Writer) -> Mapping[str, Any] | None:
    """The entry by which the version serves its model's endpoint; None if another does, or none."""
    newest = (next(ours.newest_first(decision["model"], kind), None) for kind in ledger.SERVES)
    found = [entry for entry in newest if entry is not None]
    arn = decision["model_package_arn"]
    if ledger.serving(found) != arn:
        return None
    return max(found, key=lambda entry: int(entry["sequence"]))


def _show_again(
    decision: Mapping[str, Any], objections: list[str], registry: Registry, ours: Writer
) -> None:
    """Let the registry show what the version is, and not what somebody said of it.

    Both are asked anew: a release may have come to its end while the version was compared, and
    what it has set since stays.
    """
    arn = decision["model_package_arn"]
    phase = ledger.phase(ours.story(decision["model"], arn))
    again = decisions.shows_again(decision["kind"], phase, objections)
    if again and approval_events.is_current(decision, registry.describe(arn)):
        registry.set_stage(arn, *again, f"After {decision['kind']}")


def _close(
    entry: Mapping[str, Any], recall: Mapping[str, str] | None, candidate_id: str | None
) -> None:
    """Close what was recalled for every other version: the bytes, or the part that was named."""
    if candidate_id is None:
        return
    known = Candidates(settings.candidates_table).find(candidate_id, entry["model"]) or {}
    made_of = known.get("parts") or [f"{parts.CANDIDATE}{candidate_id}"]
    mark = {key: entry[key] for key in ("model", "model_package_arn", "entry_id", "reason")}
    Parts(settings.parts_table).recall(
        parts.marked((recall or {}).get("of"), made_of),
        {
            **mark,
            "recalled_at": entry["decided_at"],
            "person": (entry.get("approver") or {}).get("person") or "",
        },
    )


def _is_the_hubs(
    decision: Mapping[str, Any],
    by: Mapping[str, Any] | None,
    reason: str,
    story: list[dict[str, Any]],
) -> bool:
    if decision["kind"] != "VersionRejected":
        return False
    said = {entry.get("verdict", {}).get("description") for entry in story}
    return approval_events.is_the_hubs(by, reason, settings.registry_role_name, said)


def _compared(
    decision: Mapping[str, Any],
    description: Mapping[str, Any],
    story: list[dict[str, Any]],
    current: bool,
    recorded: Recorded,
) -> dict[str, Any]:
    """What a decision rests on; a version that cannot be compared is one that does not count."""
    if not (current and decisions.is_weighed(decision["kind"])):
        return {"candidate": next((e for e in story if e.get("candidate_id")), None)}
    candidates = Candidates(settings.candidates_table)
    return compare_if_possible(decision, description, candidates, recorded)
