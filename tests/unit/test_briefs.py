"""Briefs: what is missing is the gate's answer, what is compared was measured on one holdout."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from governance.domain import briefs, comparisons
from governance.domain.comparisons import Side
from tests import briefing
from tests.briefing import CANDIDATE, CHAMPION, DESCRIBED, Ledger, brief, side
from tests.contracts import samples

OLD = side(CHAMPION)
NEW = side(CANDIDATE, model="model-2.tar.gz", auc=0.85)


def first() -> Ledger:
    """A first version that is ready to be signed."""
    ledger = Ledger()
    ledger.tested(NEW)
    ledger.reviewed(NEW)
    return ledger


def second() -> Ledger:
    """A version that is ready to replace another."""
    ledger = Ledger()
    ledger.tested(OLD)
    ledger.reviewed(OLD)
    ledger.released(OLD)
    ledger.tested(NEW)
    ledger.reviewed(NEW)
    return ledger


def rules(found: dict[str, Any]) -> list[str]:
    return [reason["rule"] for reason in found["missing"]]


def risks(found: dict[str, Any]) -> dict[str, str]:
    return {risk["what"]: risk["level"] for risk in found["risks"]}


# ---------------------------------------------------------------- what is missing


def test_nothing_is_missing_but_the_signature() -> None:
    found = brief(first(), NEW)
    assert found["answer"]["state"] == "ready"
    assert (found["missing"], found["break_glass"]) == ([], None)
    assert briefs.ASSUMED[0] in found["assumed"]
    assert "the objects in S3 are those that were promoted" in found["assumed"][-1]


def test_a_missing_review_is_named_with_who_can_give_it() -> None:
    ledger = Ledger()
    ledger.tested(NEW)
    ledger.reviewed(NEW, ["technical", "business", "deployment"])
    found = brief(ledger, NEW)
    assert found["answer"]["state"] == "blocked"
    assert rules(found) == ["required_reviews_given"]
    assert found["reviews"]["missing"] == [{"kind": "compliance", "by": "Governance Engineer"}]
    assert [one["kind"] for one in found["reviews"]["standing"]] == [
        "deployment",
        "business",
        "technical",
    ]


def test_before_the_tests_it_says_that_they_come_first() -> None:
    ledger = Ledger()
    ledger.promoted(NEW)
    found = brief(ledger, NEW)
    assert rules(found) == ["tests_passed_for_candidate", "required_reviews_given"]
    assert "tested first" in found["assumed"][-1]
    assert found["tests"] is None


@pytest.mark.parametrize(
    ("described", "rule", "what"),
    [
        ({"card_sections": []}, "model_card_complete", "The model card is incomplete"),
        (
            {"dataset_version": None},
            "dataset_version_known",
            "The training data is not known exactly",
        ),
        (
            {"image": {"uri": "elsewhere/image:1", "digest": None}},
            "image_scan_clean",
            "The image is not known to be clean",
        ),
    ],
    ids=["card", "data", "image"],
)
def test_what_the_version_does_not_say_is_missing_and_a_risk(
    described: dict[str, Any], rule: str, what: str
) -> None:
    found = brief(first(), NEW, described={**DESCRIBED, **described})
    assert rules(found) == [rule]
    assert risks(found)[what] == "high"


def test_before_the_tests_an_accepted_image_is_the_one_that_dev_saw() -> None:
    ledger = Ledger()
    ledger.promoted(NEW)
    found = brief(ledger, NEW)
    assert "image_scan_clean" not in rules(found)
    assert "The image is not known to be clean" not in risks(found)
    said = {risk["what"]: risk["detail"] for risk in found["risks"]}
    assert said["No scan of the image is known"] == briefing.IMAGE_IN_DEV["scan"]


def test_an_image_that_no_gate_saw_is_named_with_its_registry() -> None:
    ledger = Ledger()
    ledger.promoted(NEW)
    ledger.entries[-1]["verdict"] = {"allowed": True, "reasons": []}
    found = brief(ledger, NEW)
    assert "image_scan_clean" not in rules(found)  # its registry is one that the tier accepts
    said = {risk["what"]: risk["detail"] for risk in found["risks"]}
    assert said["No scan of the image is known"] == "no gate has looked yet"
    assert not any("scanned first" in one for one in found["assumed"])


def test_of_a_copy_in_central_the_scan_in_dev_says_nothing() -> None:
    uri = f"{samples.IMAGES_REPOSITORY}@{samples.IMAGE_DIGEST}"
    described = {**DESCRIBED, "image": {"uri": uri, "digest": None}}
    ledger = Ledger()
    ledger.promoted(NEW)
    ledger.entries[-1]["verdict"]["facts"]["image"] = {**briefing.IMAGE_IN_DEV, "critical": 0}
    found = brief(ledger, NEW, described=described)
    (missing,) = [one for one in found["missing"] if one["rule"] == "image_scan_clean"]
    assert missing["fact"] == f"image {uri}: no gate has looked yet"
    assert any("scanned first" in one for one in found["assumed"])
    scanned = {"uri": uri, "registry": samples.CENTRAL, "critical": 0, "scan": "done"}
    ledger.add("ValidationStarted", NEW, verdict={"facts": {"image": scanned}, "reasons": []})
    ledger.entries[-1] |= {"stage": "Test", "stage_status": "Validating"}
    found = brief(ledger, NEW, described=described)
    assert "image_scan_clean" not in rules(found)
    assert not any("scanned first" in one for one in found["assumed"])


def test_who_had_a_part_may_not_sign() -> None:
    barred = {one["person"]: one["rule"] for one in brief(first(), NEW)["may_not_sign"]}
    assert barred == {
        "theo": "approver_is_not_trainer",
        "dana": "approvers_are_different_people",
        "alex": "approvers_are_different_people",
        **dict.fromkeys(briefing.REVIEWERS.values(), "approver_is_not_reviewer"),
    }


def test_an_emergency_is_no_readiness() -> None:
    ledger = Ledger()
    ledger.tested(NEW)
    ledger.add(
        "BreakGlassRequested",
        NEW,
        "emil",
        stage="Prod",
        stage_status="BreakGlass-Requested",
        reason="Version 3 answers with errors for every tenth patient.",
    )
    found = brief(ledger, NEW)
    assert found["answer"]["state"] == "emergency"
    assert found["break_glass"]["waived"] == list(briefing.REVIEWERS)
    assert risks(found)["An emergency was declared by emil"] == "high"


def test_a_policy_that_is_not_recorded_denies_here_as_in_the_gate() -> None:
    ledger = first()
    ledger.entries[0]["policy"]["after"]["digest"] = "0" * 64
    assert rules(brief(ledger, NEW)) == ["policy_is_recorded"]


def test_a_changed_version_denies_and_is_the_first_risk() -> None:
    difference = {"name": "image", "expected": "a", "actual": "b"}
    found = brief(first(), NEW, differences=[difference])
    assert "candidate_unchanged" in rules(found)
    assert found["risks"][0]["what"] == "Changed since it was promoted"


def test_what_is_released_is_not_asked_about() -> None:
    found = brief(second(), OLD)
    assert found["answer"]["state"] == "decided"
    assert found["answer"]["text"] == "Prod/Deployed, decided by grace"
    assert (found["missing"], found["assumed"], found["may_not_sign"]) == ([], [], [])
    assert found["prod"]["is_this_version"]


def test_a_version_of_dev_must_be_promoted_first() -> None:
    ledger = Ledger()
    new = replace(NEW, model_package_arn=briefing.origin(7), evaluation={}, problems=["in Dev"])
    ledger.add("CandidateRegistered", new, stage="Dev", stage_status="Registered")
    found = brief(ledger, new, described=None)
    assert (found["phase"], found["answer"]["state"]) == ("Dev/Registered", "blocked")
    assert rules(found) == ["promotion"]
    assert "in Dev" in found["comparison"]["basis"]


# ---------------------------------------------------------------- candidate and champion


def test_the_first_release_has_nobody_to_compare_with() -> None:
    found = brief(first(), NEW)
    assert found["comparison"]["with"] is None
    assert "first release" in found["comparison"]["basis"]
    assert found["prod"]["serves"] is None
    assert found["prod"]["first_release"]
    assert {one["what"] for one in found["prod"]["container"]} > {"image", "model-data sha256"}
    assert all(one["now"] is None for one in found["prod"]["container"])
    assert found["rollback"]["target"] is None
    assert risks(found)["No rollback target"] == "medium"


def test_on_one_holdout_differences_say_what_is_better() -> None:
    found = brief(second(), NEW, OLD)
    compared = found["comparison"]
    assert compared["same_holdout"] is True
    assert compared["with"]["version"] == CHAMPION
    rows = {row["name"]: row for row in compared["metrics"]}
    assert rows["auc"]["difference"] == pytest.approx(0.03)
    assert rows["auc"]["better"] is True
    assert rows["brier"]["difference"] == 0
    assert rows["brier"]["better"] is None
    assert compared["uncertainty"] == comparisons.NO_INTERVAL


def _compared(with_: Side) -> dict[str, Any]:
    """A test report whose suite compared that version row by row."""
    bounds = {"value": 0.03, "low": -0.01, "high": 0.07}
    details = {
        "champion": {
            "model_package_arn": with_.model_package_arn,
            "candidate_id": with_.candidate_id,
        },
        "confidence": 0.99,
        "overall": {
            "auc_difference": bounds,
            "brier_difference": {"value": 0.0, "low": None, "high": None},
            "decisions": {"only_challenger_right": 5, "only_champion_right": 2, "p_value": 0.45},
        },
        "subgroups": [
            {"attribute": "sex", "value": "male", "rows": 40, "auc_difference": bounds},
            {
                **{"attribute": "sex", "value": "female", "rows": 40, "positives": 3},
                "auc_difference": {"value": -0.2, "low": None, "high": None},
            },
        ],
    }
    checks = [{"name": "AUC", "passed": True, "observed": "", "expected": ""}]
    result = {"suite": "comparison", "status": "passed", "checks": checks, "metrics": {}}
    return {"results": [{**result, "details": details}]}


def test_differences_have_the_intervals_that_the_tests_found() -> None:
    compared = brief(second(), replace(NEW, tests=_compared(OLD)), OLD)["comparison"]
    rows = {row["name"]: row["interval"] for row in compared["metrics"]}
    assert rows["auc"] == {"low": -0.01, "high": 0.07}
    assert rows["brier"] is None
    groups = {row["value"]: row["interval"] for row in compared["subgroups"]}
    assert groups == {"male": {"low": -0.01, "high": 0.07}, "female": None}
    few = "sex female has too few rows (3 positive, 37 negative)"
    left = {row["value"]: row["not_judged"] for row in compared["subgroups"]}
    assert left == {"male": None, "female": few}
    assert "99% intervals" in compared["uncertainty"]
    assert "candidate's 5 and the champion's 2" in compared["uncertainty"]


def test_intervals_against_another_version_than_the_champion_are_not_shown() -> None:
    compared = brief(second(), replace(NEW, tests=_compared(NEW)), OLD)["comparison"]
    assert {row["interval"] for row in compared["metrics"]} == {None}
    assert compared["uncertainty"] == comparisons.NO_INTERVAL


def test_a_subgroup_that_could_not_be_judged_is_a_risk() -> None:
    found = brief(second(), replace(NEW, tests=_compared(OLD)), OLD)
    said = {risk["what"]: risk["detail"] for risk in found["risks"]}
    few = said["Nothing tells whether it is worse for some subgroups"]
    assert few == "sex female has too few rows (3 positive, 37 negative)"
    unknown = brief(second(), NEW, OLD)
    assert "Nothing tells whether it is worse for some subgroups" not in risks(unknown)


def test_what_is_worse_on_one_holdout_is_a_risk() -> None:
    worse = side(CANDIDATE, model="model-2.tar.gz", brier=0.18)
    found = brief(second(), worse, OLD)
    assert risks(found)[f"Worse than version {CHAMPION} on the same holdout"] == "medium"


def test_another_holdout_is_never_compared() -> None:
    other = side(CHAMPION, holdout="holdout-of-last-year.csv", auc=0.99)
    found = brief(second(), NEW, other)
    compared = found["comparison"]
    assert compared["same_holdout"] is False
    assert compared["basis"].startswith("Not comparable")
    assert {row["difference"] for row in compared["metrics"]} == {None}
    assert {row["better"] for row in compared["metrics"]} == {None}
    assert {row["difference"] for row in compared["subgroups"]} == {None}
    assert {row["champion"] for row in compared["subgroups"]} == {None}
    assert risks(found)["Measured on another holdout"] == "medium"
    assert not any(what.startswith("Worse") for what in risks(found))


@pytest.mark.parametrize("whose", ["candidate", "champion"])
def test_a_report_that_names_the_champions_holdout_is_not_believed(whose: str) -> None:
    """The registered holdouts differ; a report that claims otherwise changes nothing."""
    old, new = OLD, side(CANDIDATE, holdout="easy.csv", auc=0.99)
    if whose == "candidate":
        new = replace(new, evaluation=briefing.report(auc=0.99))
    else:
        old = replace(old, evaluation=briefing.report(holdout="easy.csv", auc=0.5))
    found = brief(second(), new, old)
    compared = found["comparison"]
    assert compared["same_holdout"] is None
    assert {row["difference"] for row in compared["metrics"]} == {None}
    (said,) = compared["contradictions"]
    version = CANDIDATE if whose == "candidate" else CHAMPION
    assert said.startswith(f"the report of version {version} ")
    assert said in compared["basis"]
    assert risks(found)["Measured on a holdout that is not the registered one"] == "high"


def test_a_contradiction_counts_without_a_champion_too() -> None:
    new = replace(NEW, evaluation=briefing.report(holdout="easy.csv"))
    found = brief(first(), new)
    assert found["comparison"]["basis"].startswith("Not to be relied on")
    assert risks(found)["Measured on a holdout that is not the registered one"] == "high"


def in_parts(of: Side, sha256: str, part_sizes: list[list[int]]) -> Side:
    """The version with a holdout that was uploaded in parts."""
    artifacts = [
        one | ({"sha256": sha256, "part_sizes": part_sizes} if one["role"] == "holdout" else {})
        for one in of.manifest["artifacts"]
    ]
    return replace(of, manifest={**of.manifest, "artifacts": artifacts})


@pytest.mark.parametrize(
    ("theirs", "sizes", "same"),
    [
        ("a" * 64 + "-2", [[2, 8]], True),
        ("b" * 64 + "-2", [[2, 8]], False),
        ("b" * 64 + "-4", [[4, 4]], None),
    ],
    ids=["same", "other", "other parts"],
)
def test_of_a_holdout_in_parts_the_manifests_digests_count(
    theirs: str, sizes: list[list[int]], same: bool | None
) -> None:
    new, old = in_parts(NEW, "a" * 64 + "-2", [[2, 8]]), in_parts(OLD, theirs, sizes)
    found = brief(second(), new, old)
    compared = found["comparison"]
    assert (compared["same_holdout"], compared["contradictions"]) == (same, [])
    assert ("stored in another way" in compared["basis"]) == (same is None)
    assert ("Cannot be compared" in risks(found)) == (same is None)


def test_a_champion_without_a_report_is_not_compared() -> None:
    found = brief(second(), NEW, replace(OLD, evaluation={}, problems=["no JSON"]))
    assert found["comparison"]["same_holdout"] is None
    assert risks(found)["Cannot be compared"] == "medium"


def test_a_report_that_is_not_valid_is_said() -> None:
    broken = replace(NEW, evaluation={}, problems=["metrics.auc: is missing"])
    found = brief(first(), broken)
    assert risks(found)["No evaluation report can be read"] == "high"
    assert "metrics.auc: is missing" in found["comparison"]["basis"]
    assert (found["comparison"]["metrics"], found["comparison"]["subgroups"]) == ([], [])


@pytest.mark.parametrize(
    ("auc", "standing", "level"),
    [(0.9, "within", None), (0.8, "near", "medium"), (0.7, "missed", "high")],
)
def test_how_a_metric_stands_to_its_limit(auc: float, standing: str, level: str | None) -> None:
    found = brief(first(), replace(NEW, evaluation=briefing.report(auc=auc)))
    row = found["comparison"]["metrics"][0]
    assert (row["name"], row["standing"]) == ("auc", standing)
    assert row["limit"] == {"bound": "min", "value": 0.75}
    said = {
        risk["level"]: risk["detail"]
        for risk in found["risks"]
        if risk["what"].startswith("AUC ") and "holdout" in risk["detail"]
    }
    assert list(said) == ([level] if level else [])
    assert all("at least 0.75" in detail for detail in said.values())


def test_a_limit_counts_from_below_and_from_above() -> None:
    limits = {"auc_min": 0.5, "brier_max": 0.2}
    assert comparisons.against("auc", 0.54, limits) == "near"
    assert comparisons.against("auc", None, limits) == "missed"
    assert comparisons.against("brier", 0.17, limits) == "within"
    assert comparisons.against("brier", 0.21, limits) == "missed"
    assert comparisons.against("latency_p50_ms", 5, limits) is None


# ---------------------------------------------------------------- Prod, and the way back


def test_what_changes_in_prod_is_what_the_manifests_say() -> None:
    found = brief(second(), NEW, OLD)["prod"]
    assert found["serves"]["version"] == CHAMPION
    assert not found["is_this_version"]
    (changed,) = found["container"]
    assert changed["what"] == "model-data sha256"
    assert changed["now"] != changed["then"]
    assert found["beside"] == []
    assert found["instances"] == "2 x ml.m5.large"


@pytest.mark.parametrize(
    "role", ["model-data", "model-data-url", "channel/adapter", "additional-data"]
)
def test_all_that_an_endpoint_loads_is_what_changes_there(role: str) -> None:
    new = side(CANDIDATE)
    more = {**samples.origin_objects()[0], "role": role, "sha256": "e" * 64}
    kept = [one for one in new.manifest["artifacts"] if one["role"] != role]
    found = brief(
        second(), replace(new, manifest={**new.manifest, "artifacts": [*kept, more]}), OLD
    )
    changed = {one["what"]: one["then"] for one in found["prod"]["container"]}
    assert changed == {f"{role} sha256": "e" * 64}
    assert found["prod"]["beside"] == []


@pytest.mark.parametrize("role", ["holdout", "baseline/x", "specification/gpu/model-data"])
def test_what_an_endpoint_does_not_load_is_beside(role: str) -> None:
    new = side(CANDIDATE)
    more = {**samples.origin_objects()[0], "role": role, "sha256": "e" * 64}
    kept = [one for one in new.manifest["artifacts"] if one["role"] != role]
    found = brief(
        second(), replace(new, manifest={**new.manifest, "artifacts": [*kept, more]}), OLD
    )
    assert found["prod"]["container"] == []
    assert found["prod"]["beside"] == [f"{role} sha256"]


def test_image_and_environment_are_named() -> None:
    new = side(CANDIDATE)
    container = new.manifest["inference_specification"]["Containers"][0]
    container["Image"] = "other:2"
    container["Environment"]["WORKERS"] = "2"
    new.manifest["code_commit"] = "1" * 40
    found = brief(second(), new, OLD)["prod"]
    assert {one["what"]: (one["now"] is None, one["then"]) for one in found["container"]} == {
        "environment WORKERS": (True, "2"),
        "image": (False, "other:2"),
    }
    assert found["beside"] == ["code_commit"]


def test_a_container_that_came_is_named_by_its_number() -> None:
    new = side(CANDIDATE)
    new.manifest["inference_specification"]["Containers"].append(
        {"Image": "features:1", "ModelDataUrl": "artifact:model-data-2"}
    )
    found = brief(second(), new, OLD)
    assert {one["what"]: (one["now"], one["then"]) for one in found["prod"]["container"]} == {
        "container 2: image": (None, "features:1")
    }
    assert found["lineage"]["further_images"] == [{"uri": "features:1", "digest": None}]
    assert "The image is named by a tag" in {risk["what"] for risk in found["risks"]}


def test_the_scans_of_all_images_are_what_the_gates_saw() -> None:
    features = {"uri": "features:1", "registry": None, "critical": 3, "scan": "done"}
    named = {"uri": "features:1", "digest": None}
    ledger = second()
    for entry in ledger.entries:
        if (entry.get("verdict") or {}).get("facts"):
            entry["verdict"]["facts"]["further_images"] = [features]
    found = brief(ledger, NEW, OLD, described={**DESCRIBED, "further_images": [named]})
    facts = [one["fact"] for one in found["missing"] if one["rule"] == "image_scan_clean"]
    assert facts == ["image features:1: its scan has 3 critical findings"]


def test_all_that_a_scan_found_is_a_risk_also_where_the_gate_lets_it_pass() -> None:
    found = {"CRITICAL": 0, "HIGH": 2, "LOW": 31}
    ledger = second()
    for entry in ledger.entries:
        kept = (entry.get("verdict") or {}).get("facts")
        if kept:
            kept["image"] = {**kept["image"], "critical": 0, "findings": found, "scan": "done"}
    risks = brief(ledger, NEW, OLD)["risks"]
    (scanned,) = (one for one in risks if one["what"] == "The scan of an image found something")
    assert scanned["level"] == "medium"
    assert scanned["detail"].endswith(": 2 high, 31 low")
    assert not [one for one in risks if one["what"] == "No scan of the image is known"]


def test_the_way_back_is_what_serves_now() -> None:
    found = brief(second(), NEW, OLD)["rollback"]
    assert found["target"]["version"] == CHAMPION
    assert found["target"]["fit"]
    assert found["target"]["signed_by"] == "grace"


@pytest.mark.parametrize(
    ("kind", "more", "said"),
    [
        ("VersionRecalled", {"stage": "Prod", "stage_status": "Recalled"}, "it is Prod/Recalled"),
        ("ApprovalsVoided", {"differences": []}, "it was changed after its release"),
    ],
)
def test_a_way_back_that_is_not_fit_is_a_grave_risk(
    kind: str, more: dict[str, Any], said: str
) -> None:
    ledger = second()
    ledger.add(kind, OLD, "mallory", **more)
    found = brief(ledger, NEW, OLD)
    assert not found["rollback"]["target"]["fit"]
    assert said in found["rollback"]["text"]
    assert risks(found)["The rollback target is not fit"] == "high"


def test_the_last_drill_of_the_way_back_is_told_and_a_failed_one_is_a_grave_risk() -> None:
    ledger = second()
    assert brief(ledger, NEW, OLD)["rollback"]["target"]["last_drill"] is None
    drilled = {"from": NEW.model_package_arn, "to": OLD.model_package_arn}
    at = {"stage": "Prod", "stage_status": "Drill-Requested"}
    broken = drilled | {"proven": False, "said": "failed: no answer"}
    ledger.add("DrillFailed", OLD, "grace", drill=broken, **at)
    found = brief(ledger, NEW, OLD)
    assert found["rollback"]["target"]["fit"]  # a drill moves no version
    assert not found["rollback"]["target"]["last_drill"]["proven"]
    assert risks(found)["The last drill of the way back failed"] == "high"
    holds = drilled | {"proven": True, "said": "the sample got HTTP 200", "seconds": 231}
    ledger.add("RollbackDrilled", OLD, "alex", drill=holds, **at)
    found = brief(ledger, NEW, OLD)
    last = found["rollback"]["target"]["last_drill"]
    assert (last["proven"], last["seconds"], last["person"]) == (True, 231, "alex")
    assert "The last drill of the way back failed" not in risks(found)


def test_what_serves_is_compared_with_what_served_before() -> None:
    ledger = second()
    ledger.released(NEW)
    opponent = briefs.opponent(ledger.entries, "clinical-risk", NEW.model_package_arn)
    assert opponent is not None
    assert opponent["model_package_arn"] == OLD.model_package_arn
    replaced = briefs.opponent(ledger.entries, "clinical-risk", OLD.model_package_arn)
    assert replaced is not None
    assert replaced["model_package_arn"] == NEW.model_package_arn
    assert briefs.opponent(ledger.entries, "another", NEW.model_package_arn) is None
    newest = briefs.opponent(ledger.entries, "clinical-risk", briefing.arn(9))
    assert newest is not None
    assert newest["model_package_arn"] == NEW.model_package_arn


def test_what_comes_back_is_compared_with_what_it_replaces() -> None:
    ledger = second()
    ledger.released(NEW)
    ledger.add("CandidateSuperseded", OLD, stage="Prod", stage_status="Superseded")
    found = brief(ledger, OLD, NEW)
    assert found["comparison"]["with"]["version"] == CANDIDATE
    assert not found["prod"]["first_release"]
    assert found["prod"]["serves"]["version"] == CANDIDATE
    assert found["rollback"]["target"]["version"] == CANDIDATE
    ledger.released(OLD)
    ledger.released(OLD)
    again = briefs.opponent(ledger.entries, "clinical-risk", OLD.model_package_arn)
    assert again is not None
    assert again["model_package_arn"] == NEW.model_package_arn


def test_the_only_version_that_was_ever_released_replaces_nothing() -> None:
    ledger = first()
    ledger.released(NEW)
    assert briefs.opponent(ledger.entries, "clinical-risk", NEW.model_package_arn) is None


# ---------------------------------------------------------------- risks


def test_what_happened_before_is_not_forgotten() -> None:
    ledger = first()
    ledger.add("ValidationFailed", NEW, summary={"reasons": list("abcd")})
    ledger.add("VersionRejected", NEW, stage="Test", stage_status="Rejected")
    ledger.add("ApprovalsVoided", NEW, differences=[{"name": "image"}])
    found = brief(ledger, NEW)
    said = {risk["what"]: risk["detail"] for risk in found["risks"]}
    number = len(ledger.entries)
    assert said[f"Tests failed before (entry {number - 2})"] == "a; b; c; and 1 more"
    assert said[f"Rejected before (entry {number - 1})"] == "no reason is recorded"
    assert said[f"Tampering recorded in entry {number}"].startswith("image")
    levels = [risk["level"] for risk in found["risks"]]
    assert levels == sorted(levels, key=("high", "medium", "low").index)


@pytest.mark.parametrize(
    ("kind", "said", "what", "detail"),
    [
        (
            *("ReleaseRolledBack", {"alarms": [], "reason": "after a trial: undecided"}),
            *("A release was taken back before", "after a trial: undecided"),
        ),
        (
            *("ReleaseRolledBack", {"alarms": ["slow"], "reason": "taken back by the alarm slow"}),
            *("A release was taken back before", "slow"),
        ),
        (
            *("ReleaseErrored", {"failure": {"Error": "SmokeTestFailed", "Cause": "HTTP 500"}}),
            *("A release broke off before", "SmokeTestFailed"),
        ),
    ],
)
def test_why_a_release_did_not_come_to_its_end_is_told(
    kind: str, said: dict[str, Any], what: str, detail: str
) -> None:
    ledger = first()
    ledger.add(kind, NEW, stage="Prod", stage_status="RolledBack", **said)
    (risk,) = (one for one in brief(ledger, NEW)["risks"] if one["what"].startswith(what))
    assert risk == {
        **{"level": "medium", "what": f"{what} (entry {len(ledger.entries)})"},
        "detail": detail,
    }


def test_reviews_that_expire_or_do_not_count_are_risks() -> None:
    ledger = first()
    ledger.entries[-1]["objections"] = ["it is not the candidate any more"]
    ledger.add(
        "ReviewRevoked",
        NEW,
        stage="Prod",
        stage_status="Technical-Revoked",
        review="technical",
        reason="a leak",
        approver=briefing.identity("ai-engineer", "tess"),
    )
    found = brief(ledger, NEW, asked_at="2026-12-18T06:00:00Z")
    named = risks(found)
    assert named["The business review expires soon"] == "medium"
    assert named["tess took back the technical review"] == "medium"
    assert named["A deployment review of remy does not count"] == "low"
    missing = [one["kind"] for one in found["reviews"]["missing"]]
    assert missing == ["technical", "deployment"]


def test_data_image_and_weakest_group_are_named() -> None:
    named = risks(brief(second(), NEW, OLD))
    assert named["Trained on the same data"] == "low"
    assert named["No scan of the image is known"] == "medium"
    assert named["Weakest for sex male"] == "low"
    other = side(CHAMPION)
    other.manifest["training_data"][0]["sha256"] = "1" * 64
    unnamed = replace(other, manifest={**other.manifest, "training_data": None})
    assert risks(brief(second(), NEW, other))["Trained on other data"] == "low"
    assert not any("Trained" in what for what in risks(brief(second(), NEW, unnamed)))


def test_an_image_that_is_named_by_a_tag_is_a_risk() -> None:
    new = side(CANDIDATE)
    found = brief(first(), new)
    assert "The image is named by a tag" not in risks(found)
    assert found["lineage"]["image"] == {"uri": samples.IMAGE, "digest": samples.IMAGE_DIGEST}
    new.manifest["inference_specification"]["Containers"][0]["Image"] = "elsewhere/image:1"
    assert risks(brief(first(), new))["The image is named by a tag"] == "medium"


def test_an_image_has_the_name_that_it_came_by() -> None:
    other = "sha256:" + "d" * 64
    new = side(CANDIDATE)
    new.manifest["inference_specification"]["Containers"][0]["Image"] = f"image:{other}"
    new.manifest["images"] = [{"uri": "123456789012.dkr.ecr.eu-west-1.x/m:2", "digest": other}]
    found = brief(second(), new, OLD)["prod"]
    assert found["container"] == [
        {
            "what": "image",
            "now": f"{samples.IMAGE}@{samples.IMAGE_DIGEST}",
            "then": f"123456789012.dkr.ecr.eu-west-1.x/m:2@{other}",
            "served": True,
        }
    ]
    assert found["beside"] == []


def test_words_for_people() -> None:
    assert comparisons.words("latency_p95_ms") == "p95 latency (ms)"
    assert comparisons.words("auc") == "AUC"
    assert comparisons.number(None) == "not measured"
    assert comparisons.number(123.456) == "123.5"
    assert comparisons.bound({"bound": "max", "value": 0.2}) == "at most 0.2"
    assert comparisons.bound(None) == ""
