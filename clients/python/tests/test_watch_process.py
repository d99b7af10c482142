"""What becomes of watches and mirrors when their process forks or ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from execution_store import (
    FailedPreconditionError,
)
from store_server import StoreServer, until
from watch_worlds import LIMIT, Reader, SyncWorld


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_does_not_cross_a_fork(world: SyncWorld, lmdb_server: StoreServer, dataset_id: str) -> None:
    service = world.service(lmdb_server.address, dataset_id=dataset_id)
    store = world.store(service)
    world.run(store.set("a", 1))
    reader = Reader(world, store.watch())
    reader.events(1)
    mirror = world.do(store.mirror)
    world.wait_ready(mirror)
    pid = os.fork()
    if pid == 0:
        os._exit(in_child(reader.watch, mirror, world.name))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    world.run(store.set("b", 2))
    assert [event.type for event in reader.events(1)] == ["created"]
    until(lambda: mirror.get("b") == 2, "the mirror of the parent goes on")
    world.run(mirror.close())
    reader.close()


def in_child(watch: Any, mirror: Any, world: str) -> int:
    """What a forked process sees of its parent's; a number for each surprise."""
    coroutine = watch.next_event() if world == "aio" else None
    calls: list[Callable[[], Any]] = [
        (lambda: coroutine.send(None)) if coroutine is not None else watch.next_event,
        lambda: mirror["a"],
        lambda: mirror.get("a"),
        lambda: "a" in mirror,
        lambda: list(mirror),
        lambda: len(mirror),
    ]
    for number, call in enumerate(calls, start=1):
        try:
            call()
        except FailedPreconditionError as error:
            if error.reason != "CLIENT_FORKED":
                return 100 + number
        else:
            return number
    if not watch.closed:
        return 50
    if world == "sync":
        watch.close()
        mirror.close()
    return 0


def test_keeps_no_process_from_ending(lmdb_server: StoreServer) -> None:
    script = f"""
from execution_store import ExecutionStore
store = ExecutionStore.create("ending", address={lmdb_server.address!r})
watch = store.watch(snapshot=True)
print(next(watch).type)
mirror = store.mirror()
mirror.wait_ready()
store.subscribe(print)
"""
    source = Path(__file__).parents[1] / "src"
    # Again and again: where the threads are when they stop is chance.
    for _ in range(8):
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONPATH": str(source)},
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "started\n", "")
