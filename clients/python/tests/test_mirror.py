"""Mirrors: maps of a store that a watch keeps current."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Callable, Mapping
from typing import Any

import grpc
import pytest

import scripted_watch as say
from execution_store import (
    DeadlineExceededError,
    ExecutionStore,
    ExecutionStoreService,
    FailedPreconditionError,
    MirrorChange,
)
from scripted_watch import ScriptedWatches
from store_server import StoreServer, until
from test_watch import watch_threads
from watch_worlds import SOON, InBackground, SyncWorld

LOST = (grpc.StatusCode.OUT_OF_RANGE, "HISTORY_LOST")
OpenMirror = Callable[..., Any]


@pytest.fixture
def mirror(world: SyncWorld, peer: Any) -> Any:
    """Opens mirrors of the scripted server's store."""
    opened: list[Any] = []

    def open_mirror(*args: Any, **options: Any) -> Any:
        store = world.store(peer)
        opened.append(world.do(lambda: store.mirror(*args, **{"retry": SOON, **options})))
        return opened[-1]

    yield open_mirror
    for each in opened:
        world.run(each.close())


def collect(mirror: Any) -> list[str]:
    """The changes that a mirror tells, in short."""
    changes: list[str] = []

    def listener(change: MirrorChange) -> None:
        after = change.document.value if change.document is not None else "-"
        before = change.previous.value if change.previous is not None else "-"
        changes.append(f"{change.type} {change.key} {before} {after}")

    mirror.on_change(listener)
    return changes


def test_is_exact_on_each_engine(
    world: SyncWorld, server: StoreServer, service: ExecutionStoreService, dataset_id: str
) -> None:
    writer = ExecutionStore("jobs", service)
    writer.set_many({"a/1": {"n": 1}, "a/2": [1, 2], "b": 3})
    store = world.store(world.service(server.address, dataset_id=dataset_id))
    mirror = world.do(lambda: store.mirror("a/"))
    world.wait_ready(mirror)
    assert dict(mirror) == {"a/1": {"n": 1}, "a/2": [1, 2]}
    changes = collect(mirror)
    writer.set("b", 4)
    writer.set("a/1", 1)
    writer.set("a/3", 3, ttl=0.3)
    writer.delete("a/2")
    until(lambda: len(changes) == 4, "all is mirrored")
    assert changes == [
        "updated a/1 {'n': 1} 1",
        "created a/3 - 3",
        "deleted a/2 [1, 2] -",
        "expired a/3 3 -",
    ]
    assert dict(mirror) == {"a/1": 1}
    document = mirror.document("a/1")
    there = service.get_key("jobs", "a/1")
    assert there is not None
    assert (document.etag, document.updated_at) == (there.etag, there.updated_at)
    world.run(mirror.close())


def test_is_a_mapping(world: SyncWorld, mirror: OpenMirror, watches: ScriptedWatches) -> None:
    map_ = mirror()
    call = watches.call(0)
    assert call.request.snapshot
    assert call.request.store_name == "jobs"
    assert not map_.ready
    call.send(say.started(), say.snapshot(say.existing("a", 1), say.existing("b", None)))
    call.send(say.complete("t1"))
    world.wait_ready(map_)
    assert map_.ready
    assert isinstance(map_, Mapping)
    assert (map_["a"], map_["b"], map_.get("a"), map_.get("b", 5)) == (1, None, 1, None)
    assert (map_.get("c"), map_.get("c", 5), map_.document("c")) == (None, 5, None)
    with pytest.raises(KeyError):
        map_["c"]
    assert ("a" in map_, "c" in map_, len(map_), bool(map_)) == (True, False, 2, True)
    assert list(map_) == list(map_.keys()) == ["a", "b"]
    assert list(map_.values()) == [1, None]
    assert list(map_.items()) == [("a", 1), ("b", None)]
    assert {key: document.value for key, document in map_.documents().items()} == dict(map_)
    assert map_.document("a").policy == "persist"
    assert map_ != {"a": 1, "b": None}
    assert map_ in {map_}
    assert "1" not in repr(map_).split(" at ", maxsplit=1)[0]


def test_can_be_changed_under_whoever_iterates(
    world: SyncWorld, mirror: OpenMirror, watches: ScriptedWatches
) -> None:
    map_ = mirror()
    call = watches.call(0)
    call.send(say.started(), say.snapshot(say.existing("a"), say.existing("b")), say.complete("t1"))
    world.wait_ready(map_)
    views = [iter(map_), iter(map_.values()), iter(map_.items())]
    for view in views:
        next(view)
    call.send(say.events("t2", say.deleted("b"), say.created("c"), say.created("d")))
    until(lambda: "d" in map_, "the changes have come")
    assert [list(view) for view in views] == [["b"], [1], [("b", 1)]]


def test_stays_as_it_is_while_the_connection_is_lost(
    world: SyncWorld, mirror: OpenMirror, watches: ScriptedWatches
) -> None:
    map_ = mirror()
    first = watches.call(0)
    first.send(say.started(), say.snapshot(say.existing("a")), say.complete("t1"))
    world.wait_ready(map_)
    changes = collect(map_)
    first.end()
    second = watches.call(1)
    assert dict(map_) == {"a": 1}
    assert (second.request.snapshot, second.request.resume_token) == (False, "t1")
    second.send(say.started("t1"), say.events("t2", say.updated("a", 2)))
    until(lambda: map_["a"] == 2, "the change has come")
    assert changes == ["updated a 1 2"]


def test_takes_a_new_snapshot_at_once_where_history_is_lost(
    world: SyncWorld, mirror: OpenMirror, watches: ScriptedWatches
) -> None:
    map_ = mirror()
    first = watches.call(0)
    kept, changed, gone = (say.existing(key) for key in ("kept", "changed", "gone"))
    first.send(say.started(), say.snapshot(kept, changed, gone), say.complete("t1"))
    world.wait_ready(map_)
    changes = collect(map_)
    first.end(*LOST)
    second = watches.call(1)
    assert second.request.snapshot
    second.send(say.started(), say.snapshot(kept, say.existing("changed", 2, "e2")))
    second.send(say.snapshot(say.existing("new", 3)))
    # What comes in is of no effect before it is complete.
    third = interrupted(second, watches)
    assert dict(map_) == {"kept": 1, "changed": 1, "gone": 1}
    third.send(say.started(), say.snapshot(kept, say.existing("changed", 2, "e2")))
    third.send(say.snapshot(say.existing("new", 3)), say.complete("t9"))
    until(lambda: "new" in map_, "the snapshot is complete")
    assert dict(map_) == {"kept": 1, "changed": 2, "new": 3}
    until(lambda: len(changes) == 3, "all is told")
    assert changes == ["deleted gone 1 -", "updated changed 1 2", "created new - 3"]


def interrupted(call: say.ScriptedCall, watches: ScriptedWatches) -> say.ScriptedCall:
    """The call after this one, which the server ends."""
    index = watches.calls.index(call)
    call.end()
    return watches.call(index + 1)


def test_ignores_the_expiry_of_what_was_never_there(
    world: SyncWorld, mirror: OpenMirror, watches: ScriptedWatches
) -> None:
    map_ = mirror()
    call = watches.call(0)
    call.send(say.started(), say.complete("t1"))
    world.wait_ready(map_)
    changes = collect(map_)
    call.send(say.events("t2", say.expired("a"), say.created("b")))
    until(lambda: changes, "the changes have come")
    assert changes == ["created b - 1"]


def test_raises_from_reads_once_its_watch_has_failed(
    world: SyncWorld, mirror: OpenMirror, watches: ScriptedWatches
) -> None:
    map_ = mirror()
    call = watches.call(0)
    call.send(say.started(), say.snapshot(say.existing("a")), say.complete("t1"))
    world.wait_ready(map_)
    call.end(grpc.StatusCode.FAILED_PRECONDITION, "REPLICA_SET_REQUIRED")

    def failed() -> bool:
        try:
            return map_["a"] != 1
        except FailedPreconditionError:
            return True

    until(failed, "the failure is seen")
    reads: list[Callable[[], Any]] = [
        lambda: map_.get("a"),
        lambda: map_.document("a"),
        lambda: "a" in map_,
        lambda: len(map_),
        lambda: list(map_),
        lambda: list(map_.values()),
        lambda: list(map_.items()),
        map_.documents,
    ]
    for read in reads:
        with pytest.raises(FailedPreconditionError) as caught:
            read()
    depth = len(caught.traceback)
    with pytest.raises(FailedPreconditionError) as caught:
        map_.documents()
    assert len(caught.traceback) == depth


def test_says_what_prevents_it_from_being_filled(
    world: SyncWorld, mirror: OpenMirror, watches: ScriptedWatches
) -> None:
    map_ = mirror()
    with pytest.raises(DeadlineExceededError, match=r"within 0\.05 s"):
        world.wait_ready(map_, 0.05)
    watches.call(0).end(grpc.StatusCode.FAILED_PRECONDITION, "REPLICA_SET_REQUIRED")
    with pytest.raises(FailedPreconditionError):
        world.wait_ready(map_)


def test_keeps_what_it_had_when_it_is_closed(
    world: SyncWorld, mirror: OpenMirror, watches: ScriptedWatches
) -> None:
    map_ = mirror()
    call = watches.call(0)
    call.send(say.started(), say.snapshot(say.existing("a")), say.complete("t1"))
    world.wait_ready(map_)
    world.run(map_.close())
    world.run(map_.close())
    assert call.cancelled.wait(10)
    assert dict(map_) == {"a": 1}
    world.wait_ready(map_)
    until(lambda: not watch_threads(), "the threads have ended")


def test_of_a_closed_service_is_refused_and_closing_at_once_is_no_error(
    world: SyncWorld, watches: ScriptedWatches
) -> None:
    service = world.service(watches.address)
    store = world.store(service)

    def open_and_begin_to_close() -> Any:
        map_ = store.mirror()
        return map_, service.close()

    map_, closing = world.do(open_and_begin_to_close)
    world.run(closing)
    world.wait_ready(map_)
    assert dict(map_) == {}
    with pytest.raises(FailedPreconditionError) as caught:
        world.do(store.mirror)
    assert caught.value.reason == "CLIENT_CLOSED"


def test_listeners_come_and_go_in_any_thread(
    world: SyncWorld, mirror: OpenMirror, watches: ScriptedWatches
) -> None:
    map_ = mirror()
    call = watches.call(0)
    call.send(say.started(), say.complete("t0"))
    world.wait_ready(map_)
    heard: list[int] = []
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:

        def listen(number: int) -> None:
            for _ in range(500):
                map_.on_change(lambda _: None)()
            map_.on_change(lambda _: heard.append(number))

        listening = [InBackground(lambda number=number: listen(number)) for number in range(8)]
        for each in listening:
            each.result()
    finally:
        sys.setswitchinterval(before)
    call.send(say.events("t1", say.created("a")))
    until(lambda: "a" in map_, "the change has come")
    until(lambda: len(heard) == 8, "all have heard of it")


def test_ends_when_nobody_holds_it(world: SyncWorld, peer: Any, watches: ScriptedWatches) -> None:
    store = world.store(peer)
    map_ = world.do(store.mirror)
    call = watches.call(0)
    call.send(say.started(), say.complete("t1"))
    world.wait_ready(map_)
    del map_
    gc.collect()
    assert call.cancelled.wait(10)
    until(lambda: not watch_threads(), "the threads have ended")


def test_a_listener_that_fails_is_logged_and_nothing_to_the_others(
    world: SyncWorld,
    mirror: OpenMirror,
    watches: ScriptedWatches,
    caplog: pytest.LogCaptureFixture,
) -> None:
    map_ = mirror()

    def failing(_change: MirrorChange) -> None:
        raise RuntimeError("broken")

    map_.on_change(failing)
    forgotten: list[MirrorChange] = []
    forget = map_.on_change(forgotten.append)
    changes = collect(map_)
    forget()
    call = watches.call(0)
    with caplog.at_level(logging.ERROR):
        call.send(say.started(), say.complete("t1"), say.events("t2", say.created("secret", "s3")))
        until(lambda: changes, "the change has come")
    assert forgotten == []
    assert [record.message for record in caplog.records] == ["a listener of a mirror failed"]
    assert "s3" not in caplog.text
