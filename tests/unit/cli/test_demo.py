"""The demo's report is what machines are promised, and a demo that breaks the promise fails."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from cli import demo
from cli.errors import GovernError

_ARN = "arn:aws:sagemaker:us-east-1:111122223333:model-package/m/1"
REPORT: dict[str, Any] = {
    "set_up": [{"name": "start", "seconds": 1.2}, {"name": "deploy", "seconds": 30}],
    "steps": [
        {
            "persona": persona,
            "person": "somebody",
            "action": action,
            "model_package_arn": arn,
            "stage": stage,
            "stage_status": status,
            "seconds": 0.5,
        }
        for persona, action, arn, stage, status in (
            ("admin", "provision", None, None, None),
            ("data-scientist", "train", _ARN, "Dev", "Registered"),
            ("data-scientist", "approve for dev", _ARN, "Test", "PendingApproval"),
            ("ai-engineer", "approve for test", _ARN, "Test", "Passed"),
            ("ai-engineer", "review technical", _ARN, "Prod", "Technical-Approved"),
            ("governance-engineer", "review business", _ARN, "Prod", "Business-Approved"),
            ("governance-engineer", "review compliance", _ARN, "Prod", "Compliance-Approved"),
            ("governance-engineer", "review deployment", _ARN, "Prod", "Deployment-Approved"),
            ("governance-engineer", "approve for prod", _ARN, "Prod", "Deployed"),
        )
    ],
    "workflows": [
        {
            "name": name,
            "execution_arn": "arn:aws:states:us-east-1:111122223333:execution:machine:run",
            "status": "SUCCEEDED",
            "seconds": 9.5,
        }
        for name in ("promote_to_central", "validate_in_test", "release_to_prod")
    ],
    "prod_endpoint": "arn:aws:sagemaker:us-east-1:123456789012:endpoint/clinical-risk",
    "prediction": {"probability": 0.5, "high_risk": True},
    "seconds": 80.1,
}


def test_a_demo_that_reached_prod_reports_as_promised() -> None:
    demo.check_report(REPORT)


@pytest.mark.parametrize(
    ("member", "value", "says"),
    [
        ("prediction", None, "prediction"),
        ("prod_endpoint", None, "prod_endpoint"),
        ("steps", REPORT["steps"][:8], "steps"),
        ("workflows", [{**REPORT["workflows"][0], "status": "FAILED"}] * 3, "workflows[0].status"),
        ("surprise", 1, "surprise"),
    ],
)
def test_a_report_that_breaks_the_promise_is_refused_by_name(
    member: str, value: Any, says: str
) -> None:
    broken = copy.deepcopy(REPORT) | {member: value}
    with pytest.raises(GovernError) as refused:
        demo.check_report(broken)
    assert says in refused.value.message
