"""Watches that are read by tasks of an event loop."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

import grpc.aio

from ..errors import StoreError
from ..forked import forked_error, process
from ..watch_events import WatchEvent
from ..watch_feed import WatchFeed
from ..watch_options import WatchSettings
from .watch_buffer import EventBuffer

if TYPE_CHECKING:
    from .connection import Connection


class Watch(AsyncIterator[WatchEvent]):
    """A stream of the changes of keys: every change once, in the order of commits.

    It connects when it is first read, and again by itself whenever the connection is lost or
    silent, or its consumer was so slow that the server gave it up; nothing is lost or told twice by
    that. Lost history, and what no repetition mends, raise StoreError, after the events before it.

    It ends, without an error, by close(), at the end of its ``async with`` block, when the service
    is closed, and when nobody holds it any more; leaving a loop by ``break`` alone does not end it,
    and it can be read on. It belongs to the event loop that reads it first, and runs a task there
    while it is open. Cancelling a read, as ``asyncio.wait_for`` does, loses no event. Several
    tasks may read one watch: each event comes to one of them. A slow consumer holds the server
    back, which ends watches that stay far behind; they go on where they were as long as the store's
    history lasts.

    A watch does not cross a fork: in the child, reading it raises FailedPreconditionError
    (``CLIENT_FORKED``), and closing it does nothing.

    Example:
        >>> async with service.watch_keys("jobs", snapshot=True) as watch:
        ...     async for event in watch:
        ...         if isinstance(event, KeyEvent):
        ...             print(event.type, event.key, event.document and event.document.value)
    """

    def __init__(self, connection: Connection, settings: WatchSettings) -> None:
        """Opens nothing yet; see ExecutionStoreService.watch_keys."""
        self._pid = process.id
        self._begun = False
        self._reader = _Reader(connection, settings)
        self._buffer = self._reader.buffer
        self._resume_token: str | None = settings.request.resume_token or None

    @property
    def resume_token(self) -> str | None:
        """The token of the last event handed over that had one; at first, the one given.

        Kept after the event was worked on, it lets a later watch, of another process, too, go on
        right behind it.
        """
        return self._resume_token

    @property
    def closed(self) -> bool:
        """Whether no event will be handed over any more."""
        return self._pid != process.id or self._buffer.ended

    def __aiter__(self) -> Watch:
        """The watch itself."""
        return self

    async def __anext__(self) -> WatchEvent:
        """The next event, as soon as there is one.

        Raises:
            StopAsyncIteration: The watch was closed.
            StoreError: What ended the watch, once.
        """
        if self._pid == process.id:
            try:
                # What next_event does, for the events of a flood; a "reset" never comes behind
                # another event of its message.
                event = self._buffer.current.popleft()
            except IndexError:
                pass
            else:
                if event.resume_token is not None:
                    self._resume_token = event.resume_token
                return event
        taken = await self.next_event()
        if taken is None:
            raise StopAsyncIteration
        return taken

    async def next_event(self, timeout: float | None = None) -> WatchEvent | None:
        """The next event, for those who have something else to do.

        Args:
            timeout: How many seconds to wait for it; 0 takes what is there, None waits for ever.

        Returns:
            The event; None if none came in time, or the watch was closed: see ``closed``.

        Raises:
            StoreError: What ended the watch, once.
        """
        if self._pid != process.id:
            raise forked_error("a watch")
        if not self._begun:
            self.open()
        event = await self._buffer.take(timeout)
        if event is not None:
            if event.resume_token is not None:
                self._resume_token = event.resume_token
            elif event.type == "reset":
                self._resume_token = None
        return event

    def open(self) -> None:
        """Connects now rather than when it is first read, in the running event loop. Idempotent.

        Raises:
            FailedPreconditionError: The service is closed, or the process is forked.
        """
        if self._pid != process.id:
            raise forked_error("a watch")
        if not self._begun:
            self._begun = True
            self._reader.start()

    async def close(self) -> None:
        """Ends the watch: nothing is handed over any more, and reads under way end. Idempotent."""
        if self._pid == process.id:
            self._reader.stop()
            await self._reader.wait_stopped()

    async def __aenter__(self) -> Watch:
        """The watch itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """As close."""
        await self.close()

    def __del__(self) -> None:
        """As close: a watch that nobody can read any more needs no task and no connection."""
        # Where the arguments of the constructor were wrong there is nothing to close.
        if hasattr(self, "_reader"):
            self.abandon()

    def abandon(self) -> None:
        """As close, without waiting; from any thread, and also after the end of the event loop."""
        if self._pid == process.id:
            self._reader.stop_from_anywhere()


class _Reader:
    """Brings the events of a watch into its buffer, in a task of its own.

    It does not know its watch: whose last owner drops it is thereby closed.
    """

    def __init__(self, connection: Connection, settings: WatchSettings) -> None:
        self.buffer = EventBuffer(settings.buffer_events, settings.buffer_bytes)
        self._connection = connection
        self._settings = settings
        self._stopped = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._forget: Callable[[], None] = lambda: None
        self._silence = _Silence()

    def start(self) -> None:
        """Starts the task, unless the watch was closed before.

        Raises:
            FailedPreconditionError: The service is closed.
        """
        if self._stopped:
            return
        self._loop = asyncio.get_running_loop()
        try:
            # At once: the service may be closed before the task has made its first step.
            self._forget = self._connection.on_close(self.stop)
        except StoreError:
            self.buffer.end()
            raise
        self._task = self._loop.create_task(self._run())
        self._task.add_done_callback(self._over)

    def stop(self) -> None:
        """Ends the task and its call."""
        self._stopped = True
        if self._loop is not None and self._loop.is_closed():
            # It can wake nobody any more, nor cancel.
            self.buffer.forget_waiters()
            self.buffer.drop()
            return
        self.buffer.drop()
        if self._task is not None:
            self._task.cancel()

    def stop_from_anywhere(self) -> None:
        """As stop, also in another thread and after the end of the loop."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.stop)

    async def wait_stopped(self) -> None:
        """Waits until the task has ended; not where the task itself asks, nor in another loop."""
        task = self._task
        here = self._loop is asyncio.get_running_loop()
        if task is not None and here and task is not asyncio.current_task():
            await asyncio.wait([task])

    async def _run(self) -> None:
        try:
            await self._follow()
        except Exception as error:
            self.buffer.end(error)

    def _over(self, _task: asyncio.Task[None]) -> None:
        """Comes also after a task that was cancelled before its first step."""
        self._forget()
        self._silence.expect_nothing()
        # Ended from outside, as by the end of the loop, it has no more to tell.
        self.buffer.end()

    async def _follow(self) -> None:
        settings = self._settings
        feed = WatchFeed(settings, start_limit=self._connection.timeout)
        while True:
            error = await self._follow_connection(feed)
            interruption = feed.interrupted(error)
            if interruption.reset is not None:
                self.buffer.add([interruption.reset], 0)
            if settings.on_interruption is not None:
                heard = settings.on_interruption(error, interruption.delay)
                if inspect.isawaitable(heard):
                    await heard
            await asyncio.sleep(interruption.delay)

    async def _follow_connection(self, feed: WatchFeed) -> StoreError:
        """Opens one connection and follows it to its end, which it returns."""
        buffer, silence = self.buffer, self._silence
        try:
            call = await self._connection.stream("WatchKeys", feed.next_request())
        except StoreError as error:
            return error
        silence.begin(call)
        try:
            while True:
                if buffer.is_full():
                    # While nobody is to read the connection, it cannot be silent.
                    silence.expect_nothing()
                    await buffer.wait_for_room()
                silence.expect_in(feed.silence_limit)
                answer = await call.read()
                if answer is grpc.aio.EOF:  # type: ignore[attr-defined]
                    return feed.broke_off("OK")
                message, size = answer
                buffer.add(feed.take(message), size)
        except asyncio.CancelledError:
            # So ends a read of a call that was cancelled here, too.
            if silence.was_too_long and not self._stopped:
                return feed.silence()
            raise
        except grpc.aio.AioRpcError as error:
            return self._connection.stream_error("WatchKeys", error)
        except StoreError as error:
            return error
        finally:
            silence.expect_nothing()
            call.cancel()


class _Silence:
    """Cancels a call that says nothing for too long, with one timer for many messages."""

    def __init__(self) -> None:
        self.was_too_long = False
        self._call: Any = None
        self._silent_at: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, call: Any) -> None:
        """Minds this call from now on."""
        self._call = call
        self.was_too_long = False

    def expect_in(self, seconds: float) -> None:
        """Expects a message within so many seconds."""
        loop = asyncio.get_running_loop()
        self._silent_at = loop.time() + seconds
        timer = self._timer
        if timer is None or timer.when() > self._silent_at:
            if timer is not None:
                timer.cancel()
            self._timer = loop.call_at(self._silent_at, self._check, loop)

    def expect_nothing(self) -> None:
        """Takes the expectation back."""
        self._silent_at = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        if self._silent_at is None:
            return
        if loop.time() < self._silent_at:
            self._timer = loop.call_at(self._silent_at, self._check, loop)
        else:
            self.was_too_long = True
            self._call.cancel()
