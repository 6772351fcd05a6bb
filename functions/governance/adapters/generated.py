"""Requests that Hypothesis makes up from a model's sample: the same ones every time.

Imported when the robustness suite runs, not with this module.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

# Of every alphabet some: a table of all of Unicode would take seconds to make, in each cold start.
_LETTERS = (
    "".join(map(chr, range(128)))
    + "\u00e4\u00df\u0130\u0661\u202e\u2028\u4e16\ufeff\ufffd\U0001f4a3"
)


def requests(sample: dict[str, Any], count: int) -> list[bytes]:
    """`count` request bodies: the sample with values of every kind in it, other JSON, and bytes."""
    from unittest.mock import patch

    from hypothesis import HealthCheck, Phase, configuration, given, settings
    from hypothesis import strategies as st
    from hypothesis.internal.conjecture import providers
    from hypothesis.internal.constants_ast import Constants

    # Lambda can write nowhere else, and what was found is not looked for again.
    configuration.set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "hypothesis")
    short, long = st.text(_LETTERS, max_size=20), st.text(_LETTERS, max_size=40)
    values = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        long,
        st.lists(st.integers(), max_size=3),
    )
    like = sample["instances"][0]
    instance = st.builds(
        lambda known, more: {**more, **known},
        st.fixed_dictionaries({name: st.just(like[name]) | values for name in like}),
        st.dictionaries(short, values, max_size=2),
    )
    anything = st.recursive(
        values,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(short, inner, max_size=4),
        max_leaves=12,
    )
    bodies = st.one_of(
        st.lists(instance, min_size=1, max_size=3).map(_request),
        anything.map(_request),
        anything.map(lambda value: json.dumps(value).encode()),
        st.binary(min_size=1, max_size=200),
    )
    found: list[bytes] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(bodies)
    def collect(body: bytes) -> None:
        found.append(body)

    # It would mix in constants out of the source of every module that is loaded: those of libraries
    # too where they are in a layer, which takes seconds, and others wherever it runs.
    with patch.object(providers, "_get_local_constants", Constants):
        collect()
    return found


def _request(instances: Any) -> bytes:
    return json.dumps({"instances": instances}).encode()
