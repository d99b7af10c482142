"""Events between a thread that brings them and threads that take them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from .watch_events import WatchEvent


class EventBuffer:
    """Events between a connection that brings them and a consumer that takes them.

    Neither sets the pace of the other: the consumer waits for events, and whoever brings them
    waits for room. Whoever waits for an event also minds the clock: a connection has no thread of
    its own that would notice that nothing comes.
    """

    def __init__(self, max_events: int, max_bytes: int) -> None:
        """Makes an empty buffer.

        Args:
            max_events: With so many events it is full, until half of them are taken. Those of the
                message that is being taken do not count.
            max_bytes: With messages of so many bytes likewise.
        """
        self._max_events = max_events
        self._max_bytes = max_bytes
        # Events are accounted for by message: there may be a flood of them.
        self.current: deque[WatchEvent] = deque()
        """What is left of the message that is being taken; to take from its left needs no lock."""
        # The messages that wait behind it, with their bytes.
        self._waiting: deque[tuple[deque[WatchEvent], int]] = deque()
        self._events = 0
        self._bytes = 0
        # Its own thread can take it again: a watch may be closed by the garbage collector, which
        # comes at any place.
        lock = threading.RLock()
        self._changed = threading.Condition(lock)
        self._room = threading.Condition(lock)
        self._held_back = False
        self._ended = False
        self._dropped = False
        self._error: Exception | None = None
        self._silent_at: float | None = None
        self._on_silence: Callable[[], object] = _do_nothing

    @property
    def ended(self) -> bool:
        """Whether nothing can be taken any more."""
        return self._ended and not self.current and not self._waiting and self._error is None

    def add(self, events: Sequence[WatchEvent], size: int) -> None:
        """Adds the events of one message of ``size`` bytes, also if the buffer is full.

        A message without events takes no room.
        """
        if not events:
            return
        with self._changed:
            if self._ended:
                return
            self._waiting.append((deque(events), size))
            self._events += len(events)
            self._bytes += size
            self._changed.notify(len(events))

    def wait_for_room(self) -> bool:
        """Waits until the buffer is not full; answers whether events are still wanted."""
        if not self._is_full():
            return not self._ended
        with self._changed:
            # While nobody is to read the connection, it cannot be silent.
            self._silent_at = None
            self._held_back = True
            while self._held_back and not self._ended and not self._has_room():
                self._room.wait()
            self._held_back = False
            return not self._ended

    def expect_in(self, seconds: float, on_silence: Callable[[], object]) -> None:
        """Expects a message within so many seconds.

        Args:
            seconds: From now on.
            on_silence: Called by a consumer that waits, when they are over.
        """
        self._on_silence = on_silence
        before = self._silent_at
        self._silent_at = at = time.monotonic() + seconds
        if before is None or at < before:
            with self._changed:
                self._changed.notify_all()

    def expect_nothing(self) -> None:
        """Takes the expectation back."""
        self._silent_at = None
        self._on_silence = _do_nothing

    def take(self, timeout: float | None = None) -> WatchEvent | None:
        """Takes the next event, waiting for it; None at the end, or after ``timeout`` seconds.

        Raises:
            Exception: What ended the buffer, once, after all events.
        """
        try:
            # Nobody needs the lock for what is there: this is the path of every event of a flood.
            return self.current.popleft()
        except IndexError:
            pass
        # Outside of the handler, which would be told of in every error that is raised here.
        return self._wait_for_event(timeout)

    def end(self, error: Exception | None = None) -> None:
        """Adds no more: what is there may still be taken. Only the first end counts."""
        with self._changed:
            if self._ended:
                return
            self._ended = True
            self._error = error
            self._wake_all()

    def drop(self, error: Exception | None = None) -> None:
        """Ends at once: what is there is dropped. Only the first time counts."""
        with self._changed:
            if self._dropped:
                return
            self._dropped = True
            self._ended = True
            self._error = error
            self.current.clear()
            self._waiting.clear()
            self._wake_all()

    def _wake_all(self) -> None:
        self._silent_at = None
        self._changed.notify_all()
        self._room.notify_all()

    def _is_full(self) -> bool:
        return self._events >= self._max_events or self._bytes >= self._max_bytes

    def _has_room(self) -> bool:
        # Not as soon as there is any: the two threads would take turns for each message.
        return self._events <= self._max_events / 2 and self._bytes <= self._max_bytes / 2

    def _next_message(self) -> WatchEvent:
        """Begins to take the next message, and takes its first event."""
        events, size = self._waiting.popleft()
        self._events -= len(events)
        self._bytes -= size
        event = events.popleft()
        self.current = events
        if self._held_back and self._has_room():
            self._held_back = False
            self._room.notify()
        return event

    def _wait_for_event(self, timeout: float | None) -> WatchEvent | None:
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while True:
                if self.current:
                    try:
                        return self.current.popleft()
                    except IndexError:
                        # Somebody else was quicker, who needs no lock for that.
                        continue
                if self._waiting:
                    return self._next_message()
                if self._ended:
                    error, self._error = self._error, None
                    if error is not None:
                        raise error
                    return None
                now = time.monotonic()
                if self._silent_at is not None and now >= self._silent_at:
                    self._silent_at = None
                    self._on_silence()
                if deadline is not None and now >= deadline:
                    return None
                times = [at for at in (deadline, self._silent_at) if at is not None]
                longest = min(times) - now if times else threading.TIMEOUT_MAX
                self._changed.wait(min(longest, threading.TIMEOUT_MAX))


def _do_nothing() -> None:
    pass
