"""Options that commands share, and what they are parsed into."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any, TypeVar

import click

PERSONAS = ("data-scientist", "ai-engineer", "governance-engineer", "admin")
STAGES = ("dev", "test", "prod")
TIERS = ("low", "medium", "high")
REVIEWS = ("technical", "business", "compliance", "deployment")

_ACCOUNT = re.compile(r"\d{12}")
_PERSON = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)  # sts:SourceIdentity
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")  # SageMaker's groups and endpoints

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Options:
    """Where to act and as whom. `user` and `profile` are None unless they were given."""

    persona: str
    target: str = "local"
    profile: str | None = None
    region: str | None = None
    user: str | None = None
    central_account: str | None = None
    as_json: bool = False


def moment(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """A time in the past as ISO-8601 text in UTC; a date alone is the end of that day."""
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError as error:
        raise click.BadParameter(
            f"{value!r} is not a time; expected ISO-8601 like 2026-11-21, 2026-11-21T09:30 or "
            "2026-11-21T09:30:00+01:00"
        ) from error
    if len(value) == len("2026-11-21"):
        found += timedelta(days=1, seconds=-1)
    found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    if found.replace(hour=0, minute=0, second=0, microsecond=0) > datetime.now(UTC):
        raise click.BadParameter(f"{value!r} is in the future; nobody knows yet")
    return found.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


AT = click.option(
    "--at",
    callback=moment,
    metavar="TIME",
    help="As it was then, by the ledger: ISO-8601, UTC if nothing else; a date is its end.",
)


REGISTRY = click.option(
    "--registry",
    type=click.Choice(["central", "dev"]),
    default="central",
    show_default=True,
    help="Whose version number VERSION is.",
)


def waiting(seconds: float, said: str) -> Callable[[Any], Any]:
    """The option --timeout; `said` is what it is the longest time of."""
    return click.option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        default=seconds,
        show_default=True,
        metavar="SECONDS",
        help=said,
    )


def account_id(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """A 12-digit account id; click's usage error names what was given instead."""
    if value is not None and not _ACCOUNT.fullmatch(value):
        raise click.BadParameter(f"{value!r} is not an account id; expected 12 digits")
    return value


def name(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """A name that SageMaker accepts for groups and endpoints."""
    if not _NAME.fullmatch(value):
        raise click.BadParameter(
            f"{value!r} is not a name; expected 1 to 63 letters, digits and inner hyphens"
        )
    return value


def _person(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not _PERSON.fullmatch(value):
        raise click.BadParameter(
            f"{value!r} cannot be a source identity; expected 2 to 64 letters, digits or +=,.@-_"
        )
    return value


def as_json(command: _Command) -> _Command:
    """The option --json."""
    return _JSON(command)


def acting(default_persona: str | None = None) -> Callable[[Callable[..., Any]], Any]:
    """The options that say where to act and as whom, handed to the command as `options`.

    Without `default_persona` the persona must be named: who decides is never guessed. It goes
    next to the function, so that what is special about a command comes first in its --help.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def call(**given: Any) -> Any:
            options = Options(**{field.name: given.pop(field.name) for field in fields(Options)})
            return command(options=options, **given)

        for option in reversed((_persona(default_persona), *_WHERE, _JSON)):
            call = option(call)
        return call

    return decorate


def _persona(default: str | None) -> Callable[[Any], Any]:
    return click.option(
        "--as",
        "persona",
        type=click.Choice(PERSONAS),
        required=default is None,
        default=default,
        show_default=default is not None,
        help="The persona whose IAM role acts.",
    )


_JSON = click.option(
    "--json", "as_json", is_flag=True, help="Machine-readable output, also of errors."
)
_WHERE = (
    click.option(
        "--user",
        callback=_person,
        metavar="NAME",
        help="local: the person who plays the persona (source identity).",
    ),
    click.option(
        "--target",
        type=click.Choice(["local", "aws"]),
        default="local",
        show_default=True,
        help="The embedded AWS, or real accounts.",
    ),
    click.option(
        "--profile", metavar="NAME", help="aws: instead of profile governed-path-<persona>."
    ),
    click.option("--region", metavar="NAME", help="aws: instead of the profile's region."),
    click.option(
        "--central-account",
        envvar="GOVERNED_PATH_CENTRAL_ACCOUNT",
        show_envvar=True,
        callback=account_id,
        metavar="ID",
        help="aws: the Central account, which a data scientist's session does not know.",
    ),
)
