"""The two clients under one face, so that what both promise is tested once."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable
from typing import Any

import execution_store
from execution_store import KeyEvent, WatchEvent, WatchRetryPolicy, aio

# Connections that follow each other at once.
SOON = WatchRetryPolicy(initial_backoff=0.001, max_backoff=0.005)
LIMIT = 30.0


class SyncWorld:
    """The synchronous client."""

    name = "sync"

    def __init__(self) -> None:
        self._opened: list[Any] = []

    def service(self, address: str, **options: Any) -> Any:
        """A service that is closed with the test."""
        service = self._service(address, options)
        self._opened.append(service)
        return service

    def store(self, service: Any, name: str = "jobs") -> Any:
        return execution_store.ExecutionStore(name, service)

    def run(self, result: Any) -> Any:
        """What a method returns or, in asyncio, what its coroutine does."""
        return result

    def do(self, make: Callable[[], Any]) -> Any:
        """Calls where the client lives: in the event loop, if it has one."""
        return make()

    def wait_ready(self, mirror: Any, timeout: float = LIMIT) -> None:
        self.run(mirror.wait_ready(timeout))

    def close(self) -> None:
        for service in self._opened:
            self.run(service.close())

    def _service(self, address: str, options: dict[str, Any]) -> Any:
        return execution_store.ExecutionStoreService(address=address, **options)


class AioWorld(SyncWorld):
    """The asyncio client, in an event loop of another thread."""

    name = "aio"

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="test-loop")
        self._thread.start()

    def store(self, service: Any, name: str = "jobs") -> Any:
        return aio.ExecutionStore(name, service)

    def run(self, result: Any) -> Any:
        if not inspect.iscoroutine(result):
            return result
        return asyncio.run_coroutine_threadsafe(result, self.loop).result(LIMIT * 2)

    def do(self, make: Callable[[], Any]) -> Any:
        async def call() -> Any:
            return make()

        return self.run(call())

    def close(self) -> None:
        super().close()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    def _service(self, address: str, options: dict[str, Any]) -> Any:
        return aio.ExecutionStoreService(address=address, **options)


class Reader:
    """A watch of either client, read with a limit of time."""

    def __init__(self, world: SyncWorld, watch: Any):
        self._world = world
        self.watch = watch

    def next(self, timeout: float = LIMIT) -> WatchEvent | None:
        event: WatchEvent | None = self._world.run(self.watch.next_event(timeout))
        return event

    def take(self, count: int) -> list[str]:
        """So many events, in short."""
        return [brief(event) for event in self.events(count)]

    def events(self, count: int) -> list[WatchEvent]:
        taken: list[WatchEvent] = []
        while len(taken) < count:
            event = self.next()
            assert event is not None, f"no event came after {[brief(each) for each in taken]}"
            taken.append(event)
        return taken

    def until(self, *types: str) -> list[WatchEvent]:
        """Events up to the first of these types, with it."""
        taken: list[WatchEvent] = []
        while not taken or taken[-1].type not in types:
            taken += self.events(1)
        return taken

    def close(self) -> None:
        self._world.run(self.watch.close())

    @property
    def resume_token(self) -> str | None:
        token: str | None = self.watch.resume_token
        return token


def brief(event: WatchEvent) -> str:
    """An event in short: its type, its key, and its token."""
    key = f" {event.key}" if isinstance(event, KeyEvent) else ""
    token = f" @{event.resume_token}" if event.resume_token is not None else ""
    return f"{event.type}{key}{token}"


class InBackground:
    """Does something in a thread, and keeps what comes of it."""

    def __init__(self, work: Callable[[], Any]):
        self._result: list[Any] = []
        self._error: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, args=(work,), name="test-background")
        self._thread.start()

    def check(self) -> None:
        """Raises what has ended it, so that nobody waits for what it no longer does."""
        if self._error:
            raise self._error[0]

    def result(self) -> Any:
        self._thread.join(LIMIT)
        assert not self._thread.is_alive(), "it goes on for too long"
        self.check()
        return self._result[0]

    def _run(self, work: Callable[[], Any]) -> None:
        try:
            self._result.append(work())
        except BaseException as error:
            self._error.append(error)
