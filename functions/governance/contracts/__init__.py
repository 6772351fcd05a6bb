"""What crosses the edge: requests of handlers, evaluation reports, tier policies.

JSON Schema decides; an InvalidInputError names the place, what is there and what was expected.
"""

from governance.contracts.documents import (
    evaluation_problems,
    evaluation_report,
    libraries,
    tier_policy,
    tier_problems,
)
from governance.contracts.requests import REQUESTS, request

__all__ = [
    "REQUESTS",
    "evaluation_problems",
    "evaluation_report",
    "libraries",
    "request",
    "tier_policy",
    "tier_problems",
]
