"""What a watch is asked for, filled in and checked."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, Union

from google.protobuf.duration_pb2 import Duration

from .calls import Calls
from .errors import StoreError, invalid_field
from .fields import build, check_name, text_fault
from .retry import NO_RETRY, RetryPolicy
from .v1 import execution_store_pb2 as pb
from .watch_events import KeyEventType

Interval = Union[float, timedelta]
OnHistoryLost = Literal["raise", "snapshot"]
OnInterruption = Callable[[StoreError, float], object]

BUFFER_EVENTS = 1000
BUFFER_BYTES = 4 * 1024 * 1024

_TYPES = {
    "existing": pb.KeyEvent.TYPE_EXISTING,
    "created": pb.KeyEvent.TYPE_CREATED,
    "updated": pb.KeyEvent.TYPE_UPDATED,
    "deleted": pb.KeyEvent.TYPE_DELETED,
    "expired": pb.KeyEvent.TYPE_EXPIRED,
}
# What a Duration may hold.
_MAX_DURATION_SECONDS = 315_576_000_000


@dataclass(frozen=True)
class WatchRetryPolicy(RetryPolicy):
    """How often and how soon a watch connects again.

    Attributes:
        max_attempts: the most connections in a row that end without changes and without progress,
            before the watch fails with the last one's error: a whole number of at least 1, or
            ``math.inf``
        initial_backoff: seconds before the second connection, at least 0; doubled for each that
            follows, until one brings changes or progress. Up to a half is taken away at random, so
            that watchers that lost one server do not come back together.
        max_backoff: the most seconds between two connections, at least 0, unless the server asks
            for more
        wait_for_server: seconds, from the beginning, in which a server that cannot be reached is
            tried again before the watch has started for the first time

    Raises:
        InvalidArgumentError: ``CLIENT_OPTION_INVALID`` if one of them is out of its range
    """

    max_attempts: float = math.inf
    initial_backoff: float = 0.25
    max_backoff: float = 10.0
    wait_for_server: float = math.inf


DEFAULT_WATCH_RETRY = WatchRetryPolicy()


@dataclass(frozen=True)
class WatchSettings:
    """A watch, checked and ready to be opened.

    Attributes:
        request: The request of the first connection.
        read: Takes the value out of a document, in the form that was asked for.
        retry: When to connect again.
        snapshot_if_lost: Whether lost history is followed by a snapshot, or the end.
        buffer_events: So many events fill the buffer.
        buffer_bytes: Messages of so many bytes fill the buffer.
        on_interruption: Hears of each lost connection, and in how many seconds the next is tried.
    """

    request: pb.WatchKeysRequest
    read: Callable[[pb.KeyDocument], Any]
    retry: RetryPolicy
    snapshot_if_lost: bool
    buffer_events: int
    buffer_bytes: int
    on_interruption: OnInterruption | None


def watch_settings(
    calls: Calls,
    *,
    store_name: str | None,
    key: str | None,
    key_prefix: str,
    all_contexts: bool,
    snapshot: bool,
    resume_token: str | None,
    event_types: Iterable[KeyEventType] | None,
    encoding: str,
    include_previous: bool,
    progress_interval: Interval | None,
    buffer_events: int,
    buffer_bytes: int,
    on_history_lost: OnHistoryLost,
    on_interruption: OnInterruption | None,
    retry: RetryPolicy | None,
) -> WatchSettings:
    """Checks the arguments of a watch; see ExecutionStoreService.watch_keys."""
    reader = calls.reader(encoding)
    request = build(
        pb.WatchKeysRequest,
        dataset_id=calls.dataset_id,
        collection_name=calls.collection_name,
        # The empty name would mean every store.
        store_name="" if store_name is None else check_name(store_name, writes=False),
        all_contexts=all_contexts,
        key_prefix=_text(key_prefix, "PREFIX_INVALID", "key_prefix"),
        snapshot=snapshot,
        resume_token=_resume_token_field(resume_token),
        event_types=_event_types_field(event_types),
        encoding=reader.wire,
        include_previous=include_previous,
        progress_interval=_interval_field(progress_interval),
    )
    if key is not None:
        request.key = _text(key, "KEY_INVALID", "key")
    return WatchSettings(
        request=request,
        read=reader.get,
        retry=_checked_retry(retry),
        snapshot_if_lost=_is_snapshot_if_lost(on_history_lost),
        buffer_events=_checked_limit(buffer_events, "buffer_events"),
        buffer_bytes=_checked_limit(buffer_bytes, "buffer_bytes"),
        on_interruption=on_interruption,
    )


def _checked_retry(retry: RetryPolicy | None) -> RetryPolicy:
    """The policy; None is never to connect again."""
    if retry is None:
        return NO_RETRY
    if isinstance(retry, RetryPolicy):
        return retry
    raise _invalid("retry", "is no WatchRetryPolicy; give one, or None never to connect again")


def _is_snapshot_if_lost(on_history_lost: OnHistoryLost) -> bool:
    """Whether lost history is followed by a snapshot."""
    if on_history_lost in ("raise", "snapshot"):
        return on_history_lost == "snapshot"
    raise _invalid(
        "on_history_lost", 'is neither "raise" nor "snapshot"; expected one of these two'
    )


def _checked_limit(limit: int, name: str) -> int:
    """How much may wait for the consumer."""
    if isinstance(limit, numbers.Real) and not isinstance(limit, bool) and limit >= 1:
        return limit
    raise _invalid(
        name, "is not a number of at least 1; expected how much may wait, or leave it out"
    )


def _event_types_field(types: Iterable[KeyEventType] | None) -> list[pb.KeyEvent.Type]:
    """The types of events; all if None."""
    if types is None:
        return []
    names = [types] if isinstance(types, str) else list(types)
    if not names:
        raise invalid_field(
            "EVENT_TYPE_INVALID", "event_types", "is empty; leave it out for all types"
        )
    known = ", ".join(f'"{name}"' for name in _TYPES)
    for index, name in enumerate(names):
        if not isinstance(name, str) or name not in _TYPES:
            raise invalid_field(
                "EVENT_TYPE_INVALID",
                f"event_types[{index}]",
                f"is none of {known}; expected one of these",
            )
    return [_TYPES[name] for name in names]


def _interval_field(interval: Interval | None) -> Duration | None:
    """The interval of progress, in seconds."""
    if interval is None:
        return None
    seconds = interval.total_seconds() if isinstance(interval, timedelta) else interval
    is_number = isinstance(seconds, numbers.Real) and not isinstance(seconds, bool)
    if not is_number or not 0 < seconds <= _MAX_DURATION_SECONDS:
        raise invalid_field(
            "PROGRESS_INTERVAL_INVALID",
            "progress_interval",
            "is not a number of seconds greater than 0; expected one such as 10, or leave it out",
        )
    whole = int(seconds)
    return Duration(seconds=whole, nanos=int((seconds - whole) * 1e9))


def _resume_token_field(token: str | None) -> str:
    """The token to go on behind; "" if None."""
    if token is None:
        return ""
    # Sent empty, it would mean "from now on", and what happened since would be passed over.
    if token == "":
        raise invalid_field(
            "RESUME_TOKEN_INVALID",
            "resume_token",
            "is empty; give the token of an event, or leave it out to watch from now on",
        )
    return _text(token, "RESUME_TOKEN_INVALID", "resume_token")


def _text(value: str, reason: str, field: str) -> str:
    fault = text_fault(value, reason, field)
    if fault is not None:
        raise fault
    return value


def _invalid(name: str, description: str) -> StoreError:
    return invalid_field("CLIENT_OPTION_INVALID", name, description)
