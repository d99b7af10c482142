"""Turns the failure of a gRPC call into the :class:`StoreError` that the caller gets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from . import errors
from .errors import FieldViolation, Resource, StoreError

_DOMAIN = "execution-store"
_TRAILER = "grpc-status-details-bin"
_TYPE_PREFIX = "type.googleapis.com/"

_ERRORS: Mapping[grpc.StatusCode, type[StoreError]] = {
    cls.default_code: cls
    for cls in (
        errors.InvalidArgumentError,
        errors.NotFoundError,
        errors.AlreadyExistsError,
        errors.FailedPreconditionError,
        errors.HistoryLostError,
        errors.PermissionDeniedError,
        errors.UnauthenticatedError,
        errors.ResourceExhaustedError,
        errors.UnavailableError,
        errors.DeadlineExceededError,
        errors.CancelledError,
        errors.UnimplementedError,
        errors.InternalError,
    )
}
_BY_REASON: Mapping[str, type[StoreError]] = {
    "KEY_NOT_FOUND": errors.KeyNotFoundError,
    "STORE_NOT_FOUND": errors.StoreNotFoundError,
}

# How the gRPC library says that no connection came about, so that nothing of the call has left this
# process.
_UNSENT = re.compile(
    r"failed to connect to all addresses|empty address list|DNS resolution failed for |"
    r"(?:dns|ares|address) resolution failed|connections to all backends failing",
    re.IGNORECASE,
)
_WHY_UNREACHABLE = re.compile(r"last error: (?:UNKNOWN: |UNAVAILABLE: )?(.+)", re.DOTALL)
# How gRPC libraries say that a message is too large, which it would be again.
_TOO_LARGE = re.compile(r"message.* larger than", re.IGNORECASE | re.DOTALL)
_SENT_TOO_LARGE = re.compile(r"sent message larger than", re.IGNORECASE)
# What a stream, which has no deadline, ends with on its way if the server does not say otherwise.
_BREAKS = (
    errors.InternalError,
    errors.ResourceExhaustedError,
    errors.DeadlineExceededError,
)


@dataclass(frozen=True)
class CallFacts:
    """What is known of a call that failed.

    Attributes:
        method: the method's name, for messages
        writes: whether the method may write
        address: the server's address, for messages
        timeout: the seconds that the call was given
    """

    method: str
    writes: bool
    address: str
    timeout: float


@dataclass(frozen=True)
class _Details:
    reason: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    violations: tuple[FieldViolation, ...] = ()
    resource: Resource | None = None
    retry_after: float | None = None


def _message_classes() -> tuple[Any, dict[str, Any]]:
    """The google.rpc messages, in a pool of their own.

    Another package may have registered the same files.
    """
    encoded = (Path(__file__).parent / "v1" / "error_details.binpb").read_bytes()
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(encoded).file:
        pool.Add(file)  # type: ignore[no-untyped-call]

    def cls(name: str) -> Any:
        return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))  # type: ignore[no-untyped-call]

    kinds = ("ErrorInfo", "BadRequest", "ResourceInfo", "RetryInfo")
    return cls("google.rpc.Status"), {
        f"{_TYPE_PREFIX}google.rpc.{kind}": cls(f"google.rpc.{kind}") for kind in kinds
    }


_Status, _DETAIL_CLASSES = _message_classes()


def was_sent(error: grpc.RpcError) -> bool:
    """Whether anything of a failed call may have left this process."""
    return not (
        error.code() is grpc.StatusCode.UNAVAILABLE and _UNSENT.match(error.details() or "")
    )


def to_store_error(error: grpc.RpcError, facts: CallFacts) -> StoreError:
    """The error of an attempt that failed."""
    code = error.code() or grpc.StatusCode.UNKNOWN
    text = error.details() or ""
    details = _read_details(error.trailing_metadata())
    if details.reason is None:
        return _bare_error(code, text, facts, details, was_sent(error))
    cls = _BY_REASON.get(details.reason) or _ERRORS.get(code, errors.InternalError)
    said = details.metadata.get("outcome")
    return cls(
        text,
        code=cls.default_code,
        reason=details.reason,
        outcome=("NOT_APPLIED" if said == "NOT_APPLIED" else "UNKNOWN") if facts.writes else None,
        violations=details.violations,
        resource=details.resource,
        retry_after=details.retry_after,
        resume_token=details.metadata.get("resume_token"),
        error_id=details.metadata.get("error_id"),
    )


def to_stream_error(error: grpc.RpcError, facts: CallFacts) -> StoreError:
    """As :func:`to_store_error`, for the end of a stream.

    One that ends without a word of the server's broke off on its way, by a fault or a limit of
    something there, and who knows where it was may open it again: it is an UNAVAILABLE.
    """
    store_error = to_store_error(error, facts)
    bare = _read_details(error.trailing_metadata()).reason is None
    text = error.details() or ""
    too_large = error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and _TOO_LARGE.search(text)
    if not bare or too_large or not isinstance(store_error, _BREAKS):
        return store_error
    return errors.UnavailableError(
        f"{facts.method} broke off at {facts.address} with {_said(error.code(), text)}",
        retry_after=store_error.retry_after,
    )


def _bare_error(
    code: grpc.StatusCode, text: str, facts: CallFacts, details: _Details, sent: bool
) -> StoreError:
    """An error of the gRPC library, of a proxy, or of a server that is not ours."""
    cls = _ERRORS.get(code, errors.InternalError)
    if code is grpc.StatusCode.CANCELLED:
        # Bare, it says that somebody other than the caller ended the call: a server or a proxy that
        # goes down.
        cls = errors.UnavailableError
    reason: str | None = None
    method, address = facts.method, facts.address
    message = f"{method} failed at {address} with {_said(code, text)}"
    if cls is errors.UnavailableError and not sent:
        reason = "SERVER_UNREACHABLE"
        found = _WHY_UNREACHABLE.search(text)
        why = (found.group(1) if found else text).rstrip(". ")
        message = (
            f"the server at {address} cannot be reached ({why}); is it running? "
            "Start it with: npx execution-store serve"
        )
    elif cls is errors.DeadlineExceededError:
        message = (
            f"{method} did not finish within {facts.timeout:g} s: the server at {address} did "
            f"not answer in time; "
            "give it a longer timeout, or check the server"
        )
    elif cls is errors.UnimplementedError:
        message = (
            f"the server at {address} does not know {method} ({text}); is it an execution store, "
            f"and as new as "
            "this client?"
        )
    elif cls is errors.ResourceExhaustedError and _SENT_TOO_LARGE.search(text):
        sent = False
        reason = "REQUEST_TOO_LARGE"
        message = f"the request of {method} is over 16 MiB long; send less at once"
    outcome = ("UNKNOWN" if sent else "NOT_APPLIED") if facts.writes else None
    return cls(
        message,
        reason=reason,
        outcome=outcome,
        violations=details.violations,
        resource=details.resource,
        retry_after=details.retry_after,
    )


def _said(code: grpc.StatusCode | None, text: str) -> str:
    return f"{code.name if code else 'UNKNOWN'}: {text}"


def _read_details(trailers: Any) -> _Details:
    """The google.rpc details of the trailers, as far as they can be read."""
    encoded = next((value for name, value in trailers or () if name == _TRAILER), None)
    if not isinstance(encoded, bytes):
        return _Details()
    found: dict[str, Any] = {}
    try:
        for detail in _Status.FromString(encoded).details:
            cls = _DETAIL_CLASSES.get(detail.type_url)
            if cls is not None:
                _take(found, cls.DESCRIPTOR.name, cls.FromString(detail.value))
    except DecodeError:
        # Trailers that are no google.rpc.Status come from a server that is not ours; the status
        # itself stays.
        pass
    return _Details(**found)


def _take(found: dict[str, Any], kind: str, detail: Any) -> None:
    if kind == "ErrorInfo" and detail.domain == _DOMAIN:
        found["reason"] = detail.reason
        found["metadata"] = dict(detail.metadata)
    elif kind == "BadRequest":
        found["violations"] = tuple(
            FieldViolation(each.field, each.description) for each in detail.field_violations
        )
    elif kind == "ResourceInfo" and detail.resource_type in ("key", "store", "service"):
        found["resource"] = Resource(detail.resource_type, detail.resource_name)
    elif kind == "RetryInfo":
        delay = detail.retry_delay
        found["retry_after"] = delay.seconds + delay.nanos / 1e9
