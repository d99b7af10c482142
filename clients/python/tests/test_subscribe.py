"""Subscriptions: callbacks that hear of a store's changes, in FiftyOne's shape."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

import scripted_watch as say
from execution_store import (
    ExecutionStore,
    ExecutionStoreService,
    FailedPreconditionError,
    InvalidArgumentError,
    StoreMessage,
)
from scripted_watch import ScriptedWatches
from store_server import StoreServer, until
from test_watch import watch_threads
from watch_worlds import LIMIT, SOON, SyncWorld

LOST = (grpc.StatusCode.OUT_OF_RANGE, "HISTORY_LOST")
Subscribe = Callable[..., str]


@pytest.fixture
def subscribe(world: SyncWorld, peer: Any) -> Iterator[Subscribe]:
    """Subscribes to the scripted server's store."""
    store = world.store(peer)

    def subscribe_to(callback: Callable[[StoreMessage], object], **options: Any) -> str:
        subscription_id: str = world.run(store.subscribe(callback, **{"retry": SOON, **options}))
        return subscription_id

    yield subscribe_to
    world.run(store.close())


def brief(message: StoreMessage) -> str:
    return f"{message.metadata.operation_type} {message.key} {message.value}"


def test_tells_the_current_state_first_and_then_changes(
    world: SyncWorld, server: StoreServer, service: ExecutionStoreService, dataset_id: str
) -> None:
    writer = ExecutionStore("jobs", service)
    writer.set("a", {"n": 1})
    store = world.store(world.service(server.address, dataset_id=dataset_id))
    messages: list[StoreMessage] = []
    subscription_id = world.run(store.subscribe(messages.append))
    until(lambda: messages, "the state is told")
    writer.set("a", 2)
    writer.set("b", 3, ttl=0.3)
    writer.delete("a")
    until(lambda: len(messages) == 5, "all is told")
    assert [brief(message) for message in messages] == [
        "initial a {'n': 1}",
        "update a 2",
        "insert b 3",
        "delete a None",
        "expire b None",
    ]
    assert {message.metadata.dataset_id for message in messages} == {dataset_id}
    times = [message.metadata.timestamp for message in messages]
    assert None not in times
    assert times == sorted(times)
    assert world.run(store.unsubscribe(subscription_id)) is True
    assert world.run(store.unsubscribe(subscription_id)) is False
    until(lambda: not watch_threads(), "the threads have ended")


def test_of_a_prefix_and_of_a_service(
    world: SyncWorld, peer: Any, watches: ScriptedWatches
) -> None:
    messages: list[str] = []
    subscription_id = world.run(
        peer.subscribe("jobs", lambda message: messages.append(brief(message)), prefix="a")
    )
    call = watches.call(0)
    assert (call.request.store_name, call.request.key_prefix) == ("jobs", "a")
    call.send(say.started(), say.snapshot(say.existing("a")), say.complete("t1"))
    until(lambda: messages == ["initial a 1"], "the state is told")
    assert world.run(peer.unsubscribe(subscription_id))
    assert call.cancelled.wait(10)
    with pytest.raises(InvalidArgumentError):
        world.run(peer.subscribe("", messages.append))


def test_tells_what_is_left_of_lost_history_as_one_change_per_key(
    subscribe: Subscribe, watches: ScriptedWatches
) -> None:
    messages: list[StoreMessage] = []
    subscribe(messages.append)
    first = watches.call(0)
    kept, changed, gone = (say.existing(key) for key in ("kept", "changed", "gone"))
    first.send(say.started(), say.snapshot(kept, changed, gone), say.complete("t1"))
    until(lambda: len(messages) == 3, "the state is told")
    first.end(*LOST)
    second = watches.call(1)
    second.send(say.started(), say.snapshot(kept, say.existing("changed", 2, "e2")))
    second.send(say.snapshot(say.existing("new", 3)), say.complete("t9"))
    second.send(say.events("t10", say.expired("never"), say.deleted("new")))
    until(lambda: len(messages) >= 7, "all is told")
    assert [brief(message) for message in messages[3:]] == [
        "update changed 2",
        "insert new 3",
        "delete gone None",
        "delete new None",
    ]
    assert messages[5].metadata.timestamp is None


def test_tells_each_key_of_an_interrupted_first_snapshot_once(
    subscribe: Subscribe, watches: ScriptedWatches
) -> None:
    messages: list[str] = []
    subscribe(lambda message: messages.append(brief(message)))
    first = watches.call(0)
    first.send(say.started(), say.snapshot(say.existing("a")))
    first.end()
    second = watches.call(1)
    second.send(say.started(), say.snapshot(say.existing("a"), say.existing("b")))
    second.send(say.complete("t1"), say.events("t2", say.created("c")))
    until(lambda: "insert c 1" in messages, "all is told")
    assert messages == ["initial a 1", "initial b 1", "insert c 1"]


def test_unsubscribe_ends_it_among_messages_that_have_come_in(
    world: SyncWorld, peer: Any, watches: ScriptedWatches
) -> None:
    messages: list[str] = []
    store = world.store(peer)
    entered, leave = threading.Event(), threading.Event()

    def callback(message: StoreMessage) -> None:
        messages.append(message.key)
        entered.set()
        assert leave.wait(LIMIT)

    async def async_callback(message: StoreMessage) -> None:
        messages.append(message.key)
        entered.set()
        while not leave.is_set():
            await asyncio.sleep(0.001)

    subscription_id = world.run(
        store.subscribe(async_callback if world.name == "aio" else callback)
    )
    call = watches.call(0)
    call.send(say.started(), say.snapshot(say.existing("a"), say.existing("b")), say.complete("t"))
    assert entered.wait(LIMIT)
    assert world.run(store.unsubscribe(subscription_id))
    leave.set()
    assert call.cancelled.wait(10)
    until(lambda: not watch_threads(), "the threads have ended")
    assert messages == ["a"]


def test_waits_for_each_callback_before_its_next_message_and_not_for_others(
    world: SyncWorld, peer: Any, watches: ScriptedWatches
) -> None:
    store = world.store(peer)
    leave = threading.Event()
    slow: list[str] = []
    quick: list[str] = []

    def callback(message: StoreMessage) -> None:
        slow.append(f"> {message.key}")
        assert leave.wait(LIMIT)
        slow.append(f"< {message.key}")

    async def async_callback(message: StoreMessage) -> None:
        slow.append(f"> {message.key}")
        while not leave.is_set():
            await asyncio.sleep(0.001)
        slow.append(f"< {message.key}")

    world.run(store.subscribe(async_callback if world.name == "aio" else callback))
    world.run(store.subscribe(lambda message: quick.append(message.key)))
    for index in range(2):
        call = watches.call(index)
        call.send(say.started(), say.snapshot(say.existing("a"), say.existing("b")))
        call.send(say.complete("t1"))
    until(lambda: quick == ["a", "b"] and slow, "the quick one has heard all")
    assert slow == ["> a"]
    leave.set()
    until(lambda: len(slow) == 4, "the slow one has heard all")
    assert slow == ["> a", "< a", "> b", "< b"]
    world.run(store.close())


def test_goes_on_after_a_callback_that_fails_and_reports_it(
    subscribe: Subscribe, watches: ScriptedWatches, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []
    errors: list[Exception] = []

    def callback(message: StoreMessage) -> None:
        heard.append(message.key)
        if message.key == "a":
            raise RuntimeError("broken")

    def on_error(error: Exception) -> None:
        errors.append(error)
        raise RuntimeError("broken, too")

    subscribe(callback, on_error=on_error)
    with caplog.at_level(logging.ERROR):
        call = watches.call(0)
        call.send(say.started(), say.snapshot(say.existing("a", "s3"), say.existing("b")))
        call.send(say.complete("t"))
        until(lambda: heard == ["a", "b"], "it goes on")
    assert [str(error) for error in errors] == ["broken"]
    assert [record.message for record in caplog.records] == [
        "the on_error of a subscription failed"
    ]
    assert "s3" not in caplog.text


def test_goes_on_after_a_value_that_cannot_be_read_and_reports_it(
    subscribe: Subscribe, watches: ScriptedWatches
) -> None:
    heard: list[str] = []
    errors: list[Exception] = []
    subscribe(lambda message: heard.append(brief(message)), on_error=errors.append)
    broken = [say.existing("a"), say.updated("b")]
    for each in broken:
        each.document.value_bson = b"\x05\x00\x00\x00\x01"
    call = watches.call(0)
    call.send(say.started(), say.snapshot(broken[0], say.existing("b")), say.complete("t1"))
    call.send(say.events("t2", broken[1], say.updated("b", 3), say.deleted("a")))
    until(lambda: "delete a None" in heard, "all is told")
    assert heard == ["initial b 1", "update b 3", "delete a None"]
    reasons = [error.reason for error in errors if isinstance(error, FailedPreconditionError)]
    assert reasons == ["VALUE_UNDECODABLE"] * 2


def test_to_a_closed_service_is_refused_and_closing_at_once_is_no_error(
    world: SyncWorld, watches: ScriptedWatches
) -> None:
    service = world.service(watches.address)
    errors: list[Exception] = []

    async def subscribe_and_close() -> None:
        await service.subscribe("jobs", print, on_error=errors.append)
        await service.close()

    if world.name == "aio":
        world.run(subscribe_and_close())
    else:
        service.subscribe("jobs", print, on_error=errors.append)
        service.close()
    until(lambda: not watch_threads(), "the threads have ended")
    with pytest.raises(FailedPreconditionError) as caught:
        world.run(service.subscribe("jobs", print))
    assert caught.value.reason == "CLIENT_CLOSED"
    assert errors == []


def test_reports_what_ends_it(
    subscribe: Subscribe, watches: ScriptedWatches, caplog: pytest.LogCaptureFixture
) -> None:
    errors: list[Exception] = []
    subscribe(lambda _: None, on_error=errors.append)
    watches.call(0).end(grpc.StatusCode.FAILED_PRECONDITION, "REPLICA_SET_REQUIRED")
    until(lambda: errors, "the error is reported")
    assert isinstance(errors[0], FailedPreconditionError)
    with caplog.at_level(logging.ERROR):
        subscribe(lambda _: None)
        watches.call(1).end(grpc.StatusCode.FAILED_PRECONDITION, "REPLICA_SET_REQUIRED")
        until(lambda: caplog.records, "the error is logged")
    assert [record.message for record in caplog.records] == ["a subscription failed"]


def test_ends_with_its_store_and_leaves_the_service_open(
    world: SyncWorld, peer: Any, watches: ScriptedWatches
) -> None:
    store = world.store(peer)
    other = world.store(peer)
    for each in (store, other):
        world.run(each.subscribe(lambda _: None))
    watches.call(1)
    world.run(store.close())
    until(lambda: [call.cancelled.is_set() for call in watches.calls].count(True) == 1, "one ends")
    world.run(peer.close())
    until(lambda: all(call.cancelled.is_set() for call in watches.calls), "both have ended")
    until(lambda: not watch_threads(), "the threads have ended")
