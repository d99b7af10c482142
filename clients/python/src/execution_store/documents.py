"""What the service answers: documents of keys and stores, and the results of conditional writes."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import TYPE_CHECKING, Any, Callable

from .errors import broken_answer

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

    from .v1 import execution_store_pb2 as pb

__all__ = ["GlobalDeletion", "KeyDocument", "KeyPolicy", "SetEntry", "SetResult", "StoreDocument"]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class KeyPolicy(str, Enum):
    """What may happen to a document without being asked for by name.

    A member equals its value: ``KeyPolicy.EVICT == "evict"``.
    """

    PERSIST = "persist"
    """Kept until it is deleted."""
    EVICT = "evict"
    """May be removed by ``clear_cache``, and is removed when its expiry, if any, has come."""

    def __str__(self) -> str:
        """The value, in f-strings, too, whatever the version of Python."""
        return self.value

    def __format__(self, format_spec: str) -> str:
        """As ``__str__``."""
        return format(self.value, format_spec)


_POLICIES = {0: None, 1: KeyPolicy.PERSIST, 2: KeyPolicy.EVICT}


@dataclass
class KeyDocument:
    """A key with its value and metadata.

    Times are the store's clock, in whole milliseconds, aware and in UTC.

    What the server sent is converted when it is first read: a document of which only the value is
    used costs little more than the value.

    Attributes:
        store_name: the store that the key belongs to
        key: the key, unique in its store and context
        value: the value; None where the call did not ask for it
        dataset_id: the context: 24 lower-case hex digits, or None for a store tied to no dataset
        created_at: when the live document came to be
        updated_at: when it last changed in any way, ttl and policy included; strictly increasing
            per key
        expires_at: when it expires; None if it does not
        policy: whether the document may be evicted
        etag: opaque version: changes with every change of the key and never returns
    """

    __slots__ = (
        "_decode",
        "_message",
        "created_at",
        "dataset_id",
        "etag",
        "expires_at",
        "key",
        "policy",
        "store_name",
        "updated_at",
        "value",
    )

    store_name: str
    key: str
    value: Any
    dataset_id: str | None
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    policy: KeyPolicy
    etag: str

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Fills the slots that the message holds."""
            # Python comes here only for a slot that is not filled yet.
            if name == "_message" or name not in self.__slots__:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            message = self._message
            if name == "value":
                self.value = self._decode(message)
            else:
                _fill(self, message)
            return getattr(self, name)

    def __reduce__(self) -> tuple[Any, ...]:
        """Whole: a message of the wire has no place in a copy."""
        return (type(self), tuple(getattr(self, field.name) for field in fields(self)))


def _fill(document: KeyDocument, message: pb.KeyDocument) -> None:
    policy = _POLICIES.get(message.policy)
    if policy is None:
        raise broken_answer("holds a key without a policy that this client knows")
    document.created_at = required_time(message, "created_at")
    document.updated_at = required_time(message, "updated_at")
    document.expires_at = optional_time(message, "expires_at")
    document.policy = policy
    document.store_name = message.store_name
    document.key = message.key
    document.dataset_id = message.dataset_id or None
    document.etag = message.etag


def key_document(message: pb.KeyDocument, decode: Callable[[pb.KeyDocument], Any]) -> KeyDocument:
    """A document that is converted when it is read; `decode` takes the value out of the message."""
    document = KeyDocument.__new__(KeyDocument)
    document._message = message  # type: ignore[attr-defined]
    document._decode = decode  # type: ignore[attr-defined]
    return document


def key_document_with(message: pb.KeyDocument, value: Any) -> KeyDocument:
    """A document of a write, whose answer leaves the value out."""
    document = KeyDocument.__new__(KeyDocument)
    document._message = message  # type: ignore[attr-defined]
    document.value = value
    return document


@dataclass
class StoreDocument:
    """A store. One that exists only through its keys has no metadata, times, policy or etag.

    Attributes:
        store_name: the name of the store, unique in its context
        dataset_id: the context: 24 lower-case hex digits, or None for a store tied to no dataset
        metadata: what ``create_store`` was given; None where there is none and, from
            ``list_stores_global``, always
        created_at: when the store document came to be, aware and in UTC
        updated_at: when it last changed
        expires_at: when it expires; None if it does not
        policy: whether the store document may be evicted
        etag: opaque version of the store document
    """

    store_name: str
    dataset_id: str | None
    metadata: dict[str, Any] | None
    created_at: datetime | None
    updated_at: datetime | None
    expires_at: datetime | None
    policy: KeyPolicy | None
    etag: str | None


def store_document(
    message: pb.StoreDocument, decode_metadata: Callable[[Any], dict[str, Any]]
) -> StoreDocument:
    """Reads a store; `decode_metadata` takes a ``google.protobuf.Struct``."""
    if message.policy not in _POLICIES:
        raise broken_answer("holds a policy that this client does not know")
    return StoreDocument(
        store_name=message.store_name,
        dataset_id=message.dataset_id or None,
        metadata=decode_metadata(message.metadata) if message.HasField("metadata") else None,
        created_at=optional_time(message, "created_at"),
        updated_at=optional_time(message, "updated_at"),
        expires_at=optional_time(message, "expires_at"),
        policy=_POLICIES[message.policy],
        etag=message.etag or None,
    )


@dataclass(frozen=True)
class SetResult:
    """The result of a conditional write; true if this call wrote.

    Attributes:
        set: whether this call wrote
        document: the live document after the call, whoever wrote it: with the value if this call
            did, else with the value None; None if there is no live document
    """

    set: bool
    document: KeyDocument | None

    def __bool__(self) -> bool:
        """Whether this call wrote."""
        return self.set


@dataclass(frozen=True)
class GlobalDeletion:
    """The result of deleting a store in all contexts.

    Attributes:
        stores: the stores deleted, one per context
        documents: the live documents deleted, store documents included
    """

    stores: int
    documents: int


@dataclass(frozen=True)
class SetEntry:
    """One key to set in a batch.

    Attributes:
        key: 1 to 1,024 bytes of UTF-8, not ``__store__``
        value: the value, as in ``set_key``
        ttl: seconds until the key expires, greater than 0 and at most 100 years; None for no expiry
        policy: ``"persist"`` or ``"evict"``; a ttl makes it ``"evict"``
    """

    key: str
    value: Any
    ttl: float | timedelta | None = None
    policy: str | KeyPolicy = KeyPolicy.PERSIST


def to_datetime(time: Timestamp) -> datetime:
    """A time of the wire, aware and in UTC."""
    return _EPOCH + timedelta(0, time.seconds, time.nanos // 1000)


def optional_time(message: Any, field: str) -> datetime | None:
    """The time of a field, or None where it is not set."""
    return to_datetime(getattr(message, field)) if message.HasField(field) else None


def required_time(message: Any, field: str) -> datetime:
    """The time of a field that an answer must have."""
    if not message.HasField(field):
        raise broken_answer("holds a document or an event without its times")
    return to_datetime(getattr(message, field))
