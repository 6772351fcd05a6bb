"""The parts of a seam that need no emulator."""

from __future__ import annotations

import hashlib
import json
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest
from ministack.core import lambda_runtime
from ministack.services import dynamodb, s3, sts

from local.seams import (
    calls,
    concurrency,
    environments,
    event_targets,
    expressions,
    lambda_errors,
    large_objects,
    permissions,
    provisioning,
)
from local.seams.calls import _trusts


@pytest.mark.parametrize(
    ("principal", "role"),
    [
        (
            "arn:aws:sts::111122223333:assumed-role/engineer/alex",
            "arn:aws:iam::111122223333:role/engineer",
        ),
        (
            "arn:aws-cn:sts::111122223333:assumed-role/engineer/a/b",
            "arn:aws-cn:iam::111122223333:role/engineer",
        ),
        ("arn:aws:iam::111122223333:root", "arn:aws:iam::111122223333:root"),
        ("arn:aws:iam::111122223333:user/alex", "arn:aws:iam::111122223333:user/alex"),
        ("", ""),
    ],
)
def test_the_role_behind_a_session(principal: str, role: str) -> None:
    assert permissions.role_arn(principal) == role


@pytest.mark.parametrize(
    ("entries", "source"),
    [
        ([{"Source": "a", "DetailType": "t"}], "a"),
        ([{"Source": "a", "DetailType": "t"}] * 3, "a"),
        # No policy names this, so a mixed batch is refused and not let through by its best entry.
        ([{"Source": "b", "DetailType": "t"}, {"Source": "a", "DetailType": "t"}], "a and b"),
    ],
)
def test_the_source_of_a_batch(entries: list[dict[str, str]], source: str) -> None:
    keys = permissions._put_events_keys({"Entries": entries})
    assert keys == {"events:source": source, "events:detail-type": "t"}


@pytest.mark.parametrize("body", [b"", b"not json", b"[1]", b"null", b"[" * 100_000, b"\xff"])
def test_a_body_that_is_no_request_has_no_keys(body: bytes) -> None:
    assert permissions._json(body) == {}


def test_a_functions_error_is_unpacked() -> None:
    log = 'before\nTraceback (most recent call last):\n  File "index.py"\nGateFailed: too low'
    found = lambda_errors._with_class(
        {"errorMessage": "\x01GateFailed\x01too \x01 low", "errorType": "Runtime.HandlerError"}, log
    )
    assert found == {
        "errorMessage": "too \x01 low",
        "errorType": "GateFailed",
        "stackTrace": [
            "Traceback (most recent call last):",
            '  File "index.py"',
            "GateFailed: too low",
        ],
    }


def test_an_error_of_the_runtime_stays_as_it_is() -> None:
    timeout = {"errorMessage": "Task timed out", "errorType": "Sandbox.Timedout"}
    assert lambda_errors._with_class(timeout, "") == timeout


def test_equal_packages_are_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "_directory", lambda: tmp_path)
    wanted, looked_at = [], []
    for name, content in {"a": "1", "same as a": "1", "other": "2"}.items():
        package = tmp_path / f"{name}.zip"
        with zipfile.ZipFile(package, "w") as made:
            made.writestr(zipfile.ZipInfo("python/module.py"), content)
        directory = tmp_path / name
        directory.mkdir()
        with environments._SharedPackage(package) as opened:
            # The emulator looks for names that lead out of the directory, once is enough.
            looked_at.append(opened.namelist())
            opened.extractall(str(directory))
        assert (directory / "python/module.py").read_text() == content
        wanted.append(directory.resolve())
    assert wanted[0] == wanted[1] != wanted[2]
    assert looked_at == [["python/module.py"], [], ["python/module.py"]]


def test_who_waits_for_a_place_gets_it_in_the_order_of_arrival() -> None:
    line, order = concurrency.Line(2), []
    waiting: list[threading.Thread] = []

    def work(number: int) -> None:
        with line.place():
            order.append(number)

    with line.place():
        with line.place():
            for number in range(20):
                waiting.append(threading.Thread(target=work, args=(number,)))
                waiting[-1].start()
                while len(line._waiting) <= number:
                    time.sleep(0.001)
            assert order == []
        # One place is free again, and goes from hand to hand.
        for thread in waiting:
            thread.join(10)
    assert order == list(range(20))
    assert line._free == 2


def test_a_place_is_given_back_by_who_fails() -> None:
    line = concurrency.Line(1)
    for _ in range(3):
        with pytest.raises(RuntimeError), line.place():
            raise RuntimeError
    assert line._free == 1


def test_the_environments_that_were_idle_longest_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def worker(last_used: float, in_use: bool = False) -> SimpleNamespace:
        return SimpleNamespace(last_used=last_used, in_use=in_use)

    # The first of a function stays, however long it was idle.
    first, others = worker(1), [worker(5), worker(2), worker(3, in_use=True), worker(9)]
    monkeypatch.setattr(lambda_runtime, "_workers", {"a": [first, *others], "b": [worker(0)]})
    ended: list[SimpleNamespace] = []
    concurrency.end_spares(3, ended.extend)
    assert ended == []
    concurrency.end_spares(1, ended.extend)
    assert [one.last_used for one in ended] == [2, 5]
    assert [one.last_used for one in lambda_runtime._workers["a"]] == [1, 3, 9]
    assert len(lambda_runtime._workers["b"]) == 1


class _Sessions(dict[str, Any]):
    """Whoever goes through it lets others work meanwhile."""

    def items(self) -> Any:
        for item in super().items():
            time.sleep(0)
            yield item


def test_sessions_of_many_threads_are_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sts, "_sessions", _Sessions())
    register = calls.one_at_a_time(sts.register_session)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: register(str(number), {}), range(400)))

    assert len(sts._sessions) == 400


def test_expired_sessions_are_evicted_once_a_minute_and_not_by_each_new_one() -> None:
    now, evicted = 0.0, []
    evict = calls.now_and_then(lambda: evicted.append(now), clock=lambda: now)
    for tenth in range(1, 2000):
        now = tenth / 10
        evict()
    assert evicted == [60.0, 120.0, 180.0]


def test_the_grammar_of_an_expression_is_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    checked = []

    def check(expr: str, slot: str) -> str | None:
        checked.append((expr, slot))
        return f"Invalid {slot}: wrong" if "&" in expr else None

    monkeypatch.setattr(dynamodb, "_condition_syntax_error", check)
    expressions.install()
    for size in range(3):
        item = {"name": {"S": "n" * size}}
        values = {":n": {"S": "n"}}
        found = dynamodb._evaluate_condition("begins_with(title, :n)", item, values, {}, "One")
        assert found is False
        assert dynamodb._evaluate_condition("attribute_exists(title)", item, {}, {}, "One") is False
        with pytest.raises(ValueError, match="Invalid Other: wrong"):
            dynamodb._evaluate_condition("a = :n & b", item, values, {}, "Other")
    assert checked == [
        ("begins_with(title, :n)", "One"),
        ("attribute_exists(title)", "One"),
        ("a = :n & b", "Other"),
    ]


def test_a_client_is_kept_for_who_calls_with_it_and_for_nobody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GATEWAY_PORT", "1")
    monkeypatch.setenv("MINISTACK_REGION", "us-east-1")
    one, other = calls.as_root("111122223333"), calls.as_root("444455556666")
    assert calls.client(one, "sts") is calls.client(one, "sts")
    assert calls.client(one, "sts") is not calls.client(one, "sqs")
    keys = [
        calls.client(who, "sts")._request_signer._credentials.access_key for who in (one, other)
    ]
    assert keys == ["111122223333", "444455556666"]


def test_no_connection_outlives_its_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_PORT", "1")
    monkeypatch.setenv("MINISTACK_REGION", "us-east-1")
    sent: list[AWSPreparedRequest] = []

    def stop(request: AWSPreparedRequest, **_: Any) -> None:
        sent.append(request)
        raise ConnectionAbortedError

    client = calls.client(calls.Caller("a", "b", "c"), "s3")
    client.meta.events.register_last("before-send", stop)
    with pytest.raises(ConnectionAbortedError):
        client.delete_object(Bucket="one", Key="two")
    assert sent[0].headers["Connection"] == "close"


@pytest.mark.parametrize(
    ("statement", "trusted"),
    [
        ({"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}}, True),
        ({"Effect": "Allow", "Principal": {"Service": ["x", "states.amazonaws.com"]}}, True),
        ({"Effect": "Deny", "Principal": {"Service": "states.amazonaws.com"}}, False),
        ({"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}}, False),
        ({"Effect": "Allow", "Principal": {"AWS": "111122223333"}}, False),
        ({"Effect": "Allow"}, False),
    ],
)
def test_who_trusts_a_service(statement: dict[str, Any], trusted: bool) -> None:
    for form in (statement, [statement]):
        document = {"Statement": form}
        for policy in (document, json.dumps(document)):
            role = {"AssumeRolePolicyDocument": policy}
            assert _trusts(role, "states.amazonaws.com", "arn") is trusted


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, True), ("true", True), ("True", True), (False, False), ("false", False), ("", False)],
)
def test_booleans_of_a_template(value: Any, expected: bool) -> None:
    assert provisioning._boolean(value) is expected


def test_documents_of_a_template() -> None:
    assert json.loads(provisioning._text({"a": [1]})) == {"a": [1]}
    assert provisioning._text('{"a": [1]}') == '{"a": [1]}'


def test_a_delivery_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.exceptions import ClientError

    def error(code: str) -> ClientError:
        return ClientError({"Error": {"Code": code, "Message": "no"}}, "StartExecution")

    undelivered: list[tuple[str, ...]] = []
    monkeypatch.setattr(event_targets, "_undelivered", lambda *said: undelivered.append(said))
    monkeypatch.setattr(event_targets.time, "sleep", lambda seconds: None)

    def deliver(*outcomes: str) -> int:
        left = list(outcomes)

        def attempt() -> None:
            outcome = left.pop(0)
            if outcome != "fine":
                raise error(outcome)

        event_targets._deliver(attempt, "{}")
        return len(outcomes) - len(left)

    assert deliver("ServiceUnavailable", "ThrottlingException", "fine") == 3
    assert undelivered == []
    assert deliver("ServiceUnavailable", "ServiceUnavailable", "ServiceUnavailable", "fine") == 3
    assert deliver("AccessDeniedException", "fine") == 1
    assert deliver("StateMachineDoesNotExist", "fine") == 1
    assert [code for code, _, _ in undelivered] == [
        "ERROR_FROM_TARGET",
        "NO_PERMISSIONS",
        "NO_RESOURCE",
    ]


def test_a_part_that_has_an_etag_is_not_digested_again(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = {1: {"body": b"first", "etag": f'"{"0a" * 16}"'}, 2: {"body": b"second", "etag": ""}}
    monkeypatch.setattr(s3, "_multipart_uploads", {"u": {"parts": parts}})

    def complete(bucket_name: str, key: str, body: bytes, query: Any, headers: Any) -> list[bytes]:
        bodies = [*(one["body"] for one in parts.values()), b"another"]
        return [s3.hashlib.md5(each).digest() for each in bodies] + [
            s3.hashlib.sha256(b"first").digest()
        ]

    wrapped = large_objects._with_known_digests(complete)
    found = wrapped("bucket", "key", b"", {"uploadId": ["u"]}, {})
    # The first is what its ETag says, which the bytes are not; the rest is computed.
    assert found == [
        b"\n" * 16,
        *(hashlib.md5(each).digest() for each in (b"second", b"another")),
        hashlib.sha256(b"first").digest(),
    ]
    assert s3.hashlib is hashlib
