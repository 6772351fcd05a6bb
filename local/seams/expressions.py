"""Conditions of DynamoDB: the emulator checks an expression's grammar anew for each item it reads.

That is most of what a query of a long ledger takes, and depends on the expression alone.
"""

from __future__ import annotations

from functools import lru_cache

from ministack.services import dynamodb

from local.seams.assertions import require_parameters, require_source

_EXPRESSIONS = 1024  # ours are some tens


def install() -> None:
    """Check the grammar of an expression once; SeamError if the emulator does it otherwise."""
    check = dynamodb._condition_syntax_error
    require_parameters("expressions", check, "expr", "slot")
    require_source(
        "expressions", dynamodb._evaluate_condition, "_condition_syntax_error(expr, slot)"
    )
    dynamodb._condition_syntax_error = lru_cache(_EXPRESSIONS)(check)
