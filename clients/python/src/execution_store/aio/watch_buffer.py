"""Events between a task that brings them and tasks that take them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from ..watch_events import WatchEvent


class EventBuffer:
    """Events between a connection that brings them and a consumer that takes them.

    Neither sets the pace of the other: the consumer waits for events, and whoever brings them
    waits for room. All of it happens in one event loop.
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
        """What is left of the message that is being taken: may be taken from its left."""
        # The messages that wait behind it, with their bytes.
        self._waiting: deque[tuple[deque[WatchEvent], int]] = deque()
        self._events = 0
        self._bytes = 0
        self._consumers: set[asyncio.Future[None]] = set()
        self._room: asyncio.Future[None] | None = None
        self._ended = False
        self._dropped = False
        self._error: Exception | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing can be taken any more."""
        return self._ended and not self.current and not self._waiting and self._error is None

    def add(self, events: Sequence[WatchEvent], size: int) -> None:
        """Adds the events of one message of ``size`` bytes, also if the buffer is full.

        A message without events takes no room.
        """
        if self._ended or not events:
            return
        self._waiting.append((deque(events), size))
        self._events += len(events)
        self._bytes += size
        self._wake_consumers()

    def is_full(self) -> bool:
        """Whether no more events are to be brought for now."""
        full = self._events >= self._max_events or self._bytes >= self._max_bytes
        return full and not self._ended

    async def wait_for_room(self) -> None:
        """Waits until the buffer is not full, or has ended."""
        if not self.is_full():
            return
        self._room = asyncio.get_running_loop().create_future()
        try:
            await self._room
        finally:
            self._room = None

    async def take(self, timeout: float | None = None) -> WatchEvent | None:
        """Takes the next event, waiting for it; None at the end, or after ``timeout`` seconds.

        Cancelling it loses no event.

        Raises:
            Exception: What ended the buffer, once, after all events.
        """
        if self.current:
            return self.current.popleft()
        if not self._waiting and not self._ended:
            await self._wait_for_event(timeout)
        if self.current:
            return self.current.popleft()
        if self._waiting:
            return self._next_message()
        error, self._error = self._error, None
        if error is not None:
            raise error
        return None

    def end(self, error: Exception | None = None) -> None:
        """Adds no more: what is there may still be taken. Only the first end counts."""
        if not self._ended:
            self._ended = True
            self._error = error
            self._wake_all()

    def drop(self) -> None:
        """Ends at once: what is there is dropped."""
        if not self._dropped:
            self._dropped = True
            self._ended = True
            self._error = None
            self.current.clear()
            self._waiting.clear()
            self._wake_all()

    def forget_waiters(self) -> None:
        """Wakes nobody who waits now: their event loop is closed."""
        self._consumers.clear()
        self._room = None

    def _next_message(self) -> WatchEvent:
        """Begins to take the next message, and takes its first event."""
        self.current, size = self._waiting.popleft()
        self._events -= len(self.current)
        self._bytes -= size
        self._give_room()
        return self.current.popleft()

    async def _wait_for_event(self, timeout: float | None) -> None:
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout
        while not self.current and not self._waiting and not self._ended:
            if deadline is not None and loop.time() >= deadline:
                return
            waiter = loop.create_future()
            timer = None if deadline is None else loop.call_at(deadline, _wake, waiter)
            self._consumers.add(waiter)
            try:
                await waiter
            finally:
                self._consumers.discard(waiter)
                if timer is not None:
                    timer.cancel()

    def _wake_all(self) -> None:
        self._wake_consumers()
        if self._room is not None:
            _wake(self._room)

    def _wake_consumers(self) -> None:
        for waiter in self._consumers:
            _wake(waiter)

    def _give_room(self) -> None:
        # Not as soon as there is any: the two tasks would take turns for each message.
        few = self._events <= self._max_events / 2 and self._bytes <= self._max_bytes / 2
        if few and self._room is not None:
            _wake(self._room)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
