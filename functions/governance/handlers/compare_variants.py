"""CompareVariants: one look at a trial, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from governance import contracts
from governance.adapters import proportions
from governance.adapters.alarms import Alarms
from governance.adapters.endpoints import Endpoints
from governance.adapters.ledger import Ledger
from governance.adapters.observations import Observations
from governance.adapters.sessions import Sessions
from governance.domain import clearance, trials
from governance.domain.errors import NotFoundError
from governance.entry import claim_of, entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Read what both variants did since the trial began; {decision, said, look, alarms?}.

    A challenger that somebody has taken back since its approval, or that has set off one of its
    alarms, has lost, whatever the numbers say: also in a poll between two looks, in which nothing
    else is asked for.
    """
    request = contracts.request("compare_variants", event)
    promotion = request["promotion"]
    story = Ledger(settings.ledger_table).story(promotion["model"], promotion["model_package_arn"])
    withdrawn = clearance.withdrawn_by(story, promotion)
    if withdrawn:
        return trials.judge_withdrawn(withdrawn, -(-request["poll"] // request["polls"]))
    trial, strategy = request["trial"], request["deployment"]["release"]["strategy"]
    session = Sessions(settings, claim_of(event)).hub(trial["account"])
    names = request["alarms"]
    raised = Alarms(session).raised(names, request["since"]) if names else []
    if raised:
        return trials.alarmed(raised)
    look = trials.look_of(request["poll"], request["polls"])
    if look is None:
        return trials.still(request["poll"])
    config = Endpoints(session).find_config(trial["config_name"])
    if config is None:
        raise NotFoundError(
            f"config {trial['config_name']} of the trial is gone: deleted meanwhile"
        )
    observations = Observations(session)
    champion, challenger = (
        trials.counts(
            observations.counts(
                trial["endpoint_name"], variant, trial["config_name"], config["CreationTime"]
            )
        )
        for variant in (trial["variant_name"], trials.CHALLENGER)
    )
    worse = proportions.worse(challenger, champion)
    if strategy["type"] == "shadow":
        return _answers(observations, trial, strategy, champion, challenger, worse)
    allowed = proportions.allowed(strategy["alpha"], look, strategy["looks"])
    as_good = proportions.as_good(challenger, champion, trials.MARGIN, allowed)
    found = {"worse": worse, "as_good": as_good, "allowed": allowed}
    return trials.judge_errors(strategy, look, champion, challenger, found)


def _answers(
    observations: Observations,
    trial: Mapping[str, Any],
    strategy: Mapping[str, Any],
    champion: Mapping[str, int],
    challenger: Mapping[str, int],
    worse: float,
) -> dict[str, Any]:
    uri = trial["data_capture"]["uri"]
    answers = trials.pairs(
        observations.captured(uri, trial["endpoint_name"], trial["variant_name"]),
        observations.captured(uri, trial["endpoint_name"], trials.CHALLENGER),
    )
    different, both = trials.differing(answers)
    most = strategy["max_disagreement"]
    found = {
        "worse": worse,
        "fewer": proportions.below(different, both, most),
        "more": proportions.above(different, both, most),
    }
    return trials.judge_answers(strategy, (different, both), champion, challenger, found)
