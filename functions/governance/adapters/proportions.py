"""Tests of proportions, by scipy, which a layer brings for the functions that need them.

Imported when a trial is looked at, not with this module, as in adapters/statistics.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping


def allowed(alpha: float, look: int, looks: int) -> float:
    """What this look may use of `alpha`, so that all looks together use no more than that.

    Lan and DeMets' spending function of the O'Brien-Fleming type: little at first, most at last.
    """
    before = _spent(alpha, look - 1, looks) if look > 1 else 0.0
    return _spent(alpha, look, looks) - before


def worse(challenger: Mapping[str, int], champion: Mapping[str, int]) -> float:
    """Fisher's exact test that the challenger {requests, errors} fails more often; its p-value."""
    from scipy.stats import fisher_exact

    if not challenger["requests"] or not champion["requests"]:
        return 1.0
    table = [[one["errors"], one["requests"] - one["errors"]] for one in (challenger, champion)]
    return float(fisher_exact(table, alternative="greater").pvalue)


def as_good(
    challenger: Mapping[str, int], champion: Mapping[str, int], margin: float, allowed: float
) -> float:
    """A test that the challenger's share of errors is less than `margin` above the champion's; its
    p-value, which is wrong at most as often as it says.

    Both shares are known from requests only, so both may err. Half of what is `allowed` pays for
    the champion's share being smaller than Clopper and Pearson's exact limit of it, and is added to
    the p-value of the binomial test against that limit, as Berger and Boos do.
    """
    from scipy.stats import binomtest

    if not challenger["requests"] or not champion["requests"]:
        return 1.0
    paid = allowed / 2
    observed = binomtest(champion["errors"], champion["requests"], alternative="greater")
    least = float(observed.proportion_ci(1 - paid, method="exact").low)
    against = min(1.0, least + margin)
    return min(1.0, paid + below(challenger["errors"], challenger["requests"], against))


def below(found: int, of: int, share: float) -> float:
    """The binomial test that less than `share` of all are like the ones found; its p-value."""
    return _binomial(found, of, share, "less")


def above(found: int, of: int, share: float) -> float:
    """The binomial test that more than `share` of all are like the ones found; its p-value."""
    return _binomial(found, of, share, "greater")


def _binomial(found: int, of: int, share: float, side: str) -> float:
    from scipy.stats import binomtest

    return float(binomtest(found, of, share, alternative=side).pvalue) if of else 1.0


def _spent(alpha: float, look: int, looks: int) -> float:
    from scipy.stats import norm

    return float(2 * norm.sf(norm.isf(alpha / 2) / math.sqrt(look / looks)))
