"""The report of a validation as one page for people: it loads nothing and runs nothing.

Its plots are lines of the page itself, placed in percent, so that it looks the same for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from governance.domain.comparisons import bound, number, words
from governance.domain.suites import is_judged, too_few_rows
from governance.domain.thresholds import limit_of

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1d2433;max-width:62rem;margin:2rem auto;
padding:0 1rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.15rem;margin:2rem 0 .5rem}
table{border-collapse:collapse;width:100%}th{color:#5b6475;font-weight:600}
td,th{text-align:left;padding:.3rem .6rem .3rem 0;border-bottom:1px solid #e3e6ec;
vertical-align:top}
code{font-size:.85em;word-break:break-all}
.passed{color:#12734a}.failed{color:#b3261e;font-weight:600}.omitted,.small{color:#5b6475}
.plot{position:relative;height:1.2rem;background:#f3f5f8;min-width:14rem}
.plot b,.plot i,.plot u{position:absolute;top:0;bottom:0}
.plot i{background:#b9cbe8;top:.35rem;bottom:.35rem}
.plot b{width:3px;background:#1f4e9c}.plot u{width:2px;background:#b3261e}
.curve{position:relative;width:16rem;height:16rem;border:1px solid #c9cfda;
background:linear-gradient(to bottom right,#f3f5f8 calc(50% - 1px),#9aa3b2,
#f3f5f8 calc(50% + 1px))}
.curve b{position:absolute;width:8px;height:8px;margin:-4px;border-radius:4px;background:#1f4e9c}
"""


def page(report: Mapping[str, Any]) -> str:
    """The page of a test report (domain/registration.py), whose own digest it does not hold."""
    version = str(report["model_package_arn"]).rpartition("/")[2]
    title = f"{report['model']} version {version}: test {str(report['status']).lower()}"
    results = report["results"]
    by_suite = {result["suite"]: result for result in results}
    parts = [
        f'<h1 class="{escape(str(report["status"]).lower())}">{escape(title)}</h1>',
        f"<p class=small>Candidate <code>{escape(report['candidate_id'])}</code>, "
        f"decided {escape(str(report['decided_at']))}, execution "
        f"<code>{escape(str(report['execution_arn']))}</code></p>",
        _reasons(report["reasons"]),
        _suites(results, report["plan"]["omitted"]),
        _metrics(report["summary"]["metrics"], report["thresholds"]),
        _quality(by_suite.get("quality")),
        _comparison(by_suite.get("comparison")),
        *(_checks(result) for result in results),
        _evidence(report),
    ]
    return (
        f'<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content="width='
        f'device-width"><title>{escape(title)}</title><style>{_STYLE}</style>'
        f"<body>{''.join(parts)}</body></html>\n"
    )


def _reasons(reasons: Sequence[str]) -> str:
    if not reasons:
        return "<p>Every planned suite ran and passed.</p>"
    return _section("Why it failed", f"<ul>{''.join(f'<li>{_text(r)}</li>' for r in reasons)}</ul>")


def _suites(results: Sequence[Mapping[str, Any]], omitted: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            _text(result["suite"]),
            f'<span class="{result["status"]}">{result["status"]}</span>',
            f"{sum(bool(c['passed']) for c in result['checks'])} of {len(result['checks'])} checks",
            f"{float(result.get('seconds') or 0):.1f} s",
        )
        for result in results
    ]
    rows += [
        (_text(one["suite"]), "<span class=omitted>omitted</span>", _text(one["reason"]), "")
        for one in omitted
    ]
    return _section("Suites", _table(("suite", "result", "", "took"), rows)) if rows else ""


def _metrics(metrics: Mapping[str, Any], thresholds: Mapping[str, float]) -> str:
    rows = []
    for name, value in sorted(metrics.items()):
        found = limit_of(name, thresholds)
        limit = found and {"bound": found[0], "value": found[1]}
        rows.append((_text(words(name)), number(value), bound(limit)))
    return _section("Measured", _table(("", "value", "limit"), rows)) if rows else ""


def _quality(result: Mapping[str, Any] | None) -> str:
    details = (result or {}).get("details")
    if not details:
        return ""
    groups = [("all rows", details["rows"], details["intervals"])] + [
        (f"{one['attribute']} {one['value']}", one["rows"], one) for one in details["subgroups"]
    ]
    rows = [
        (_text(name), str(count), *(_interval(found[metric]) for metric in ("auc", "brier")))
        for name, count, found in groups
    ]
    said = (
        f"Lines are {details['confidence']:.0%} intervals, by bootstrap; the scale is 0 to 1. A "
        "subgroup with too few rows has none."
    )
    table = _table(("", "rows", "AUC", "Brier score"), rows)
    dots = "".join(
        f'<b style="left:{_percent(one["predicted"])};bottom:{_percent(one["observed"])}"></b>'
        for one in details["calibration"]
    )
    curve = (
        "<p>Calibration: mean probability to the right, observed share upwards; on the line they "
        f"agree.</p><div class=curve>{dots}</div>"
    )
    return _section("Quality on the holdout", f"<p class=small>{said}</p>{table}{curve}")


def _comparison(result: Mapping[str, Any] | None) -> str:
    details = (result or {}).get("details")
    if not details:
        return ""
    champion = details["champion"]["model_package_arn"]
    overall = details["overall"]
    rows = [
        ("AUC", _interval(overall["auc_difference"], -1.0)),
        ("Brier score", _interval(overall["brier_difference"], -1.0)),
        *(
            (
                _text(f"AUC, {one['attribute']} {one['value']}"),
                _interval(one["auc_difference"], -1.0)
                if is_judged(one)
                else f"<span class=failed>not judged</span>: {_text(too_few_rows(one))}",
            )
            for one in details["subgroups"]
        ),
    ]
    decided = overall["decisions"]
    said = (
        f"Challenger minus champion <code>{_text(champion)}</code> on the same rows, with "
        f"{details['confidence']:.0%} intervals; the scale is -1 to 1. "
        f"{decided['only_challenger_right']} rows only the challenger decides rightly, "
        f"{decided['only_champion_right']} only the champion (McNemar's exact test, p "
        f"{decided['p_value']:.3f})."
    )
    return _section("Against the champion", f"<p>{said}</p>{_table(('', 'difference'), rows)}")


def _checks(result: Mapping[str, Any]) -> str:
    rows = [
        (
            _text(check["name"]),
            "<span class=passed>passed</span>"
            if check["passed"]
            else "<span class=failed>failed</span>",
            _text(check["observed"]),
            _text(check["expected"]),
        )
        for check in result["checks"]
    ]
    table = _table(("check", "", "observed", "expected"), rows)
    return _section(f"Suite {result['suite']}", table)


def _evidence(report: Mapping[str, Any]) -> str:
    kept = report["predictions"]
    if not kept:
        return ""
    rows = [
        (f"{shard['from']} to {shard['to']}", f"<code>{_text(shard['uri'])}</code>")
        for shard in kept["shards"]
    ]
    said = (
        f"The endpoint's answer to each of {kept['rows']} rows of the holdout "
        f"<code>{_text(kept['holdout']['sha256'])}</code> is kept:"
    )
    return _section("Evidence", f"<p>{said}</p>{_table(('rows', 'object'), rows)}")


def _interval(found: Mapping[str, Any] | None, start: float = 0.0) -> str:
    """The value in figures and as a mark on its interval, on a scale from `start` to 1."""
    if found is None or found["value"] is None:
        return "not measured"
    low, high = found["low"], found["high"]
    span = 1.0 - start
    mark = f'<b style="left:{_percent((found["value"] - start) / span)}"></b>'
    zero = f'<u style="left:{_percent(-start / span)}"></u>' if start else ""
    if low is None or high is None:
        return f"{number(found['value'])}<div class=plot>{zero}{mark}</div>"
    left, width = (low - start) / span, (high - low) / span
    line = f'<i style="left:{_percent(left)};width:{_percent(width)}"></i>'
    figures = f"{number(found['value'])} ({number(low)} to {number(high)})"
    return f"{figures}<div class=plot>{zero}{line}{mark}</div>"


def _section(title: str, body: str) -> str:
    return f"<h2>{escape(title)}</h2>{body}"


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{escape(one)}</th>" for one in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _text(value: Any) -> str:
    return escape(str(value))


def _percent(share: float) -> str:
    return f"{min(max(share, 0.0), 1.0):.2%}"
