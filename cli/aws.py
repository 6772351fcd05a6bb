"""AWS's refusals as errors of the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore import exceptions as aws
from botocore.exceptions import BotoCoreError, ClientError

from cli.errors import NOT_RUNNING, REFUSED, USAGE, GovernError
from governance.adapters import errors

_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized"}
_EXPIRED = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
}
_SIGN_IN = "sign in again, or check the profile's credentials (`aws sts get-caller-identity`)"
_LOCAL = (
    aws.NoCredentialsError,
    aws.PartialCredentialsError,
    aws.CredentialRetrievalError,
    aws.SSOError,
    aws.TokenRetrievalError,
)


@contextmanager
def calling(what: str, hint: str = "") -> Iterator[None]:
    """Everything AWS refuses in this block is raised as a GovernError about `what`."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise explain(error, what, hint) from error


def explain(error: ClientError | BotoCoreError, what: str = "", hint: str = "") -> GovernError:
    """The GovernError for AWS's error. `what` says what was attempted ("describe model ...")."""
    begin = f"could not {what}: " if what else ""
    if not isinstance(error, ClientError):
        return _explain_local(error, begin, hint)
    code = errors.code_of(error)
    message = f"{begin}{code}: {error.response.get('Error', {}).get('Message', '')}".strip()
    if code in _EXPIRED:
        return GovernError("no_credentials", message, _SIGN_IN)
    if code in _DENIED:
        return GovernError("access_denied", message, hint or "ask an admin who may do this")
    if errors.is_absent(error):
        return GovernError("not_found", message, hint or "check the name and the account")
    return GovernError("aws", message, hint or "AWS says why; try again when it is corrected")


def _explain_local(error: BotoCoreError, begin: str, hint: str) -> GovernError:
    """The request never reached AWS, or its answer never reached us."""
    message = f"{begin}{error}"
    if isinstance(error, aws.HTTPClientError | aws.ConnectionError):
        return GovernError(
            "unreachable",
            message,
            hint or "check the network; for the embedded AWS `govern local status`",
            NOT_RUNNING,
        )
    if isinstance(error, _LOCAL):
        return GovernError("no_credentials", message, _SIGN_IN)
    if isinstance(error, aws.ProfileNotFound):
        return GovernError(
            "usage", message, "configure the profile (docs/deploy.md) or name one: --profile", USAGE
        )
    if isinstance(error, aws.NoRegionError):
        return GovernError("usage", message, "name it: --region", USAGE)
    return GovernError("aws", message, hint, REFUSED)
