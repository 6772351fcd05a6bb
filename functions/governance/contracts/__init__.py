"""What crosses the edge: requests of handlers, and the documents that people and pipelines write.

JSON Schema decides; an InvalidInputError names the place, what is there and what was expected.
"""

from governance.contracts.definitions import (
    DEPLOYMENT_DEFINITION,
    definition_problems,
    deployment_definition,
)
from governance.contracts.documents import (
    evaluation_problems,
    evaluation_report,
    libraries,
    tier_policy,
    tier_problems,
)
from governance.contracts.requests import REQUESTS, request
from governance.contracts.suites import suite_answer

__all__ = [
    "DEPLOYMENT_DEFINITION",
    "REQUESTS",
    "definition_problems",
    "deployment_definition",
    "evaluation_problems",
    "evaluation_report",
    "libraries",
    "request",
    "suite_answer",
    "tier_policy",
    "tier_problems",
]
