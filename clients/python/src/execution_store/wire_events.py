"""Makes events of what the server says of keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .documents import key_document
from .errors import StoreError, broken_answer
from .v1 import execution_store_pb2 as pb
from .watch_events import KeyExistingEvent, KeyRemovedEvent, KeySetEvent, WatchEvent

_METHOD = "/execution_store.v1.StoreService/WatchKeys"
_KINDS: dict[int, tuple[Any, str]] = {
    pb.KeyEvent.TYPE_EXISTING: (KeyExistingEvent, "existing"),
    pb.KeyEvent.TYPE_CREATED: (KeySetEvent, "created"),
    pb.KeyEvent.TYPE_UPDATED: (KeySetEvent, "updated"),
    pb.KeyEvent.TYPE_DELETED: (KeyRemovedEvent, "deleted"),
    pb.KeyEvent.TYPE_EXPIRED: (KeyRemovedEvent, "expired"),
}


def watch_method(channel: Any) -> Any:
    """WatchKeys of a channel; its messages come in pairs with their lengths in bytes.

    The library would encode a message again to say how long it is.
    """
    return channel.unary_stream(
        _METHOD,
        request_serializer=pb.WatchKeysRequest.SerializeToString,
        response_deserializer=_with_length,
        _registered_method=True,
    )


def _with_length(data: bytes) -> tuple[pb.WatchKeysResponse, int]:
    return pb.WatchKeysResponse.FromString(data), len(data)


def key_events(
    wires: Iterable[pb.KeyEvent], read: Callable[[pb.KeyDocument], Any], token: str | None
) -> list[WatchEvent]:
    """The events of one message, of which the last has the token; `read` takes values out.

    A flood of events is bound by what is done here, so that the fields which few ask for are
    converted when they are read.

    Raises:
        StoreError: INTERNAL, if one lacks what the contract says it has.
    """
    events: list[WatchEvent] = []
    for wire in wires:
        document = wire.document
        key = document.key
        kind = _KINDS.get(wire.type)
        if kind is None:
            raise broken_watch("holds an event of a type that this client does not know")
        if key == "":
            raise broken_watch("holds an event of no key")
        cls, type_ = kind
        event = cls.__new__(cls)
        if cls is not KeyExistingEvent and not wire.HasField("commit_time"):
            raise broken_watch("holds an event without its time")
        event.document = None if cls is KeyRemovedEvent else key_document(document, read)
        event.type = type_
        event.key = key
        event.resume_token = None
        event._wire = wire
        event._read = read
        events.append(event)
    if events:
        events[-1].resume_token = token
    return events


def broken_watch(what: str) -> StoreError:
    """An answer to a watch that breaks the contract; `what` follows "the server's answer"."""
    return broken_answer(f"to a watch {what}")
