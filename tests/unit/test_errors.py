"""The state language matches an error by its bare name: none may stand in for another."""

from __future__ import annotations

import inspect
import itertools

import pytest

from governance.domain import errors

ERRORS = [value for value in vars(errors).values() if inspect.isclass(value)]


def test_the_vocabulary_is_these_five() -> None:
    assert {error.__name__ for error in ERRORS} == {
        "TransientError",
        "InvalidInputError",
        "IntegrityError",
        "AccessError",
        "NotFoundError",
    }


@pytest.mark.parametrize(
    ("one", "other"), list(itertools.permutations(ERRORS, 2)), ids=lambda error: error.__name__
)
def test_no_error_is_a_kind_of_another(one: type[Exception], other: type[Exception]) -> None:
    assert not issubclass(one, other)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_each_is_an_exception_of_its_own_and_hides_no_builtin(error: type[Exception]) -> None:
    """`except ValueError` somewhere in a library must not swallow one of ours."""
    assert error.__bases__ == (Exception,)
    assert error.__doc__
    assert str(error("what happened")) == "what happened"
