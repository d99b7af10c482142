"""Watches that are read by threads."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING

import grpc

from .errors import StoreError
from .forked import forked_error, process
from .watch_buffer import EventBuffer
from .watch_events import WatchEvent
from .watch_feed import WatchFeed
from .watch_options import WatchSettings

if TYPE_CHECKING:
    from .connection import Connection


class Watch(Iterator[WatchEvent]):
    """A stream of the changes of keys: every change once, in the order of commits.

    It connects when it is first read, and again by itself whenever the connection is lost or
    silent, or its consumer was so slow that the server gave it up; nothing is lost or told twice by
    that. Lost history, and what no repetition mends, raise StoreError, after the events before it.

    It ends, without an error, by close() from any thread, at the end of its ``with`` block, when
    the service is closed, and when nobody holds it any more; leaving a loop by ``break`` alone does
    not end it, and it can be read on. It has a thread of its own while it is open. Several threads
    may read one watch: each event comes to one of them. A slow consumer holds the server back,
    which ends watches that stay far behind; they go on where they were as long as the store's
    history lasts.

    A watch does not cross a fork: in the child, reading it raises FailedPreconditionError
    (``CLIENT_FORKED``), and closing it does nothing.

    Example:
        >>> with service.watch_keys("jobs", snapshot=True) as watch:
        ...     for event in watch:
        ...         if isinstance(event, KeyEvent):
        ...             print(event.type, event.key, event.document and event.document.value)
    """

    def __init__(self, connection: Connection, settings: WatchSettings) -> None:
        """Opens nothing yet; see ExecutionStoreService.watch_keys."""
        self._pid = process.id
        self._lock = threading.Lock()
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

    def __iter__(self) -> Watch:
        """The watch itself."""
        return self

    def __next__(self) -> WatchEvent:
        """The next event, as soon as there is one.

        Raises:
            StopIteration: The watch was closed.
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
        taken = self.next_event()
        if taken is None:
            raise StopIteration
        return taken

    def next_event(self, timeout: float | None = None) -> WatchEvent | None:
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
        event = self._buffer.take(timeout)
        if event is not None:
            if event.resume_token is not None:
                self._resume_token = event.resume_token
            elif event.type == "reset":
                self._resume_token = None
        return event

    def open(self) -> None:
        """Connects now rather than when it is first read. Idempotent.

        Raises:
            FailedPreconditionError: The service is closed, or the process is forked.
        """
        if self._pid != process.id:
            raise forked_error("a watch")
        with self._lock:
            begun, self._begun = self._begun, True
        if not begun:
            self._reader.start()

    def close(self) -> None:
        """Ends the watch: nothing is handed over any more, and reads under way end. Idempotent."""
        if self._pid == process.id:
            self._reader.stop()

    def __enter__(self) -> Watch:
        """The watch itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """As close."""
        self.close()

    def __del__(self) -> None:
        """As close: a watch that nobody can read any more needs no thread and no connection."""
        # At the end of the process its threads have stopped where they were, perhaps with locks
        # that this would wait for. Where the constructor failed there is nothing to close.
        if not sys.is_finalizing() and hasattr(self, "_reader"):
            self.close()


class _Reader:
    """Brings the events of a watch into its buffer, in a thread of its own.

    It does not know its watch: whose last owner drops it is thereby closed.
    """

    def __init__(self, connection: Connection, settings: WatchSettings) -> None:
        self.buffer = EventBuffer(settings.buffer_events, settings.buffer_bytes)
        self._connection = connection
        self._settings = settings
        self._stopped = threading.Event()
        self._call: grpc.Call | None = None
        self._forget: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Starts the thread, unless the watch was closed before.

        Raises:
            FailedPreconditionError: The service is closed.
        """
        if self._stopped.is_set():
            return
        try:
            self._forget = self._connection.on_close(self.stop)
            threading.Thread(target=self._run, name="execution-store-watch", daemon=True).start()
        except BaseException:
            # Nobody is to wait for what no thread will bring.
            self._forget()
            self.buffer.end()
            raise

    def stop(self) -> None:
        """Ends the thread and its call."""
        self._stopped.set()
        self.buffer.drop()
        call = self._call
        if call is not None:
            call.cancel()

    def _run(self) -> None:
        try:
            self._follow()
        except Exception as error:
            self.buffer.end(error)
        finally:
            self._forget()

    def _follow(self) -> None:
        settings = self._settings
        feed = WatchFeed(settings, start_limit=self._connection.timeout)
        while not self._stopped.is_set():
            error = self._follow_connection(feed)
            if self._stopped.is_set():
                return
            interruption = feed.interrupted(error)
            if interruption.reset is not None:
                self.buffer.add([interruption.reset], 0)
            if settings.on_interruption is not None:
                settings.on_interruption(error, interruption.delay)
            with self._connection.reconnecting():
                if self._stopped.wait(interruption.delay):
                    return

    def _follow_connection(self, feed: WatchFeed) -> StoreError:
        """Opens one connection and follows it to its end, which it returns."""
        silent = threading.Event()
        try:
            call = self._connection.stream("WatchKeys", feed.next_request())
        except StoreError as error:
            return error

        def give_up() -> None:
            silent.set()
            call.cancel()

        self._call = call
        try:
            # Closed in between, nobody has cancelled this call.
            while not self._stopped.is_set() and self.buffer.wait_for_room():
                self.buffer.expect_in(feed.silence_limit, give_up)
                message, size = next(call)
                self.buffer.add(feed.take(message), size)
        except StopIteration:
            return feed.broke_off("OK")
        except grpc.RpcError as error:
            if silent.is_set():
                return feed.silence()
            return self._connection.stream_error("WatchKeys", error)
        except StoreError as error:
            return error
        finally:
            self.buffer.expect_nothing()
            self._call = None
            call.cancel()
        return feed.broke_off("CANCELLED")
