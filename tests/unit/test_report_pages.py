"""The page of a test report says what the report does, loads nothing and trusts no text."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

from governance.domain import report_pages, suites
from tests.contracts import samples

HOSTILE = '<script>alert("x")</script>'
BOUNDS = {"value": 0.81, "low": 0.72, "high": 0.9}
GROUP = {"attribute": "sex", "value": "f", "rows": 40, "auc": BOUNDS, "brier": {**BOUNDS}}


def report(**changed: Any) -> dict[str, Any]:
    details = {
        "rows": 89,
        "positives": 30,
        "confidence": 0.95,
        "intervals": {"auc": BOUNDS, "brier": {"value": None, "low": None, "high": None}},
        "subgroups": [GROUP, {**GROUP, "value": "m", "auc": {**BOUNDS, "low": None}}],
        "calibration": [{"predicted": 0.1, "observed": 0.12}, {"predicted": 0.9, "observed": 1.0}],
    }
    difference = {"value": 0.02, "low": -0.03, "high": 0.07}
    compared = {
        "champion": {"model_package_arn": "arn:champion/2", "candidate_id": "d" * 64},
        "confidence": 0.99,
        "overall": {
            "auc_difference": difference,
            "brier_difference": difference,
            "decisions": {"only_challenger_right": 4, "only_champion_right": 3, "p_value": 1.0},
        },
        "subgroups": [
            {**GROUP, "positives": 15, "auc_difference": difference},
            {**GROUP, "value": "m", "positives": 3, "auc_difference": {**difference, "low": None}},
        ],
    }
    passed, failed = (
        suites.check("auc meets the threshold", ok, 0.81, HOSTILE) for ok in (True, False)
    )
    return {
        "model": samples.MODEL,
        "model_package_arn": samples.version_arn(),
        "candidate_id": samples.CANDIDATE,
        "decided_at": samples.DECIDED,
        "execution_arn": "arn:execution",
        "status": "Failed",
        "reasons": [f"drift: {HOSTILE}"],
        "summary": {"metrics": {"auc": 0.81, "latency_p95_ms": 12.5, "cold_start_seconds": None}},
        "thresholds": {"auc_min": 0.75},
        "plan": samples.suite_plan(),
        "predictions": {"holdout": {"sha256": "a" * 64}, "rows": 89, "shards": samples.shards()},
        "results": [
            suites.result("quality", [passed], {}, 1.0, details),
            suites.result("comparison", [passed], {}, 1.0, compared),
            suites.result("drift", [failed], {}, 1.0),
        ],
        **changed,
    }


class Outline(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        assert not {name for name, _ in attrs} & {"src", "href", "onload"}

    def handle_data(self, data: str) -> None:
        self.text += data


def outline(page: str) -> Outline:
    found = Outline()
    found.feed(page)
    return found


def test_the_page_loads_nothing_and_shows_no_text_as_markup() -> None:
    page = report_pages.page(report())
    found = outline(page)
    assert not {"script", "link", "img", "iframe", "object"} & set(found.tags)
    assert "url(" not in page
    assert found.text.count(HOSTILE) == 4


def test_the_page_says_how_it_ended_what_was_measured_and_what_was_left_out() -> None:
    text = outline(report_pages.page(report())).text
    assert "version 3: test failed" in text
    assert "nothing has served clinical-risk yet" in text
    assert "0.810 (0.720 to 0.900)" in text
    assert "at least 0.75" in text
    assert "0.020 (-0.030 to 0.070)" in text
    assert samples.shards()[0]["uri"] in text


def test_what_was_not_measured_is_said_and_not_drawn() -> None:
    page = report_pages.page(report())
    assert "not measured" in page
    assert "nan" not in page.lower().replace("governance", "")


def test_a_subgroup_with_too_few_rows_is_said_not_to_be_judged() -> None:
    text = outline(report_pages.page(report())).text
    assert text.count("not judged") == 1
    assert "AUC, sex mnot judged: sex m has too few rows (3 positive, 37 negative)" in text


def test_marks_stay_on_their_scale() -> None:
    page = report_pages.page(report())
    shares = [float(found) for found in re.findall(r"(?:left|width|bottom):(-?[\d.]+)%", page)]
    assert len(shares) > 10
    assert all(0 <= share <= 100 for share in shares)


def test_a_model_that_never_served_has_a_page_too() -> None:
    nothing = {"suites": [], "holdout_suites": [], "shards": [], "champion": None, "omitted": []}
    page = report_pages.page(
        report(results=[], predictions=None, plan=nothing, thresholds={}, summary={"metrics": {}})
    )
    assert "Why it failed" in page
    assert "Suite " not in outline(page).text


def test_a_passed_report_says_so() -> None:
    assert "Every planned suite ran and passed" in report_pages.page(
        report(reasons=[], status="Passed")
    )
