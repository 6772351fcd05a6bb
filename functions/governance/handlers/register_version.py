"""RegisterVersion: the candidate becomes a version of the Central model, waiting for Test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from governance import contracts
from governance.adapters import clock, manifests
from governance.adapters.candidates import Candidates
from governance.adapters.comparison import differences_in_registry
from governance.adapters.parts import Parts
from governance.adapters.registry import Registry
from governance.adapters.sessions import Sessions
from governance.domain import registration
from governance.domain.candidate import differences
from governance.domain.errors import IntegrityError
from governance.entry import claim_of, entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Register the candidate once, however often it is approved in Dev.

    IntegrityError if Dev's version changed while it was copied, or Central's since it is there.
    """
    request = contracts.request("register_version", event)
    promotion, candidate = request["promotion"], request["candidate"]
    candidates = Candidates(settings.candidates_table)
    sessions = Sessions(settings, claim_of(request))
    known = candidates.find(candidate["candidate_id"], promotion["model"])
    if known is not None:
        changed = differences_in_registry(known, Registry(sessions.registry()))
        if changed:
            raise IntegrityError(
                f"candidate {known['candidate_id']} is {known['central_arn']} in Central, which no "
                f"gate would let pass: {_said(changed)}; put that back, or register a version in "
                "Dev whose card, SourceUri or objects are not all the same: a candidate is "
                "registered once"
            )
        return {"model_package_arn": known["central_arn"], "already_registered": True}
    description = Registry(sessions.hub(promotion["account"])).describe(
        promotion["model_package_arn"]
    )
    # A copy takes hours; what is registered now must be what was approved then.
    manifest = manifests.read(candidate["manifest_uri"], candidate["candidate_id"])
    changed = differences(manifest, description, candidate["objects"], candidate["images"])
    if changed:
        raise IntegrityError(
            f"{promotion['model_package_arn']} was changed while it was copied: "
            + _said(changed)
            + "; change it back, or approve it as it is now"
        )
    central_arn = Registry(sessions.registry()).register(
        registration.central_version(description, candidate, request["objects"], request["images"])
    )
    parts = list(candidate.get("parts") or ())
    version = {"model": promotion["model"], "model_package_arn": central_arn}
    # Before the candidate is known: what cannot be found could not be recalled either.
    Parts(settings.parts_table).hold({**version, "candidate_id": candidate["candidate_id"]}, parts)
    added = candidates.add(
        registration.candidate_item(request, central_arn, registered_at=clock.now())
    )
    return {"model_package_arn": central_arn, "already_registered": not added}


def _said(found: Iterable[Mapping[str, str]]) -> str:
    return "; ".join(f"{d['name']} is {d['actual']}, expected {d['expected']}" for d in found)
