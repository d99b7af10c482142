"""The errors of the client: :class:`StoreError` and a subclass for each gRPC status."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import grpc

__all__ = [
    "AlreadyExistsError",
    "CancelledError",
    "DeadlineExceededError",
    "FailedPreconditionError",
    "FieldViolation",
    "HistoryLostError",
    "InternalError",
    "InvalidArgumentError",
    "KeyNotFoundError",
    "NotFoundError",
    "PermissionDeniedError",
    "Resource",
    "ResourceExhaustedError",
    "StoreError",
    "StoreNotFoundError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnimplementedError",
]


@dataclass(frozen=True)
class FieldViolation:
    """What one field of a request has wrong.

    Attributes:
        field: the path of the field in the wire's names, such as ``entries[3].key``
        description: what is wrong, what was expected and what to do
    """

    field: str
    description: str


@dataclass(frozen=True)
class Resource:
    """What a NOT_FOUND or ALREADY_EXISTS is about.

    Attributes:
        type: ``"key"``, ``"store"`` or ``"service"``
        name: the name of the store, or store and key with a slash between them
    """

    type: str
    name: str


class StoreError(Exception):
    """The base of all errors of the client.

    Tell errors apart by class or, finer, by :attr:`reason`; the message is for people. It names
    what was wrong, what was expected and what to do, and never holds a value.

    Attributes:
        code: the gRPC status
        reason: the stable cause, such as ``"KEY_NOT_FOUND"``; the name of the status where the
            server gave none
        outcome: of a write that failed: ``"NOT_APPLIED"`` if certainly nothing was written,
            ``"UNKNOWN"`` if nobody knows; None for reads
        violations: the fields at fault, for INVALID_ARGUMENT
        resource: what is, or is not, there; for NOT_FOUND and ALREADY_EXISTS
        retry_after: for UNAVAILABLE, when to try again, in seconds; None if the server did not say
        resume_token: for the end of a watch, where it can go on; None if there is no such place
        error_id: for INTERNAL, what the server's log files the cause under
    """

    default_code: ClassVar[grpc.StatusCode] = grpc.StatusCode.INTERNAL

    def __init__(
        self,
        message: str,
        *,
        code: grpc.StatusCode | None = None,
        reason: str | None = None,
        outcome: str | None = None,
        violations: tuple[FieldViolation, ...] = (),
        resource: Resource | None = None,
        retry_after: float | None = None,
        resume_token: str | None = None,
        error_id: str | None = None,
    ) -> None:
        """An error with what is known of it; see the attributes."""
        super().__init__(message)
        self.code = self.default_code if code is None else code
        self.reason = self.code.name if reason is None else reason
        self.outcome = outcome
        self.violations = list(violations)
        self.resource = resource
        self.retry_after = retry_after
        self.resume_token = resume_token
        self.error_id = error_id

    @property
    def message(self) -> str:
        """The sentence for people."""
        return str(self.args[0])

    def __reduce__(self) -> tuple[Any, ...]:
        """With its details."""
        # Exceptions are made again from `args`, which does not hold the details: these come as
        # state.
        return (type(self), self.args, self.__dict__)


class InvalidArgumentError(StoreError, ValueError):
    """An argument, or an option of the client, cannot be used; `violations` names each field."""

    default_code = grpc.StatusCode.INVALID_ARGUMENT


class NotFoundError(StoreError, LookupError):
    """Something is not there; `resource` names it."""

    default_code = grpc.StatusCode.NOT_FOUND


class KeyNotFoundError(NotFoundError):
    """No live document has the key."""


class StoreNotFoundError(NotFoundError):
    """The store has neither a document nor a live key in this context."""


class AlreadyExistsError(StoreError):
    """The store has a document already."""

    default_code = grpc.StatusCode.ALREADY_EXISTS


class FailedPreconditionError(StoreError):
    """The state of the server, of its database or of this client does not allow it.

    See `reason`.
    """

    default_code = grpc.StatusCode.FAILED_PRECONDITION


class HistoryLostError(StoreError):
    """The place of a watch is not in the history; take a snapshot and go on from there."""

    default_code = grpc.StatusCode.OUT_OF_RANGE


class PermissionDeniedError(StoreError, PermissionError):
    """Access is refused."""

    default_code = grpc.StatusCode.PERMISSION_DENIED


class UnauthenticatedError(StoreError):
    """Credentials are missing or were refused, or the function that gives the headers failed."""

    default_code = grpc.StatusCode.UNAUTHENTICATED


class ResourceExhaustedError(StoreError):
    """Something is over a limit of size or rate, or a watch is too slow."""

    default_code = grpc.StatusCode.RESOURCE_EXHAUSTED


class UnavailableError(StoreError, ConnectionError):
    """The server or its database cannot be reached."""

    default_code = grpc.StatusCode.UNAVAILABLE


class DeadlineExceededError(StoreError, TimeoutError):
    """The call did not finish in its time."""

    default_code = grpc.StatusCode.DEADLINE_EXCEEDED


class CancelledError(StoreError):
    """The server says that the call was cancelled."""

    default_code = grpc.StatusCode.CANCELLED


class UnimplementedError(StoreError):
    """The method, or the whole service, is not there."""

    default_code = grpc.StatusCode.UNIMPLEMENTED


class InternalError(StoreError):
    """A fault of the service; the server's log has the cause under `error_id`."""


def invalid_field(reason: str, field: str, description: str) -> InvalidArgumentError:
    """An INVALID_ARGUMENT about one field.

    Its message is the field's name followed by the description.
    """
    violation = FieldViolation(field, description)
    return InvalidArgumentError(f"{field} {description}", reason=reason, violations=(violation,))


def closed_error(what: str) -> FailedPreconditionError:
    """For what is called after ``close()``."""
    return FailedPreconditionError(
        f"{what} was called after close(); open a new service", reason="CLIENT_CLOSED"
    )


def broken_answer(what: str, *, writes: bool = False) -> InternalError:
    """An answer that breaks the contract; `what` follows "the server's answer".

    After a write, nobody knows its outcome.
    """
    return InternalError(
        f"the server's answer {what}; is it an execution store, and as new as this client?",
        outcome="UNKNOWN" if writes else None,
    )
