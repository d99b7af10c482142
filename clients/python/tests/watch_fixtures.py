"""Fixtures of the tests of watches, mirrors and subscriptions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from scripted_watch import ScriptedWatches
from watch_worlds import SOON, AioWorld, Reader, SyncWorld


@pytest.fixture(params=[SyncWorld, AioWorld], ids=lambda world: world.name)
def world(request: pytest.FixtureRequest) -> Iterator[SyncWorld]:
    """Each test that asks for it, or for what stands on it, runs with both clients."""
    world: SyncWorld = request.param()
    yield world
    world.close()


@pytest.fixture
def watches() -> Iterator[ScriptedWatches]:
    """A server that says what the test says."""
    server = ScriptedWatches()
    yield server
    server.close()


@pytest.fixture
def peer(world: SyncWorld, watches: ScriptedWatches) -> Any:
    """A service whose server is the scripted one."""
    return world.service(watches.address)


@pytest.fixture
def watch(world: SyncWorld, peer: Any) -> Iterator[Callable[..., Reader]]:
    """Opens watches of the scripted server that connect again soon."""
    readers: list[Reader] = []

    def open_watch(*args: Any, **options: Any) -> Reader:
        readers.append(Reader(world, peer.watch_keys(*args, **{"retry": SOON, **options})))
        return readers[-1]

    yield open_watch
    for reader in readers:
        reader.close()
