"""Tier policies, as an Admin published them: pinned by version and digest in the directory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from governance import contracts
from governance.adapters.artifacts import Artifacts, parse_uri
from governance.domain.errors import InvalidInputError


def policy_of(project: Mapping[str, Any], artifacts: Artifacts) -> dict[str, Any]:
    """The policy of the project's risk tier; `project` is its directory entry.

    IntegrityError if the object is not the one that was published, InvalidInputError if it is not
    a tier policy, or one of another tier.
    """
    pinned = project["policy"]
    bucket, key = parse_uri(pinned["uri"])
    policy = contracts.tier_policy(artifacts.read_json({**pinned, "bucket": bucket, "key": key}))
    if policy["tier"] != project["risk_tier"]:
        raise InvalidInputError(
            f"model {project['model']} has risk tier {project['risk_tier']} but its policy "
            f"{pinned['uri']} is for tier {policy['tier']}; an Admin runs `govern provision` again"
        )
    return policy
