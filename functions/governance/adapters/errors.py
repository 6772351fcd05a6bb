"""The one place where AWS's error codes become the errors of our domain.

State machines retry and catch by the bare class name, so each code is mapped on purpose; a code
that is not listed is judged by its HTTP status, and a plain 400 is the caller's input.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, NoCredentialsError
from botocore.exceptions import ConnectionError as NoConnectionError

from governance.domain.errors import (
    AccessError,
    IntegrityError,
    InvalidInputError,
    NotFoundError,
    TransientError,
)

GovernanceError = TransientError | AccessError | NotFoundError | InvalidInputError | IntegrityError

_CODES: dict[type[GovernanceError], frozenset[str]] = {
    TransientError: frozenset(
        {
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "TooManyRequestsException",
            "RequestLimitExceeded",
            "ProvisionedThroughputExceededException",
            "RequestThrottled",
            "SlowDown",
            "RequestTimeout",
            "RequestTimeTooSkewed",
            # Another run of the same copy has completed or ended the upload; a new plan finds out.
            "NoSuchUpload",
            # It has written a part again since the parts were listed; the next list has that one.
            "InvalidPart",
            "ServiceUnavailable",
            "ServiceUnavailableException",
            "InternalError",
            "InternalFailure",
            "InternalServerError",
            "InternalServiceException",
            "InternalDependencyException",
            "KMSInternalException",
            "ModelNotReadyException",
            # Somebody else is writing the same thing at this moment.
            "ConflictException",
            "OperationAborted",
            "TransactionConflictException",
            "TransactionInProgressException",
            "TransactionCanceledException",
            "ConcurrentModificationException",
            # A quota can free itself while the state machine backs off.
            "ResourceLimitExceeded",
            # Half an upload to ECR is forgotten after a while; a retry starts it again.
            "UploadNotFoundException",
            "InvalidLayerPartException",
            "LimitExceededException",
        }
    ),
    AccessError: frozenset(
        {
            "AccessDenied",
            "AccessDeniedException",
            "UnauthorizedOperation",
            "NotAuthorized",
            "ExpiredToken",
            "ExpiredTokenException",
            "InvalidClientTokenId",
            "UnrecognizedClientException",
            "SignatureDoesNotMatch",
            "400",  # HEAD has no body to say more: a key that is disabled, a token that expired
            "InvalidAccessKeyId",
            "KMS.DisabledException",
            "KMS.KMSInvalidStateException",
            "KMS.NotFoundException",
            "DisabledException",
            "KmsException",
            "KMSInvalidStateException",
        }
    ),
    NotFoundError: frozenset(
        {
            "404",
            "405",  # HEAD of a delete marker
            "MethodNotAllowed",
            "NotFound",
            "NoSuchKey",
            "NoSuchVersion",
            "NoSuchBucket",
            "ResourceNotFound",
            "ResourceNotFoundException",
            "NotFoundException",
            "RepositoryNotFoundException",
            "ImageNotFoundException",
            "LayersNotFoundException",
        }
    ),
    IntegrityError: frozenset(
        {
            "BadDigest",
            "InvalidDigest",
            "PreconditionFailed",
            "412",
            "XAmzContentChecksumMismatch",
            "InvalidLayerException",
            "ImageDigestDoesNotMatchException",
        }
    ),
}
_BY_STATUS: dict[int, type[GovernanceError]] = {
    401: AccessError,
    403: AccessError,
    404: NotFoundError,
    409: TransientError,
    412: IntegrityError,
    429: TransientError,
}
_VALIDATION = {"ValidationException", "ValidationError"}
# SageMaker answers ValidationException for a thing that does not exist; only the text tells.
_ABSENT = ("could not find", "does not exist", "not found")
_BUSY = ("in-progress", "in progress")
_REMEDIES: dict[type[GovernanceError], str] = {
    TransientError: "the state machine retries; if it persists, look at the quota or the service",
    AccessError: "check the role's policy, the resource's policy and the trust between them",
    NotFoundError: "check the name, or restore what was deleted",
    InvalidInputError: "correct the value that the message names",
    IntegrityError: "the bytes are not the ones that were approved; register and approve again",
}


def code_of(error: ClientError) -> str:
    """AWS's error code, for example `NoSuchKey`; empty when the answer carried none."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_absent(error: ClientError) -> bool:
    """True if the error says that the named thing does not exist."""
    if code_of(error) in _CODES[NotFoundError]:
        return True
    return code_of(error) in _VALIDATION and _says(error, _ABSENT)


def translate(error: ClientError | BotoCoreError, what: str, remedy: str = "") -> GovernanceError:
    """Our error for AWS's; the caller raises it `from error`.

    `what` says what was attempted on which thing ("describe model package arn:..."); `remedy`
    replaces the general advice of the error's class.
    """
    kind = _kind(error)
    if isinstance(error, ClientError):
        detail = f"{code_of(error)}: {error.response.get('Error', {}).get('Message', '')}"
    else:
        detail = str(error)
    return kind(f"could not {what}: {detail.strip()}; {remedy or _REMEDIES[kind]}")


@contextmanager
def translated(what: str, remedy: str = "") -> Iterator[None]:
    """Everything AWS refuses in this block is raised as our error about `what`."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise translate(error, what, remedy) from error


def _says(error: ClientError, phrases: tuple[str, ...]) -> bool:
    message = str(error.response.get("Error", {}).get("Message", "")).lower()
    return any(phrase in message for phrase in phrases)


def _kind(error: ClientError | BotoCoreError) -> type[GovernanceError]:
    if not isinstance(error, ClientError):
        return _kind_of_local(error)
    if is_absent(error):
        return NotFoundError
    code = code_of(error)
    if code in _VALIDATION and _says(error, _BUSY):
        return TransientError
    for kind, codes in _CODES.items():
        if code in codes:
            return kind
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400))
    return TransientError if status >= 500 else _BY_STATUS.get(status, InvalidInputError)


def _kind_of_local(error: BotoCoreError) -> type[GovernanceError]:
    """The request never reached AWS, or its answer never reached us."""
    if isinstance(error, HTTPClientError | NoConnectionError):
        return TransientError
    return AccessError if isinstance(error, NoCredentialsError) else InvalidInputError
