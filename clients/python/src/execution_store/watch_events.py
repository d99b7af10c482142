"""What a watch tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Union

from .documents import KeyDocument, key_document, key_document_with, to_datetime
from .errors import StoreError

if TYPE_CHECKING:
    from .v1 import execution_store_pb2 as pb

KeyEventType = Literal["existing", "created", "updated", "deleted", "expired"]
"""The types of events of keys; what ``event_types`` of a watch takes."""


class KeyEvent:
    """An event of one key: the base class of KeyExistingEvent, KeySetEvent and KeyRemovedEvent.

    What the server sent is converted when it is first read, as in KeyDocument.

    Attributes:
        type: What happened.
        store_name: The store of the key.
        key: The key.
        dataset_id: The context: 24 lower-case hex digits, or None for a store tied to no dataset.
        document: The key with its value and metadata; None where it is gone.
        resume_token: Where a later watch goes on: right behind this event, with nothing left out
            and nothing told twice. Several events may travel together; then only the last of them
            has it, so that a token that is kept never passes over one.
    """

    __slots__ = ("_read", "_wire")

    type: KeyEventType
    store_name: str
    key: str
    dataset_id: str | None
    document: KeyDocument | None
    resume_token: str | None

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Fills a slot that the message holds."""
            # Python comes here only for a slot that is not filled yet.
            read = _READERS.get(name)
            if read is None:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            value = read(self._wire, self._read)
            setattr(self, name, value)
            return value

    def __reduce__(self) -> tuple[Any, ...]:
        """Whole: a message of the wire has no place in a copy."""
        names = [field.name for field in fields(self)]  # type: ignore[arg-type]
        return (type(self), tuple(getattr(self, name) for name in names))


@dataclass
class KeyExistingEvent(KeyEvent):
    """A key that was there when the snapshot was read.

    A snapshot comes in list order: by dataset id (None first), store and key.
    """

    __slots__ = ("dataset_id", "document", "key", "resume_token", "store_name", "type")

    type: Literal["existing"]
    store_name: str
    key: str
    dataset_id: str | None
    document: KeyDocument
    resume_token: str | None


@dataclass
class KeySetEvent(KeyEvent):
    """A key was set, or its ttl or policy changed.

    Attributes:
        type: "created" exactly when no live document had the key before, else "updated".
        document: As the change left it.
        previous: The document just before the change, if ``include_previous`` asked for it and
            there was one.
        previous_value_omitted: Whether ``previous`` comes without its value (None), since that is
            too large: on MongoDB, over 7 MiB.
        document_looked_up: Whether ``document`` was read after the change and may be a later
            version: on MongoDB without pre- and post-images.
        commit_time: The store's clock at the commit, in UTC.
    """

    __slots__ = (
        "commit_time",
        "dataset_id",
        "document",
        "document_looked_up",
        "key",
        "previous",
        "previous_value_omitted",
        "resume_token",
        "store_name",
        "type",
    )

    type: Literal["created", "updated"]
    store_name: str
    key: str
    dataset_id: str | None
    document: KeyDocument
    previous: KeyDocument | None
    previous_value_omitted: bool
    document_looked_up: bool
    commit_time: datetime
    resume_token: str | None


@dataclass
class KeyRemovedEvent(KeyEvent):
    """A key is gone.

    Attributes:
        type: "expired" if its time had come, whoever removed or replaced it, else "deleted".
        document: None.
        previous: As KeySetEvent.previous.
        previous_value_omitted: As KeySetEvent.previous_value_omitted.
        commit_time: The store's clock at the commit, in UTC.
    """

    __slots__ = (
        "commit_time",
        "dataset_id",
        "document",
        "key",
        "previous",
        "previous_value_omitted",
        "resume_token",
        "store_name",
        "type",
    )

    type: Literal["deleted", "expired"]
    store_name: str
    key: str
    dataset_id: str | None
    document: None
    previous: KeyDocument | None
    previous_value_omitted: bool
    commit_time: datetime
    resume_token: str | None


@dataclass
class WatchStartedEvent:
    """From here on nothing is missed. The first event, and again after each interruption.

    Attributes:
        progress_interval: Seconds between two signs of life of the server, at most.
        resume_token: As KeyEvent.resume_token; None where a snapshot follows.
    """

    __slots__ = ("progress_interval", "resume_token", "type")

    type: Literal["started"]
    progress_interval: float
    resume_token: str | None


@dataclass
class SnapshotCompleteEvent:
    """The snapshot is complete, also when it was empty; what follows are changes."""

    __slots__ = ("resume_token", "type")

    type: Literal["snapshot_complete"]
    resume_token: str


@dataclass
class WatchProgressEvent:
    """Everything up to this token was told. Keep the token, lest the last one grow too old."""

    __slots__ = ("resume_token", "type")

    type: Literal["progress"]
    resume_token: str


@dataclass
class WatchResetEvent:
    """What was told so far is void: a new snapshot follows, up to its "snapshot_complete".

    Attributes:
        cause: "snapshot_interrupted": the connection was lost in the middle of a snapshot; what
            was told of it is void. "history_lost": the watch was away for longer than the store's
            history lasts, so that changes cannot be told one by one any more; only with
            ``on_history_lost="snapshot"``.
        error: What ended the connection before.
        resume_token: None.
    """

    __slots__ = ("cause", "error", "resume_token", "type")

    type: Literal["reset"]
    cause: Literal["snapshot_interrupted", "history_lost"]
    error: StoreError
    resume_token: None


WatchEvent = Union[
    WatchStartedEvent,
    KeyExistingEvent,
    SnapshotCompleteEvent,
    KeySetEvent,
    KeyRemovedEvent,
    WatchProgressEvent,
    WatchResetEvent,
]
"""What a watch tells; ``type`` says which it is, ``isinstance(event, KeyEvent)`` if of a key."""

_Read = Callable[["pb.KeyDocument"], Any]


def _previous(wire: pb.KeyEvent, read: _Read) -> KeyDocument | None:
    if not wire.HasField("previous"):
        return None
    before = wire.previous
    omitted = wire.previous_value_omitted
    return key_document_with(before, None) if omitted else key_document(before, read)


_READERS: dict[str, Callable[[pb.KeyEvent, _Read], object]] = {
    "store_name": lambda wire, _: wire.document.store_name,
    "dataset_id": lambda wire, _: wire.document.dataset_id or None,
    "previous": _previous,
    "previous_value_omitted": lambda wire, _: wire.previous_value_omitted,
    "document_looked_up": lambda wire, _: wire.document_looked_up,
    "commit_time": lambda wire, _: to_datetime(wire.commit_time),
}
