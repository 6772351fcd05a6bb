"""The policies of this repository, as a gate is asked under them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from governance.adapters.policy_engine import engine
from governance.domain.gates import Decide
from governance.domain.policies import Policy, digests_of

POLICIES = Path(__file__).parents[2] / "policies"


def files(tier: str = "high") -> dict[str, bytes]:
    """{cedar, schema, tier}: the bytes that an admin publishes."""
    return {
        "cedar": (POLICIES / "approvals.cedar").read_bytes(),
        "schema": (POLICIES / "approvals.cedarschema").read_bytes(),
        "tier": (POLICIES / "tiers" / f"{tier}.json").read_bytes(),
    }


def policy(tier: str = "high", *, cedar: str | None = None, **changes: Any) -> Policy:
    """The policy of a tier; `changes` replace members of the tier, `cedar` the rules."""
    given = files(tier)
    numbers: Mapping[str, Any] = {**json.loads(given["tier"]), **changes}
    given["tier"] = json.dumps(numbers).encode()
    given["cedar"] = cedar.encode() if cedar is not None else given["cedar"]
    return Policy(given["cedar"].decode(), given["schema"].decode(), numbers, digests_of(given))


def decide(policy_: Policy) -> Decide:
    """The engine's answer under a policy."""
    return engine(policy_.cedar, policy_.schema).decide
