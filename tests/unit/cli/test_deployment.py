"""deployment check and publish: every problem with its line, and nothing that is overwritten."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import ANY
from click.testing import Result

from cli import deployments
from governance.adapters import items
from governance.domain import definitions
from tests.contracts import samples
from tests.unit.cli.conftest import CENTRAL, MODEL, REGION, Stubbed

Govern = Callable[..., Result]
FILE = samples.ROOT / "templates/classical-regression/deploy/deployment.yaml"
TEXT = FILE.read_text("utf-8")
BUCKET = f"governed-path-evidence-{CENTRAL}-{REGION}"
REFERENCE = definitions.reference(BUCKET, MODEL, definitions.digest(samples.definition()))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deployment.yaml"


def test_what_is_right_gets_its_digest(govern: Govern) -> None:
    result = govern("deployment", "check", str(FILE), "--tier", "high")
    assert result.exit_code == 0, result.output
    assert f"within the bounds of tier high, {REFERENCE['digest']}" in result.output


@pytest.mark.parametrize(
    ("old", "new", "line", "column", "said"),
    [
        ("version: 1", "version: [1", 5, 9, "is not YAML: expected ',' or ']'"),
        ("bake_seconds: 600", "bake_seconds: soon", 15, 17, "release.bake_seconds: is 'soon'"),
        ("percent: 10, wait", "percent: 99, wait", 14, 37, "release.strategy.percent: is 99"),
        ("ml.m5.large\n", "ml.m5.large\n  gpu: 1\n", 7, 8, "endpoint.gpu: is not known here"),
        ("instance_count: 2", "2: 2", 7, 3, "2 is no text; quote it"),
        ("instance_count: 2", "instance_type: x", 7, 3, "instance_type is said a second time"),
        ('"1"}', "!!binary aGk=}", 8, 34, "has tag tag:yaml.org,2002:binary, which is not JSON's"),
        ("- name: slow", "- name: server-errors", 24, 13, "is 'server-errors' a second time"),
        ("400}", "600}", 39, 34, "looser than tier high"),
        ("ModelLatency", "Invocations", 16, 3, "watches no ModelLatency; tier high"),
        ("OMP_NUM_THREADS", "SAGEMAKER_PROGRAM", 8, 36, "says which code runs"),
        ("- name: latency", "- name: latencies", 36, 5, "no suite 'latencies': built in are"),
        ("- name: latency", "- {name: latency, parameters: {n: 1}}", 36, 5, "no parameter 'n'; it"),
    ],
)
def test_every_problem_has_its_line_and_column(
    govern: Govern, file: Path, old: str, new: str, line: int, column: int, said: str
) -> None:
    assert old in TEXT
    file.write_text(TEXT.replace(old, new, 1))
    result = govern("deployment", "check", str(file), "--tier", "high", "--json")
    assert result.exit_code == 1
    found = json.loads(result.output)
    assert (found["valid"], found["digest"]) == (False, None)
    first = found["problems"][0]
    place = f"{first['path']}: " if first["path"] else ""
    assert said in place + first["reason"]
    assert (first["line"], first["column"]) == (line, column)


def test_problems_are_listed_in_the_order_of_the_file(govern: Govern, file: Path) -> None:
    file.write_text(TEXT.replace("version: 1", "version: 2").replace("600\n", "-1\n"))
    result = govern("deployment", "check", str(file))
    assert result.exit_code == 1
    first, second = result.output.strip().splitlines()
    assert first == f"{file}:3:10: version: is 2; expected const 1"
    assert second.startswith(f"{file}:15:17: release.bake_seconds: is -1")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("# nothing\n", "is empty"),
        ("- 1\n", "expected type 'object'"),
        ("a: &a [*a]\n", "refers to itself"),
        ("a: 1\n---\nb: 2\n", "is not YAML: but found another document"),
        ("a: *b\n", "undefined alias"),
    ],
)
def test_what_is_no_document_is_a_problem_and_no_crash(
    govern: Govern, file: Path, text: str, said: str
) -> None:
    file.write_text(text)
    result = govern("deployment", "check", str(file))
    assert result.exit_code == 1
    assert said in result.output


def test_a_date_is_the_text_that_it_is_written_as(file: Path) -> None:
    dated = 'environment: {OMP_NUM_THREADS: "1", SINCE: 2026-11-21}'
    file.write_text(TEXT.replace('environment: {OMP_NUM_THREADS: "1"}', dated))
    definition = deployments.read(file)
    assert definition["endpoint"]["environment"]["SINCE"] == "2026-11-21"


@pytest.mark.parametrize("body", [b"\xff\xfe", b"#" * 70_000])
def test_what_is_no_text_of_a_page_is_refused(govern: Govern, file: Path, body: bytes) -> None:
    file.write_bytes(body)
    error = json.loads(govern("deployment", "check", str(file), "--json").output)["error"]
    assert error["code"] == "invalid"


def _not_provisioned(reader: Stubbed) -> None:
    reader.stub("dynamodb").add_response("get_item", {})


def _published(session: Stubbed, *, present: bool) -> None:
    s3 = session.stub("s3")
    sent = {
        "Bucket": BUCKET,
        "Key": REFERENCE["uri"].removeprefix(f"s3://{BUCKET}/"),
        "Body": definitions.canonical(samples.definition()),
        "ContentType": "application/json",
        "ChecksumSHA256": ANY,
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": "alias/governed-path",
        "BucketKeyEnabled": True,
        "IfNoneMatch": "*",
    }
    if not present:
        s3.add_response("put_object", {"VersionId": "v1"}, sent)
        return
    s3.add_client_error(
        "put_object", "PreconditionFailed", http_status_code=412, expected_params=sent
    )
    digest = base64.b64encode(bytes.fromhex(REFERENCE["digest"])).decode()
    s3.add_response(
        "head_object",
        {"ContentLength": 9, "VersionId": "v1", "ChecksumSHA256": digest},
    )


@pytest.mark.parametrize("present", [False, True])
def test_it_is_published_under_its_digest_and_only_where_nothing_is(
    govern: Govern, where: list[Any], session: Stubbed, reader: Stubbed, present: bool
) -> None:
    _not_provisioned(reader)
    _published(session, present=present)
    arguments = ("deployment", "publish", str(FILE), "--model", MODEL, "--as", "ai-engineer")
    result = govern(*arguments, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.output) == {"model": MODEL, "definition": REFERENCE}
    assert where[0].persona == "ai-engineer"


def test_nobody_else_may_publish(
    govern: Govern, where: list[Any], session: Stubbed, reader: Stubbed
) -> None:
    _not_provisioned(reader)
    session.stub("s3").add_client_error("put_object", "AccessDenied", "no", http_status_code=403)
    arguments = ("deployment", "publish", str(FILE), "--model", MODEL, "--as", "admin")
    error = json.loads(govern(*arguments, "--json").output)["error"]
    assert error["code"] == "access_denied"
    assert "--as ai-engineer" in error["hint"]


def test_what_is_wrong_is_not_published(
    govern: Govern, where: list[Any], reader: Stubbed, file: Path
) -> None:
    _not_provisioned(reader)
    file.write_text(TEXT.replace("percent: 10,", "percent: 99,"))
    arguments = ("deployment", "publish", str(file), "--model", MODEL, "--as", "ai-engineer")
    error = json.loads(govern(*arguments, "--json").output)["error"]
    assert error["code"] == "invalid"
    assert error["problems"][0]["line"] == 14


def test_a_provisioned_model_holds_it_against_its_tier(
    reader: Stubbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = items.to_item(samples.project())
    reader.stub("dynamodb").add_response("get_item", {"Item": item})
    asked: list[Any] = []
    monkeypatch.setattr(
        deployments, "tier_of", lambda project, _: asked.append(project) or {"tier": "high"}
    )
    assert deployments.tier_in_force(reader, MODEL) == {"tier": "high"}
    assert asked == [samples.project()]
