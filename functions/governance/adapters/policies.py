"""Policies as an Admin published them: pinned by version and digest in the directory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from governance import contracts
from governance.adapters.artifacts import Artifacts, parse_uri
from governance.domain.errors import InvalidInputError
from governance.domain.policies import PARTS, Policy


def policy_of(project: Mapping[str, Any], artifacts: Artifacts) -> Policy:
    """The policy of the project's risk tier; `project` is its directory entry.

    IntegrityError if an object is not the one that was published, InvalidInputError if the
    directory pins none, or if the tier policy is not one, or of another tier.
    """
    pinned = _pins(project)
    return Policy(
        cedar=_text(pinned["cedar"], artifacts),
        schema=_text(pinned["schema"], artifacts),
        tier=tier_of(project, artifacts),
        digests={part: pinned[part]["sha256"] for part in PARTS},
    )


def tier_of(project: Mapping[str, Any], artifacts: Artifacts) -> dict[str, Any]:
    """The tier policy alone, without the rules; errors as `policy_of`."""
    pinned = _pins(project)["tier"]
    tier = contracts.tier_policy(artifacts.read_json(_location(pinned)))
    if tier["tier"] != project["risk_tier"]:
        raise InvalidInputError(
            f"model {project['model']} has risk tier {project['risk_tier']} but its policy "
            f"{pinned['uri']} is for tier {tier['tier']}; an Admin runs `govern provision` again"
        )
    return tier


def _pins(project: Mapping[str, Any]) -> Mapping[str, Any]:
    pinned = project.get("policy") or {}
    missing = [part for part in PARTS if part not in pinned]
    if missing:
        raise InvalidInputError(
            f"the directory entry of model {project['model']} pins no {', '.join(missing)} of its "
            "policy; an Admin runs `govern provision` again"
        )
    return dict(pinned)


def _text(pinned: Mapping[str, Any], artifacts: Artifacts) -> str:
    try:
        return artifacts.read(_location(pinned)).decode()
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{pinned['uri']} is not UTF-8: {error}") from error


def _location(pinned: Mapping[str, Any]) -> dict[str, Any]:
    bucket, key = parse_uri(pinned["uri"])
    return {**pinned, "bucket": bucket, "key": key}
