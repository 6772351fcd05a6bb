"""What is no request of SageMaker's is refused with AWS's codes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from ministack.core.responses import set_request_account_id

from local.sagemaker import validation
from local.sagemaker.errors import ServiceError
from tests.integration.sagemaker.support import CENTRAL


def post(service: Any, operation: str, body: bytes) -> tuple[int, dict[str, Any]]:
    set_request_account_id(CENTRAL)
    headers = {"X-Amz-Target": f"SageMaker.{operation}"}
    status, _, answer = asyncio.run(service("POST", "/", headers, body, {}))
    return status, json.loads(answer)


@pytest.mark.parametrize(
    ("operation", "body", "code", "message"),
    [
        ("ApproveModel", b"{}", "UnknownOperationException", "ApproveModel"),
        ("", b"{}", "UnknownOperationException", ""),
        ("CreateTrainingJob", b"{}", "UnknownOperationException", "CreateTrainingJob"),
        ("ListModels", b"{", "SerializationException", "not JSON"),
        ("ListModels", b"[]", "SerializationException", "JSON object"),
        (
            "DescribeModel",
            b"{}",
            "ValidationException",
            "1 validation error detected: Value null at 'modelName' failed to satisfy "
            "constraint: Member must not be null",
        ),
        ("ListModels", b'{"Surprise": 1}', "ValidationException", "Unknown member 'Surprise'"),
        ("ListModels", b'{"MaxResults": 0}', "ValidationException", "greater than or equal to 1"),
        ("ListModels", b'{"MaxResults": "5"}', "ValidationException", "must be of type integer"),
        ("ListModels", b'{"MaxResults": true}', "ValidationException", "must be of type integer"),
        ("ListModels", b'{"SortOrder": "Up"}', "ValidationException", "[Ascending, Descending]"),
        (
            "CreateModelPackageGroup",
            b'{"ModelPackageGroupName": "under_score"}',
            "ValidationException",
            "regular expression pattern",
        ),
        (
            "UpdateModelPackage",
            b'{"ModelApprovalStatus": "Maybe"}',
            "ValidationException",
            "2 validation errors detected",
        ),
    ],
)
def test_refuses(service: Any, operation: str, body: bytes, code: str, message: str) -> None:
    status, answer = post(service, operation, body)
    assert status == 400
    assert answer["__type"] == code
    assert message in answer["message"]


def test_null_members_are_absent(service: Any) -> None:
    assert post(service, "ListModels", b'{"NextToken": null}') == (200, {"Models": []})


def test_every_pattern_of_the_service_model_is_checked() -> None:
    model = validation.service_model()
    patterns = {model.shape_for(name).metadata.get("pattern") for name in model.shape_names}
    assert len(patterns) > 100
    for pattern in patterns - {None}:
        validation._compiled(pattern)


@pytest.mark.parametrize("text", ["Plain.", "50 % (more) \u2013 „quoted“ + 1 € ≥ 0!", "日本語"])
def test_descriptions_take_any_writing(text: str) -> None:
    validation.validate(
        "CreateModelPackageGroup",
        {"ModelPackageGroupName": "g", "ModelPackageGroupDescription": text},
    )


def test_descriptions_do_not_take_line_breaks() -> None:
    with pytest.raises(ServiceError):
        validation.validate(
            "CreateModelPackageGroup",
            {"ModelPackageGroupName": "g", "ModelPackageGroupDescription": "a\nb"},
        )
