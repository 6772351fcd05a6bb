"""The fixed holdout through a live endpoint: answers shard by shard, judged all together."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, zip_longest
from typing import Any

from governance.adapters import statistics
from governance.adapters.artifacts import Artifacts, of_role, parse_uri, uri_of
from governance.adapters.bench import WORKERS, Bench, problems_of
from governance.domain import predictions, probes, suites
from governance.domain.errors import InvalidInputError
from governance.domain.predictions import Predictions

LARGEST_HOLDOUT = 128 * 1024**2  # bytes
LARGEST_SHARD = 16 * 1024**2
ROWS_PER_CALL = 100

Location = Mapping[str, Any]
Groups = list[tuple[str, str, Sequence[int]]]


def count(artifacts: Artifacts, objects: Sequence[Location]) -> int:
    """How many rows the fixed holdout has; none of them is kept."""
    return max(0, sum(1 for _ in _lines(artifacts, objects)) - 1)


def rows_of(
    artifacts: Artifacts, objects: Sequence[Location], first: int, last: int
) -> list[dict[str, str]]:
    """The rows `first` to `last` of the fixed holdout, by column name; no others are kept."""
    lines = _lines(artifacts, objects)
    names = next(lines, [])
    rows = [
        dict(zip_longest(names, row[: len(names)], fillvalue=""))
        for row in islice(lines, first, last)
    ]
    deque(lines, maxlen=0)  # only at its end the file is proven to be the registered one
    return rows


def groups_of(bench: Bench, chosen: Sequence[Any]) -> tuple[int, Groups]:
    """(rows of the fixed holdout, its subgroups); only the values that these are of are kept.

    `chosen` are the definition's attributes; without any, those that were registered.
    """
    lines = _lines(bench.artifacts, bench.objects)
    names = next(lines, [])
    attributes = predictions.attributes_of(chosen, bench.report(), names)
    wanted = {str(one["column"]) for one in attributes}
    places = [(names.index(name), name) for name in sorted(wanted.intersection(names))]
    columns: dict[str, list[str]] = {name: [] for _, name in places}
    known: dict[str, str] = {}  # one text for all rows that say the same
    rows = 0
    for row in lines:
        rows += 1
        for place, name in places:
            text = row[place] if place < len(row) else ""
            columns[name].append(known.setdefault(text, text))
    return rows, predictions.groups(columns, attributes)


def _lines(artifacts: Artifacts, objects: Sequence[Location]) -> Iterator[list[str]]:
    """The columns' names, then row by row; IntegrityError after the last if they are others."""
    with artifacts.open(of_role(objects, "holdout"), LARGEST_HOLDOUT) as body:
        text = io.TextIOWrapper(body, encoding="utf-8-sig", newline="")
        yield from (line for line in csv.reader(text) if line)


def score(bench: Bench, candidate_id: str, first: int, last: int) -> dict[str, Any] | str:
    """The shard of rows `first` to `last`, or what is wrong with the endpoint's answers."""
    location = of_role(bench.objects, "holdout")
    rows = rows_of(bench.artifacts, bench.objects, first, last)
    instances, labels = probes.instances_from_rows(rows, bench.sample())
    batches = [
        instances[start : start + ROWS_PER_CALL]
        for start in range(0, len(instances), ROWS_PER_CALL)
    ]
    answers = bench.runtime.invoke_all([probes.encode(batch) for batch in batches], WORKERS)
    problems = {
        problem
        for answer, batch in zip(answers, batches, strict=True)
        for problem in problems_of(answer, len(batch))
    }
    if problems:
        return "; ".join(sorted(problems))
    scored = [
        pair
        for answer in answers
        for pair in zip(
            probes.probabilities(answer.body), probes.decisions(answer.body), strict=True
        )
    ]
    return predictions.shard(candidate_id, _named(location), first, labels, scored)


def store(
    artifacts: Artifacts, bucket: str, kms_key: str, model: str, document: Mapping[str, Any]
) -> dict[str, Any]:
    """Keep a shard as evidence; {uri, version_id, sha256, from, to}."""
    body = json.dumps(document, sort_keys=True).encode()
    digest = hashlib.sha256(body).hexdigest()
    key = f"predictions/{model}/{document['candidate_id']}/{digest}.json"
    stored = artifacts.store(bucket, key, body, kms_key)
    return {
        "uri": uri_of(stored),
        "version_id": stored["version_id"],
        "sha256": stored["sha256"],
        "from": document["from"],
        "to": document["to"],
    }


@dataclass(slots=True)
class Judge:
    """All answers to the holdout, and what they are held against.

    `shards` are what `store` returned, or {from, to, problems} of rows that were not answered;
    `champion` {model_package_arn, candidate_id, holdout, shards} or None.
    """

    bench: Bench
    shards: Sequence[Location]
    champion: Mapping[str, Any] | None = None
    _predictions: list[Predictions] = field(default_factory=list)
    _read: dict[str, tuple[int, Groups]] = field(default_factory=dict)
    _subgroups: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def run(self, suite: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The result of a suite, as `Bench.run` returns it."""
        started = time.perf_counter()
        problems = [str(shard["problems"]) for shard in self.shards if shard.get("problems")]
        answered = suites.check(
            "every holdout row is scored",
            not problems,
            "; ".join(sorted(set(problems))) or f"{self._count()} rows",
            f"{self._count()} rows",
        )
        found: tuple[Any, Any, Any] = ([], {}, {})
        if not problems:
            found = {
                "quality": self._quality,
                "fairness": self._fairness,
                "comparison": self._comparison,
            }[suite](parameters)
        checks, metrics, details = found
        seconds = time.perf_counter() - started
        return suites.result(suite, [answered, *checks], metrics, seconds, details)

    def _count(self) -> int:
        return max((int(shard["to"]) for shard in self.shards), default=0)

    def _quality(self, parameters: Mapping[str, Any]) -> tuple[Any, Any, Any]:
        ours, report = self._ours([]), self.bench.report()
        measured = statistics.metrics(ours.labels, ours.probabilities)
        subgroups = self._subgroups_by(parameters, [])
        registered = [
            one
            for one in report.get("subgroups", [])
            if one["attribute"] in {group["attribute"] for group in subgroups}
        ]
        details = {
            "rows": len(ours.labels),
            "positives": sum(ours.labels),
            "confidence": parameters["confidence"],
            "intervals": statistics.rounded(
                statistics.intervals(
                    ours.labels,
                    ours.probabilities,
                    parameters["resamples"],
                    parameters["confidence"],
                )
            ),
            "subgroups": subgroups,
            "calibration": statistics.calibration_curve(ours.labels, ours.probabilities),
        }
        checks = suites.quality_checks(measured, report["metrics"], self.bench.thresholds)
        return [*checks, *suites.subgroup_checks(subgroups, registered)], measured, details

    def _fairness(self, parameters: Mapping[str, Any]) -> tuple[Any, Any, Any]:
        subgroups = self._subgroups_by(parameters, parameters["attributes"])
        metrics = statistics.rounded(suites.fairness_metrics(subgroups))
        checks = suites.fairness_checks(metrics, self.bench.thresholds)
        kept = ("subgroup_auc_gap", "subgroup_bias")
        details = {"subgroups": subgroups, "gaps": metrics, "confidence": parameters["confidence"]}
        return checks, {name: metrics[name] for name in kept}, details

    def _comparison(self, parameters: Mapping[str, Any]) -> tuple[Any, Any, Any]:
        champion = self.champion
        if champion is None:
            raise InvalidInputError("suite comparison was planned without a champion")
        ours, theirs = self._ours([]), self._merged(champion["shards"])
        resamples, confidence = parameters["resamples"], parameters["confidence"]

        def paired(chosen: Sequence[int], **least: int) -> dict[str, Any]:
            found = statistics.paired(
                [ours.labels[row] for row in chosen],
                [theirs.probabilities[row] for row in chosen],
                [ours.probabilities[row] for row in chosen],
                resamples,
                confidence,
                **least,
            )
            return statistics.rounded(found)

        overall = {
            **paired(range(len(ours.labels))),
            "decisions": statistics.decisions(
                ours.labels, theirs.decisions, ours.decisions, confidence
            ),
        }
        subgroups = [
            {
                "attribute": attribute,
                "value": value,
                "rows": len(chosen),
                "positives": sum(ours.labels[row] for row in chosen),
                **paired(chosen, least=parameters["rows_per_label"]),
            }
            for attribute, value, chosen in self._groups([])
        ]
        details = {
            "champion": {key: champion[key] for key in ("model_package_arn", "candidate_id")},
            "confidence": confidence,
            "overall": overall,
            "subgroups": subgroups,
        }
        difference = overall["auc_difference"]
        metrics = {
            "champion_auc_difference": difference and difference["value"],
            "subgroups_not_judged": sum(not suites.is_judged(one) for one in subgroups),
        }
        checks = suites.comparison_checks(overall, subgroups, self.bench.thresholds)
        return checks, metrics, details

    def _ours(self, chosen: Sequence[Any]) -> Predictions:
        if not self._predictions:
            rows, _ = self._holdout(chosen)
            self._predictions.append(self._merged(self.shards, rows))
        return self._predictions[0]

    def _merged(self, shards: Sequence[Location], rows: int | None = None) -> Predictions:
        location = of_role(self.bench.objects, "holdout")
        documents = (self._document(shard) for shard in shards)
        return predictions.merged(documents, location["sha256"], rows)

    def _document(self, shard: Location) -> Any:
        bucket, key = parse_uri(shard["uri"])
        named = {key: shard[key] for key in ("version_id", "sha256")}
        return self.bench.artifacts.read_json(
            {"bucket": bucket, "key": key, **named}, LARGEST_SHARD
        )

    def _groups(self, chosen: Sequence[Any]) -> Groups:
        return self._holdout(chosen)[1]

    def _holdout(self, chosen: Sequence[Any]) -> tuple[int, Groups]:
        key = json.dumps(chosen)
        if key not in self._read:
            self._read[key] = groups_of(self.bench, chosen)
        return self._read[key]

    def _subgroups_by(
        self, parameters: Mapping[str, Any], chosen: Sequence[Any]
    ) -> list[dict[str, Any]]:
        settings = (parameters["resamples"], parameters["confidence"])
        key = json.dumps([settings, chosen])
        if key not in self._subgroups:
            ours = self._ours(chosen)
            self._subgroups[key] = [
                {
                    "attribute": attribute,
                    "value": value,
                    **statistics.rounded(
                        statistics.subgroup(
                            [ours.labels[row] for row in rows],
                            [ours.probabilities[row] for row in rows],
                            [ours.decisions[row] for row in rows],
                            *settings,
                            least=suites.ROWS_PER_LABEL,
                        )
                    ),
                }
                for attribute, value, rows in self._groups(chosen)
            ]
        return self._subgroups[key]


def _named(location: Location) -> dict[str, Any]:
    return {
        "uri": uri_of(location),
        "version_id": location.get("version_id", ""),
        "sha256": location.get("sha256", ""),
    }
