"""Trials: the challenger beside the champion, on Prod's own requests, before it may replace it.

An A/B trial gives the challenger a part of the traffic and looks at the errors, look by look, with
one allowance for false alarms that all looks share. A shadow trial sends it copies and compares the
answers that nobody saw. What a trial ends with is a decision: promote, roll back, or ask a person.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from governance.domain.deployments import name
from governance.domain.errors import InvalidInputError
from governance.domain.gates import one_line

Deployment = Mapping[str, Any]

CHALLENGER = "Challenger"
CONTINUE, PROMOTE, ROLL_BACK, ASK = "continue", "promote", "roll-back", "ask"
# A challenger is as good when its share of errors is surely less than this above the champion's.
MARGIN = 0.01
SHADOW_ALPHA = 0.05
# How often the challenger's alarms are asked for: each time is three state transitions and an
# invocation of some 0.00008 USD, and an execution has 25,000 events.
_SHORTEST_POLL, _MOST_POLLS = 60, 500  # seconds; times in a trial
_LONGEST_REASON = 300  # characters of what CloudWatch says of one alarm
_NEAR = 0.05  # numbers that differ by less, of the greater one, are the same answer
_KEPT = ("VariantName", "ModelName", "InstanceType", "InitialInstanceCount")


def is_trial(strategy: Mapping[str, Any]) -> bool:
    """Whether a strategy tries the challenger beside the champion first."""
    return strategy["type"] in ("a-b", "shadow")


def plan(
    deployment: Deployment,
    endpoint: Mapping[str, Any],
    config: Mapping[str, Any],
    tags: Mapping[str, str],
) -> dict[str, Any]:
    """{deployment, champion, look_seconds, polls, poll_seconds}: what is deployed, and when asked.

    A look at an A/B trial has so many `polls`, in which only the challenger's alarms are asked for.

    `endpoint` and `config` are what serves (DescribeEndpoint, DescribeEndpointConfig). The champion
    keeps its instances and its weight; the challenger's weight is its share of that. `tags` are the
    endpoint's: if it fails and has to be made anew, it says again what it serves.
    InvalidInputError for an endpoint that serves more than one variant.
    """
    strategy = deployment["release"]["strategy"]
    variants = config["ProductionVariants"]
    if [variant["VariantName"] for variant in variants] != [deployment["variant_name"]]:
        raise InvalidInputError(
            f"endpoint {deployment['endpoint_name']} serves the variants "
            f"{', '.join(variant['VariantName'] for variant in variants)}; a trial expects "
            f"{deployment['variant_name']} alone: end what is going on there first"
        )
    served = {variant["VariantName"]: variant for variant in endpoint["ProductionVariants"]}
    weight = float(served[deployment["variant_name"]].get("DesiredWeight", 1.0)) or 1.0
    champion = {member: variants[0][member] for member in _KEPT if member in variants[0]}
    # Not the definition's count: what autoscaling has made of the champion's must stay.
    kept = {"release": None, "autoscaling": None, "instance_count": _count(variants[0])}
    config_name = name(deployment["endpoint_name"], "trial", deployment["claim_id"][:10])
    return {
        "deployment": {
            **deployment,
            **kept,
            "config_name": config_name,
            "data_capture": _capture(deployment, config_name),
            "trial": {
                "type": strategy["type"],
                "champion": {**champion, "InitialVariantWeight": weight},
                "challenger": {
                    "VariantName": CHALLENGER,
                    "ModelName": deployment["model_name"],
                    "InstanceType": deployment["instance_type"],
                    "InitialInstanceCount": deployment["instance_count"],
                    "InitialVariantWeight": _weight(strategy, weight),
                },
            },
        },
        "champion": {
            **deployment,
            **kept,
            "config_name": config["EndpointConfigName"],
            "model_name": champion["ModelName"],
            "data_capture": None,
            "tags": {key: value for key, value in tags.items() if not key.startswith("aws:")},
            "exists": True,
        },
        **_polls(strategy),
    }


def _polls(strategy: Mapping[str, Any]) -> dict[str, int]:
    if strategy["type"] != "a-b":
        # Nobody is answered by a shadow: nothing of it has to end early.
        seconds = int(strategy["seconds"])
        return {"look_seconds": seconds, "polls": 1, "poll_seconds": seconds}
    seconds = int(strategy["look_seconds"])
    every = max(_SHORTEST_POLL, math.ceil(seconds * strategy["looks"] / _MOST_POLLS))
    polls = max(1, seconds // every)
    return {
        "look_seconds": seconds,
        "polls": polls,
        "poll_seconds": math.ceil(seconds / polls),
    }


def look_of(poll: int, polls: int) -> int | None:
    """Which look is taken with this poll, both from 1 on; None if it is one in between."""
    return poll // polls if poll % polls == 0 else None


def still(poll: int) -> dict[str, Any]:
    """The decision of a poll in between: nothing was raised, so the trial goes on."""
    return _decision(CONTINUE, f"no alarm of the challenger by poll {poll}", 0)


def alarmed(raised: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """The decision when alarms [{name, reason}] of the challenger were raised: it has lost."""
    said = "; ".join(f"{one['name']} ({one['reason'][:_LONGEST_REASON]})" for one in raised)
    return {
        **_decision(ROLL_BACK, f"the challenger set off an alarm: {said}", 0),
        "alarms": [one["name"] for one in raised],
    }


def variants(trial: Mapping[str, Any]) -> dict[str, Any]:
    """CreateEndpointConfig's variants for a trial."""
    if trial["type"] == "shadow":
        return {
            "ProductionVariants": [trial["champion"]],
            "ShadowProductionVariants": [trial["challenger"]],
        }
    return {"ProductionVariants": [trial["champion"], trial["challenger"]]}


def counts(counted: Mapping[str, float]) -> dict[str, int]:
    """{requests, errors} as whole numbers; CloudWatch adds up floating ones."""
    requests = round(counted["requests"])
    return {"requests": requests, "errors": min(requests, round(counted["errors"]))}


def judge_errors(
    strategy: Mapping[str, Any],
    look: int,
    champion: Mapping[str, float],
    challenger: Mapping[str, float],
    found: Mapping[str, float],
) -> dict[str, Any]:
    """The decision of one look of an A/B trial, from {requests, errors} of each since its start.

    `found` are the p-values: `worse` that the challenger fails more often, `as_good` that it fails
    by less than MARGIN more often; `allowed` is what this look may use of alpha. Neither at the
    last look is undecided, and the strategy says what to do about that.
    """
    looks = strategy["looks"]
    old, new = counts(champion), counts(challenger)
    said = (
        f"look {look} of {looks}: the challenger failed {new['errors']} of {new['requests']} "
        f"requests, the champion {old['errors']} of {old['requests']} (worse: p = "
        f"{found['worse']:.3g}, as good: p = {found['as_good']:.3g}, allowed: "
        f"{found['allowed']:.3g})"
    )
    if found["worse"] <= found["allowed"]:
        return _decision(ROLL_BACK, f"the challenger is worse; {said}", look)
    if found["as_good"] <= found["allowed"]:
        return _decision(PROMOTE, f"the challenger is as good; {said}", look)
    if look < looks:
        return _decision(CONTINUE, said, look)
    return _undecided(strategy["undecided"], said, look)


def judge_answers(
    strategy: Mapping[str, Any],
    counted: tuple[int, int],
    champion: Mapping[str, float],
    challenger: Mapping[str, float],
    found: Mapping[str, float],
) -> dict[str, Any]:
    """The decision of a shadow trial: how many of the pairs of answers differ, of how many.

    `found` are the p-values: `worse` that the shadow fails more often, `more` and `fewer` that its
    answers differ more or less often than they may. One with more errors is worse, whatever it
    answers otherwise.
    """
    old, new = counts(champion), counts(challenger)
    if found["worse"] <= SHADOW_ALPHA:
        return _decision(
            ROLL_BACK,
            f"the shadow failed {new['errors']} of {new['requests']} requests, the champion "
            f"{old['errors']} of {old['requests']} (p = {found['worse']:.3g})",
            1,
        )
    different, both = counted
    if not both:
        return _undecided(ASK, "no request was answered by both", 1)
    most = strategy["max_disagreement"]
    said = f"{different} of {both} answers differ; {most:.1%} may"
    if found["more"] <= SHADOW_ALPHA:
        return _decision(
            ROLL_BACK, f"the shadow answers otherwise: {said} (p = {found['more']:.3g})", 1
        )
    if found["fewer"] <= SHADOW_ALPHA:
        return _decision(PROMOTE, f"the shadow answers alike: {said} (p = {found['fewer']:.3g})", 1)
    return _undecided(ASK, f"{said}, and there are too few to tell", 1)


def judge_withdrawn(by: Sequence[str], look: int) -> dict[str, Any]:
    """The decision about a challenger whose approval the entries `by` have taken back."""
    return _decision(
        ROLL_BACK, f"what it was approved by does not stand any more: {', '.join(by)}", look
    )


def differing(answers: Sequence[tuple[str, str]]) -> tuple[int, int]:
    """(how many of the pairs differ, how many there are)."""
    return sum(not same_answer(one, other) for one, other in answers), len(answers)


def same_answer(one: str, other: str) -> bool:
    """Whether two answers say the same; numbers may differ a little, as models do."""
    try:
        return _alike(json.loads(one), json.loads(other))
    except ValueError:
        return one.strip() == other.strip()


def pairs(
    champion: Iterable[Mapping[str, Any]], challenger: Iterable[Mapping[str, Any]]
) -> list[tuple[str, str]]:
    """The answers to the same requests, from captured lines.

    What belongs together is told by the client's InferenceId, otherwise by the request itself:
    SageMaker gives each captured answer an id of its own.
    """
    waiting: dict[str, list[str]] = defaultdict(list)
    for line in champion:
        waiting[_request_of(line)].append(_answer_of(line))
    found = []
    for line in challenger:
        answers = waiting.get(_request_of(line))
        if answers:
            found.append((answers.pop(0), _answer_of(line)))
    return found


def _count(variant: Mapping[str, Any]) -> int:
    return int(variant.get("InitialInstanceCount", 1))


def _weight(strategy: Mapping[str, Any], champion: float) -> float:
    if strategy["type"] == "shadow":
        return champion * float(strategy["sample_percent"]) / 100
    percent = float(strategy["challenger_percent"])
    return champion * percent / (100 - percent)


def _capture(deployment: Deployment, config_name: str) -> dict[str, Any] | None:
    """A shadow's answers are in what is captured, and nowhere else."""
    capture: dict[str, Any] | None = deployment.get("data_capture")
    if deployment["release"]["strategy"]["type"] != "shadow":
        return capture
    _, _, _, region, account, _ = deployment["endpoint_arn"].split(":")
    return {
        "percent": 100,
        "uri": f"s3://governed-path-capture-{account}-{region}/trials/{config_name}",
        "kms_key": "alias/governed-path",
    }


def _decision(decision: str, said: str, look: int) -> dict[str, Any]:
    return {"decision": decision, "said": one_line(said), "look": look}


def _undecided(what: str, said: str, look: int) -> dict[str, Any]:
    if what == ROLL_BACK:
        return _decision(ROLL_BACK, f"undecided, so the champion stays; {said}", look)
    remedy = (
        "to release it without this trial, publish a deployment definition with another strategy, "
        "have the version tested with it and approve it; or reject it"
    )
    return _decision(ASK, f"undecided: {remedy}; {said}", look)


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=_NEAR, abs_tol=1e-9)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    return bool(one == other)


def _request_of(line: Mapping[str, Any]) -> str:
    identity = line.get("eventMetadata", {}).get("inferenceId")
    if identity:
        return f"id {identity}"
    return f"data {line['captureData']['endpointInput']['data']}"


def _answer_of(line: Mapping[str, Any]) -> str:
    return str(line["captureData"]["endpointOutput"]["data"])
