"""What subscribers are told, free of I/O: what threads and asyncio have in common."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from .documents import KeyDocument
from .watch_events import KeyExistingEvent, KeyRemovedEvent, KeySetEvent, WatchEvent

OperationType = Literal["initial", "insert", "update", "delete", "expire"]
_Version = tuple[str, datetime]


@dataclass(frozen=True)
class StoreMessageMetadata:
    """What happened to a key.

    Attributes:
        operation_type: "initial": the key was there when the subscription began; else "insert",
            "update", "delete" or "expire". FiftyOne does not tell "expire" apart.
        dataset_id: The context: 24 lower-case hex digits, or None for a store tied to no dataset.
        timestamp: The store's clock at the change, in UTC, and of "initial" at the last one; None
            where nobody knows.
    """

    operation_type: OperationType
    dataset_id: str | None
    timestamp: datetime | None


@dataclass(frozen=True)
class StoreMessage:
    """What a subscriber is told, in the shape that FiftyOne gives it.

    Attributes:
        key: The key.
        value: Its value; None for "delete" and "expire".
        metadata: What happened.
    """

    key: str
    value: Any
    metadata: StoreMessageMetadata


class StoreMessages:
    """Makes messages of the events of a watch of one store with a snapshot.

    After a reset it tells what the new snapshot changes, and nothing twice.
    """

    def __init__(self, dataset_id: str | None) -> None:
        """Begins before the first event, of a store of this context."""
        self._dataset_id = dataset_id
        # The version of each key that was told: what a new snapshot is compared with.
        self._known: dict[str, _Version] = {}
        # Keys of the snapshot that is coming in.
        self._found: set[str] = set()
        self._begun = False

    def of(self, event: WatchEvent) -> Iterator[StoreMessage]:
        """The messages of an event."""
        if isinstance(event, KeySetEvent):
            document = event.document
            self._known[event.key] = _version_of(document)
            kind: OperationType = "insert" if event.type == "created" else "update"
            metadata = StoreMessageMetadata(kind, event.dataset_id, event.commit_time)
            yield StoreMessage(event.key, document.value, metadata)
        elif isinstance(event, KeyRemovedEvent):
            # A key that had expired when the snapshot was read is not known.
            if self._known.pop(event.key, None) is not None:
                gone: OperationType = "delete" if event.type == "deleted" else "expire"
                metadata = StoreMessageMetadata(gone, event.dataset_id, event.commit_time)
                yield StoreMessage(event.key, None, metadata)
        elif isinstance(event, KeyExistingEvent):
            yield from self._of_existing(event)
        elif event.type == "reset":
            self._found = set()
        elif event.type == "snapshot_complete":
            yield from self._of_missing()

    def _of_existing(self, event: KeyExistingEvent) -> Iterator[StoreMessage]:
        key, document = event.key, event.document
        version = _version_of(document)
        known = self._known.get(key)
        self._found.add(key)
        if known == version:
            return
        self._known[key] = version
        news: OperationType = "insert" if self._begun else "initial"
        kind: OperationType = news if known is None else "update"
        metadata = StoreMessageMetadata(kind, event.dataset_id, document.updated_at)
        yield StoreMessage(key, document.value, metadata)

    def _of_missing(self) -> Iterator[StoreMessage]:
        self._begun = True
        found, self._found = self._found, set()
        metadata = StoreMessageMetadata("delete", self._dataset_id, None)
        for key in [known for known in self._known if known not in found]:
            del self._known[key]
            yield StoreMessage(key, None, metadata)


def _version_of(document: KeyDocument) -> _Version:
    """Which version of a key it is; of other writers the etag alone does not say it."""
    return document.etag, document.updated_at
