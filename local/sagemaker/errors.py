"""SageMaker's errors, with the codes and the wording that clients match on."""

from __future__ import annotations


class ServiceError(Exception):
    """An error answer: `code` as AWS spells it, the message, the HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def invalid(message: str) -> ServiceError:
    """ValidationException, SageMaker's answer to most of what is wrong with a request."""
    return ServiceError("ValidationException", message)


def not_found(message: str) -> ServiceError:
    """ResourceNotFound, which SageMaker uses where its model says so (lineage)."""
    return ServiceError("ResourceNotFound", message)


def conflict(message: str) -> ServiceError:
    """ConflictException: the state of the resource does not allow it."""
    return ServiceError("ConflictException", message)


def limit_exceeded(message: str) -> ServiceError:
    """ResourceLimitExceeded: a quota of the account."""
    return ServiceError("ResourceLimitExceeded", message)


def denied(caller: str, action: str, resource: str, why: str) -> ServiceError:
    """AccessDeniedException in AWS's words."""
    return ServiceError(
        "AccessDeniedException",
        f"User: {caller} is not authorized to perform: {action} on resource: {resource} {why}",
    )
