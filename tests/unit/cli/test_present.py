"""What people wrote is shown as they wrote it: nothing of it is read as a command to the terminal.

Only tables and texts whose words come from people are listed here."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import RenderableType

from cli import explain, present
from tests import briefing
from tests.contracts import samples
from tests.unit.cli.conftest import DEV, by, entry

MARKUP = "[/x] [see report] [conceal]no consent[/conceal] [red]:smile:"


def shown(renderable: RenderableType, monkeypatch: pytest.MonkeyPatch, width: int = 0) -> str:
    """What a reader sees, on one line."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stdout", stream)
    console = present.console()
    console.width = width or 400
    console.print(renderable)
    return " ".join(stream.getvalue().split())


def brief(words: str) -> RenderableType:
    new = briefing.side(briefing.CANDIDATE)
    ledger = briefing.Ledger()
    ledger.tested(new)
    ledger.reviewed(new)
    ledger.entries[-1]["reason"] = words
    ledger.add("BreakGlassRequested", new, "emil", stage="Prod", stage_status="x", reason=words)
    return present.brief(briefing.brief(ledger, new))


def reviews(words: str) -> RenderableType:
    row = {
        "model": samples.MODEL,
        "version": 1,
        "standing": [
            {
                "kind": "business",
                "person": "bruno",
                "expires_at": briefing.NOW,
                "description": words,
            }
        ],
        "missing": [],
        "emergency": {"person": "emil", "expires_at": briefing.NOW, "reason": words},
        "owed": None,
    }
    return present.reviews_table([row])


def history(words: str) -> RenderableType:
    given: dict[str, Any] = {"review": "business", "reason": words, "approver": by("bruno")}
    return present.history([entry(1, "ReviewGiven", **given)], DEV)


def explanation(words: str) -> RenderableType:
    verdict = {
        "stage": "Prod",
        "allowed": False,
        "rules": ["a_rule"],
        "reasons": [{"rule": "a_rule", "fact": words, "expected": "b", "remedy": "Do c."}],
        "policy_digest": "d" * 64,
    }
    found = explain.explain([entry(1, "ReleaseRejected", verdict=verdict, approver=by(words))])
    assert found is not None
    return present.explanation(found)


def facts(words: str) -> RenderableType:
    return present.facts_table({"Because": words})


def status(words: str) -> RenderableType:
    row = {"model": samples.MODEL, "registry": "Dev", "version": 1, "stage": "Dev"}
    more = {"stage_status": "Approved", "candidate_id": None, "since": None, "approver": words}
    return present.stages_table([{**row, **more}])


WHERE = [brief, reviews, history, explanation, facts, status]


@pytest.mark.parametrize("where", WHERE, ids=lambda made: str(made.__name__))
def test_markup_is_text(
    where: Callable[[str], RenderableType], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MARKUP in shown(where(MARKUP), monkeypatch)


@pytest.mark.parametrize("where", WHERE, ids=lambda made: str(made.__name__))
def test_no_words_speak_to_the_terminal(
    where: Callable[[str], RenderableType], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = shown(where("fine \x1b[8mno consent\x1b[0m \u202etxt"), monkeypatch)
    assert "fine [8mno consent[0m txt" in text
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_what_is_left_out_pushes_nothing_else_out(monkeypatch: pytest.MonkeyPatch) -> None:
    words = "fine" + "\x1b" * 300 + " no consent"
    assert "fine no consent" in shown(present.facts_table({"A": words}), monkeypatch, width=40)


def test_a_terminal_still_has_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stdout", stream)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    present.console().print(present.status_text("Approved"))
    assert "\x1b[32mApproved" in stream.getvalue()
