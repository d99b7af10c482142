"""The course of a watch, free of I/O: what both the threaded and the asyncio watch do."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import Literal

import grpc

from .errors import StoreError, UnavailableError
from .retry import retry_delay
from .v1 import execution_store_pb2 as pb
from .watch_events import (
    SnapshotCompleteEvent,
    WatchEvent,
    WatchProgressEvent,
    WatchResetEvent,
    WatchStartedEvent,
)
from .watch_options import WatchSettings
from .wire_events import broken_watch, key_events

# Besides UNAVAILABLE, what passes: the watch may go on where it was.
_PASSING_REASONS = frozenset({"WATCH_TOO_SLOW", "DATABASE_BUSY"})
# Of the intervals that the server names, how many may pass in silence.
_SILENT_INTERVALS = 3
# Seconds of silence that are always granted: the server keeps no time finer than tenths of one.
_LEAST_SILENCE = 1.0

_Cause = Literal["snapshot_interrupted", "history_lost"]
_Kind = pb.WatchKeysResponse


@dataclass(frozen=True)
class Interruption:
    """What follows a lost connection.

    Attributes:
        error: What ended the connection.
        delay: Seconds before the next one.
        reset: To be told first, if what was told is void.
    """

    error: StoreError
    delay: float
    reset: WatchResetEvent | None


class WatchFeed:
    """Makes events of the messages of a watch, over as many connections as it takes.

    Where it goes on is the token of the last message that it has made events of. The one that an
    error of the server may carry is not used: messages before the error may have been dropped on
    the way.
    """

    def __init__(self, settings: WatchSettings, *, start_limit: float) -> None:
        """Begins as the request of the settings says.

        Args:
            settings: What the watch is about, and when it connects again.
            start_limit: Seconds that a connection may take to start.
        """
        request = settings.request
        self._request = request
        self._read = settings.read
        self._retry = settings.retry
        self._snapshot_if_lost = settings.snapshot_if_lost
        self._start_limit = start_limit
        # None as long as the next connection begins as the request says, or with a snapshot.
        self._token: str | None = request.resume_token or None
        self._snapshot = request.snapshot
        # Whether events of a snapshot that is not complete were told.
        self._snapshot_begun = False
        self._began_at = time.monotonic()
        self._ever_started = False
        self._started_at = 0.0
        # Connections in a row that ended, all but the first without changes and without progress.
        self._failures = 0
        self.silence_limit = start_limit
        """Seconds that the connection may be silent from now on."""

    def next_request(self) -> pb.WatchKeysRequest:
        """The request of the next connection."""
        request = pb.WatchKeysRequest()
        request.CopyFrom(self._request)
        request.snapshot = self._snapshot
        request.resume_token = self._token or ""
        self.silence_limit = self._start_limit
        return request

    def take(self, message: pb.WatchKeysResponse) -> list[WatchEvent]:
        """Makes the events of a message.

        Raises:
            StoreError: INTERNAL, if it is none that the contract knows.
        """
        kind = message.kind
        token: str | None = message.resume_token
        early = self._snapshot and kind in (_Kind.KIND_STARTED, _Kind.KIND_SNAPSHOT)
        if early:
            token = None
        elif not token:
            raise broken_watch("lacks its token")
        events = self._events_of(message, token)
        if kind == _Kind.KIND_STARTED:
            self._ever_started = True
            self._started_at = time.monotonic()
            silence = _SILENT_INTERVALS * _progress_interval(message)
            self.silence_limit = max(_LEAST_SILENCE, silence)
        if self._is_fruit(message):
            self._failures = 0
        if early:
            self._snapshot_begun = self._snapshot_begun or len(message.events) > 0
        else:
            self._token = token
            self._snapshot = False
            self._snapshot_begun = False
        return events

    def silence(self) -> StoreError:
        """The error of a connection that said nothing for ``silence_limit`` seconds."""
        return UnavailableError(
            f"the server said nothing for {self.silence_limit:g} s, although it should have told"
            " of its progress"
        )

    def broke_off(self, status: str) -> StoreError:
        """The error of a connection that ended without a word of the server's."""
        return UnavailableError(f"WatchKeys broke off with {status}")

    def interrupted(self, error: StoreError) -> Interruption:
        """Says what follows a connection that ended with this error.

        Raises:
            StoreError: ``error``, if it is the end of the watch.
        """
        self._failures += 1
        if not self._may_go_on(error):
            raise error
        retry = self._retry
        delay = retry_delay(retry, self._failures, error, random.random())
        waited = time.monotonic() - self._began_at + delay
        too_late = not self._ever_started and waited >= retry.wait_for_server
        if self._failures >= retry.max_attempts or too_late:
            error.resume_token = self._token or error.resume_token
            raise error
        return Interruption(error, delay, self._prepare(error))

    def _may_go_on(self, error: StoreError) -> bool:
        """Whether another connection may bring what this one did not."""
        if _is_history_lost(error):
            return self._snapshot_if_lost
        return isinstance(error, UnavailableError) or error.reason in _PASSING_REASONS

    def _prepare(self, error: StoreError) -> WatchResetEvent | None:
        """Says where the next connection begins, and that what was told is void where it is."""
        lost = _is_history_lost(error)
        reset = None
        if lost or self._snapshot_begun:
            cause: _Cause = "history_lost" if lost else "snapshot_interrupted"
            reset = WatchResetEvent("reset", cause, error, None)
        if lost:
            self._token = None
            self._snapshot = True
        self._snapshot_begun = False
        return reset

    def _is_fruit(self, message: pb.WatchKeysResponse) -> bool:
        """Whether a message shows that the connection was worth its while.

        A snapshot does not: where history is lost again and again, so would be one after the
        other. Progress with the token of before is told where nothing happens, but also where the
        server has to wait, so it does only on a connection that no backoff would have delayed for
        longer.
        """
        if message.kind != _Kind.KIND_PROGRESS:
            return message.kind == _Kind.KIND_EVENTS
        lasted = time.monotonic() - self._started_at
        return message.resume_token != self._token or lasted >= self._retry.max_backoff

    def _events_of(self, message: pb.WatchKeysResponse, token: str | None) -> list[WatchEvent]:
        kind = message.kind
        if kind in (_Kind.KIND_EVENTS, _Kind.KIND_SNAPSHOT):
            return key_events(message.events, self._read, token)
        if kind == _Kind.KIND_STARTED:
            return [WatchStartedEvent("started", _progress_interval(message), token)]
        if kind == _Kind.KIND_SNAPSHOT_COMPLETE and token is not None:
            return [SnapshotCompleteEvent("snapshot_complete", token)]
        if kind == _Kind.KIND_PROGRESS and token is not None:
            return [WatchProgressEvent("progress", token)]
        raise broken_watch("is of a kind that this client does not know")


def _progress_interval(message: pb.WatchKeysResponse) -> float:
    """Seconds between two signs of life, as a "started" says."""
    if not message.HasField("progress_interval"):
        raise broken_watch("does not say its interval of progress")
    interval = message.progress_interval
    return interval.seconds + interval.nanos / 1e9


def _is_history_lost(error: StoreError) -> bool:
    return error.code is grpc.StatusCode.OUT_OF_RANGE
