"""What a mirror holds, free of I/O: what both the threaded and the asyncio mirror do."""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Callable, ItemsView, Iterator, Mapping, ValuesView
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from .documents import KeyDocument
from .errors import StoreError
from .forked import forked_error
from .watch_events import KeyExistingEvent, KeyRemovedEvent, KeySetEvent, WatchEvent

_logger = logging.getLogger(__name__)


@dataclass
class MirrorChange:
    """A change of a mirror, told when the mirror has it.

    Attributes:
        type: "created", "updated", "deleted" or "expired".
        key: The key.
        document: What the mirror holds now; None if the key is gone.
        previous: What the mirror held before; None if the key was not there.
    """

    __slots__ = ("document", "key", "previous", "type")

    type: Literal["created", "updated", "deleted", "expired"]
    key: str
    document: KeyDocument | None
    previous: KeyDocument | None


MirrorListener = Callable[[MirrorChange], object]


class MirrorContent:
    """The documents of a mirror, as the events of a watch with a snapshot change them."""

    def __init__(self) -> None:
        """Begins empty."""
        self.documents: dict[str, KeyDocument] = {}
        """What the mirror holds; after a failure, something that raises it."""
        self.filled = False
        """Whether there was a complete snapshot."""
        self.error: Exception | None = None
        """What ended the mirror."""
        # The snapshot that is coming in.
        self._incoming: dict[str, KeyDocument] = {}
        self._listeners: dict[object, MirrorListener] = {}
        _contents.add(self)

    def apply(self, event: WatchEvent) -> None:
        """Takes an event in, and tells the listeners what it changes."""
        if isinstance(event, KeySetEvent):
            self._set(event)
        elif isinstance(event, KeyRemovedEvent):
            self._remove(event)
        elif isinstance(event, KeyExistingEvent):
            self._incoming[event.key] = _detach(event.document)
        elif event.type == "reset":
            self._incoming = {}
        elif event.type == "snapshot_complete":
            self._replace()

    def fail(self, error: Exception) -> None:
        """Lets every read raise this error, for what is here would be old without a word."""
        self.error = error
        self.documents = _Unreadable(error)

    def on_change(self, listener: MirrorListener) -> Callable[[], None]:
        """See Mirror.on_change."""
        # An entry of its own: a listener that is given twice is called twice.
        entry = object()
        self._listeners[entry] = listener

        def forget() -> None:
            self._listeners.pop(entry, None)

        return forget

    def _set(self, event: KeySetEvent) -> None:
        document = _detach(event.document)
        previous = self.documents.get(event.key)
        self.documents[event.key] = document
        self._tell(MirrorChange(event.type, event.key, document, previous))

    def _remove(self, event: KeyRemovedEvent) -> None:
        previous = self.documents.pop(event.key, None)
        # A key that had expired when the snapshot was read was never here.
        if previous is not None:
            self._tell(MirrorChange(event.type, event.key, None, previous))

    def _replace(self) -> None:
        before, after = self.documents, self._incoming
        # In one step: no reader ever sees a part of a snapshot.
        self.documents = after
        self._incoming = {}
        if not self.filled:
            self.filled = True
            return
        # Listeners may take long: meanwhile nothing else changes, since no event is taken.
        for key, previous in before.items():
            if key not in after:
                self._tell(MirrorChange("deleted", key, None, previous))
        for key, document in after.items():
            old = before.get(key)
            if old is None:
                self._tell(MirrorChange("created", key, document, None))
            elif not _is_same_version(old, document):
                self._tell(MirrorChange("updated", key, document, old))

    def _tell(self, change: MirrorChange) -> None:
        # Of a copy: other threads add listeners and take them away.
        for listener in list(self._listeners.values()):
            try:
                listener(change)
            except Exception:
                _logger.exception("a listener of a mirror failed")


class MirrorMapping(Mapping[str, Any]):
    """The reads of a mirror: key to value, without a call."""

    def __init__(self, content: MirrorContent) -> None:
        """Reads this content."""
        self._content = content

    def __getitem__(self, key: str) -> Any:
        """The value of a key.

        Raises:
            KeyError: The key is not there.
            StoreError: What ended the mirror.
        """
        return self._content.documents[key].value

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key; ``default`` if it is not there."""
        document = self._content.documents.get(key)
        return default if document is None else document.value

    def document(self, key: str) -> KeyDocument | None:
        """A key with its value, policy, times and etag; None if it is not there."""
        return self._content.documents.get(key)

    def documents(self) -> dict[str, KeyDocument]:
        """All keys with their documents, as of now."""
        return self._content.documents.copy()

    def __contains__(self, key: object) -> bool:
        """Whether a key is there."""
        return key in self._content.documents

    def __len__(self) -> int:
        """How many keys are there."""
        return len(self._content.documents)

    def __iter__(self) -> Iterator[str]:
        """The keys as of now, in no particular order."""
        # Of a copy, here and below: changes come in between two steps of whoever iterates.
        return iter(self._content.documents.copy())

    def values(self) -> ValuesView[Any]:
        """The values."""
        return _Values(self)

    def items(self) -> ItemsView[str, Any]:
        """Pairs of key and value."""
        return _Items(self)

    def __eq__(self, other: object) -> bool:
        """Whether it is this very mirror: what it holds changes."""
        return self is other

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        """Nothing of what it holds."""
        return f"<{type(self).__name__} at {id(self):#x}>"

    def on_change(self, listener: MirrorListener) -> Callable[[], None]:
        """Calls back after each change from now on, in order; the first filling is none.

        What a listener raises is logged, and neither the mirror nor other listeners mind.

        Args:
            listener: Is called with a MirrorChange where the mirror runs: in its thread, or in its
                event loop. The mirror waits for it.

        Returns:
            A function that takes the listener away.
        """
        return self._content.on_change(listener)


class _Values(ValuesView[Any]):
    _mapping: MirrorMapping

    def __iter__(self) -> Iterator[Any]:
        return (document.value for document in self._mapping.documents().values())


class _Items(ItemsView[str, Any]):
    _mapping: MirrorMapping

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return ((key, document.value) for key, document in self._mapping.documents().items())


class _Unreadable(dict[str, KeyDocument]):
    """Raises instead of answering, so that reads need not ask first whether they may."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def _raise(self, *_: object) -> NoReturn:
        # Raised again and again, it must not collect the places.
        raise self._error.with_traceback(None)

    __getitem__ = __contains__ = __len__ = __iter__ = get = copy = _raise


def _detach(document: KeyDocument) -> KeyDocument:
    """Takes the document out of the message that brought it, which may hold thousands of others."""
    try:
        # What is read is kept in the document itself.
        _ = document.value, document.etag
    except StoreError:
        # Only those who read this one value are to hear that it cannot be read.
        return document
    del document._message, document._decode  # type: ignore[attr-defined]
    return document


def _is_same_version(a: KeyDocument, b: KeyDocument) -> bool:
    """Whether nothing changed; of writers other than the service the etag alone does not say it."""
    return a.etag == b.etag and a.updated_at == b.updated_at


_contents: weakref.WeakSet[MirrorContent] = weakref.WeakSet()


def _fail_in_child() -> None:
    for content in list(_contents):
        content.fail(forked_error("a mirror"))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_fail_in_child)
