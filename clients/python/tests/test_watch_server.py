"""Watches of real servers, also of such that are killed, frozen, or have forgotten."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from execution_store import (
    ExecutionStore,
    ExecutionStoreService,
    HistoryLostError,
    KeyEvent,
    KeyRemovedEvent,
    KeySetEvent,
    RetryPolicy,
    WatchEvent,
)
from store_server import StoreServer, until
from watch_worlds import LIMIT, SOON, InBackground, Reader, SyncWorld, brief

StartServer = Callable[..., StoreServer]
# A server of such options notices within a second what others notice within many.
QUICK = ("--watch-progress", "200ms")
PROGRESS = 0.2


@pytest.fixture
def writer(service: ExecutionStoreService) -> ExecutionStore:
    """A store in a context of its own, on each engine."""
    return ExecutionStore("jobs", service)


@pytest.fixture
def store(world: SyncWorld, server: StoreServer, dataset_id: str) -> Any:
    """The same store in either client."""
    return world.store(world.service(server.address, dataset_id=dataset_id))


@pytest.fixture
def own_server(engine: str, start_server: StartServer) -> StoreServer:
    """A server that a test may end."""
    return start_server(engine, *QUICK)


@pytest.fixture
def own_writer(own_server: StoreServer) -> Iterator[ExecutionStore]:
    """One that waits for as long as a server may take to start on a busy machine."""
    retry = RetryPolicy(wait_for_server=60)
    with ExecutionStore.create(
        "jobs", address=own_server.address, timeout=60, retry=retry
    ) as store:
        yield store


def test_tells_changes_and_what_was_before_and_how_keys_ended(
    world: SyncWorld, writer: ExecutionStore, store: Any
) -> None:
    writer.set("a", {"n": 1})
    writer._service.set_key("other", "x", 1)
    with_previous = Reader(world, store.watch(snapshot=True, include_previous=True))
    changes = Reader(world, store.watch(event_types=["created", "expired"], key_prefix="b"))
    assert changes.events(1)[0].type == "started"
    assert [event.type for event in with_previous.until("snapshot_complete")] == [
        "started",
        "existing",
        "snapshot_complete",
    ]
    writer.set("a", {"n": 2})
    writer.set("b", b"\x00\xff", ttl=0.3)
    writer.delete("a")
    told = with_previous.until("expired")
    assert [brief(event).split(" @")[0] for event in told if isinstance(event, KeyEvent)] == [
        "updated a",
        "created b",
        "deleted a",
        "expired b",
    ]
    updated, created, deleted, expired = (each for each in told if isinstance(each, KeyEvent))
    assert isinstance(updated, KeySetEvent)
    assert updated.previous is not None
    assert (updated.previous.value, updated.document.value) == ({"n": 1}, {"n": 2})
    assert updated.document.etag == writer_etag(updated)
    assert isinstance(created, KeySetEvent)
    assert (created.document.value, created.previous) == (b"\x00\xff", None)
    for gone, value in ((deleted, {"n": 2}), (expired, b"\x00\xff")):
        assert isinstance(gone, KeyRemovedEvent)
        assert gone.previous is not None
        assert (gone.previous.value, gone.document) == (value, None)
        assert gone.commit_time >= gone.previous.created_at
    assert [brief(event).split(" @")[0] for event in changes.events(2)] == [
        "created b",
        "expired b",
    ]
    for reader in (with_previous, changes):
        reader.close()


def writer_etag(event: KeySetEvent) -> str:
    """The etag of an update is another than that of the document before it."""
    assert event.previous is not None
    assert event.document.etag != event.previous.etag
    return event.document.etag


def test_goes_on_from_a_kept_token_in_another_watch(
    world: SyncWorld, writer: ExecutionStore, store: Any
) -> None:
    reader = Reader(world, store.watch())
    reader.events(1)
    writer.set("a", 1)
    writer.set("b", 2)
    assert brief(reader.events(1)[0]).startswith("created a @")
    token = reader.resume_token
    reader.close()
    writer.set("c", 3)
    late = Reader(world, store.watch(resume_token=token))
    keys = [event.key for event in late.events(3) if isinstance(event, KeyEvent)]
    assert keys == ["b", "c"]
    late.close()
    elsewhere = Reader(world, store.watch(resume_token=token, key_prefix="x"))
    with pytest.raises(ValueError, match="resume_token"):
        elsewhere.next()


def test_of_all_contexts_tells_which(
    world: SyncWorld, server: StoreServer, writer: ExecutionStore, dataset_id: str
) -> None:
    service = world.service(server.address)
    reader = Reader(world, service.watch_keys("jobs", all_contexts=True))
    reader.events(1)
    writer.set("mine", 1)
    event = next(
        event for event in iter(lambda: reader.events(1)[0], None) if brief_key(event) == "mine"
    )
    assert isinstance(event, KeySetEvent)
    assert event.dataset_id == event.document.dataset_id == dataset_id
    reader.close()


def brief_key(event: WatchEvent) -> str | None:
    return event.key if isinstance(event, KeyEvent) else None


def test_a_server_that_is_killed_and_frozen_loses_and_doubles_nothing(
    world: SyncWorld, own_server: StoreServer, own_writer: ExecutionStore
) -> None:
    service = world.service(own_server.address)
    store = world.store(service)
    interruptions: list[str] = []
    tuning: dict[str, Any] = {"retry": SOON, "progress_interval": PROGRESS}
    reader = Reader(
        world,
        store.watch(
            snapshot=True,
            on_interruption=lambda error, _: interruptions.append(error.reason),
            **tuning,
        ),
    )
    mirror = world.do(lambda: store.mirror(**tuning))
    mirrored: list[str] = []
    mirror.on_change(
        lambda change: mirrored.append(
            f"{change.type} {change.key} {change.document.value if change.document else '-'}"
        )
    )
    messages: list[str] = []
    world.run(
        store.subscribe(
            lambda message: messages.append(
                f"{message.metadata.operation_type} {message.key} {message.value}"
            ),
            retry=SOON,
        )
    )
    world.wait_ready(mirror)
    reader.until("snapshot_complete")
    # One that is told here is told by a subscription that has begun.
    own_writer.set("first", 0)
    until(lambda: messages, "the subscription has begun")
    written = ["created first 0"]
    told: list[str] = []
    for round_ in range(4):
        if round_ % 2 == 0:
            own_server.restart()
        for number in range(20):
            written += change(own_writer, f"k{number % 3}", len(written), number % 10 == 9)
        if round_ % 2 == 1:
            freeze_until_noticed(own_server, reader, told, interruptions)
        wait_for(len(written), reader, told, mirrored, messages)
    assert told == written
    assert mirrored == written
    names = {"created": "insert", "updated": "update", "deleted": "delete"}
    expected = [f"{names[what]} {rest}" for what, rest in (each.split(" ", 1) for each in written)]
    assert [message.replace("None", "-") for message in messages] in (
        expected,
        ["initial first 0", *expected[1:]],
    )
    listed = {document.key: document.value for document in own_writer.list_values()}
    assert dict(mirror) == listed
    assert len(interruptions) >= 4
    world.run(mirror.close())
    reader.close()


def freeze_until_noticed(
    server: StoreServer, reader: Reader, told: list[str], interruptions: list[str]
) -> None:
    """Whoever reads notices the silence."""
    seen = len(interruptions)
    server.freeze()
    until(lambda: read_changes(reader, told) or len(interruptions) > seen, "it is noticed")
    server.thaw()


def wait_for(count: int, reader: Reader, told: list[str], *lists: list[str]) -> None:
    """Waits until everybody has heard of so many changes."""
    until(lambda: read_changes(reader, told) or len(told) >= count, "all is told", 60)
    until(lambda: all(len(each) >= count for each in lists), "all is told elsewhere", 60)


def change(writer: ExecutionStore, key: str, value: int, delete: bool) -> list[str]:
    """Changes a key; how a watch tells it."""
    if delete:
        return [f"deleted {key} -"] if writer.delete(key) else []
    there = writer.has(key)
    writer.set(key, value)
    return [f"{'updated' if there else 'created'} {key} {value}"]


def read_changes(reader: Reader, told: list[str]) -> bool:
    """Takes what is there; false, so that a condition can begin with it."""
    while (event := reader.next(0.01)) is not None:
        if isinstance(event, KeyEvent):
            value = event.document.value if event.document is not None else "-"
            told.append(f"{event.type} {event.key} {value}")
    return False


def test_writes_under_a_server_that_dies_are_all_told(
    world: SyncWorld, own_server: StoreServer, own_writer: ExecutionStore
) -> None:
    reader = Reader(world, world.service(own_server.address).watch_keys("jobs", retry=SOON))
    reader.events(1)
    stop = threading.Event()

    def write() -> int:
        number = 0
        while not stop.is_set() or number < 50:
            number += 1
            own_writer.set("n", number)
        return number

    writing = InBackground(write)
    for _ in range(3):
        count = 0
        while count < 20:
            count += isinstance(reader.events(1)[0], KeyEvent)
            writing.check()
        own_server.restart()
    stop.set()
    last = writing.result()
    values: list[int] = []
    own_writer.set("end", 0)
    while not values or values[-1] != -1:
        event = reader.events(1)[0]
        if isinstance(event, KeySetEvent):
            values.append(event.document.value if event.key == "n" else -1)
    # A set whose acknowledgement was lost was sent again, and so told again.
    numbers = [value for index, value in enumerate(values[:-1]) if value != values[index - 1]]
    assert numbers == list(range(numbers[0], last + 1))
    reader.close()


def test_a_place_that_is_not_in_the_history_is_lost(
    world: SyncWorld, engine: str, start_server: StartServer
) -> None:
    there, here = start_server(engine), start_server(engine)
    tokens = []
    for server in (there, here):
        reader = Reader(world, world.service(server.address).watch_keys("jobs"))
        reader.events(1)
        tokens.append(reader.resume_token)
        reader.close()
    service = world.service(here.address)
    world.run(service.set_key("jobs", "a", 1))
    lost = Reader(world, service.watch_keys("jobs", resume_token=tokens[0]))
    with pytest.raises(HistoryLostError) as caught:
        lost.next()
    assert caught.value.reason == "HISTORY_LOST"
    found = Reader(
        world, service.watch_keys("jobs", resume_token=tokens[0], on_history_lost="snapshot")
    )
    assert [event.type for event in found.events(4)] == [
        "reset",
        "started",
        "existing",
        "snapshot_complete",
    ]
    found.close()


def test_history_that_was_forgotten_is_lost(world: SyncWorld, start_server: StartServer) -> None:
    server = start_server("lmdb", "--history-size", "1MB", "--history-time", "1s")
    service = world.service(server.address)
    reader = Reader(world, service.watch_keys("jobs"))
    reader.events(1)
    token = reader.resume_token
    reader.close()

    def is_lost() -> bool:
        world.run(service.set_key("jobs", "a", "x" * 300_000))
        again = Reader(world, service.watch_keys("jobs", resume_token=token))
        try:
            again.next()
        except HistoryLostError:
            return True
        again.close()
        return False

    until(is_lost, "the token is too old")


def test_a_consumer_that_was_given_up_as_too_slow_loses_nothing(
    world: SyncWorld, start_server: StartServer
) -> None:
    server = start_server("lmdb", "--watch-stall", "100ms", *QUICK)
    service = world.service(server.address)
    reasons: list[str] = []
    slow = Reader(
        world,
        service.watch_keys(
            "jobs",
            buffer_bytes=1,
            retry=SOON,
            on_interruption=lambda error, _: reasons.append(error.reason),
        ),
    )
    slow.events(1)
    value = "x" * 256 * 1024
    for number in range(60):
        world.run(service.set_key("jobs", f"k{number}", value))
    # A clock: another watch's signs of life.
    clock = Reader(world, world.service(server.address).watch_keys("o", progress_interval=PROGRESS))
    clock.events(4)
    keys: list[str] = []
    while len(keys) < 60:
        event = slow.events(1)[0]
        if isinstance(event, KeyEvent):
            keys.append(event.key)
    assert keys == [f"k{number}" for number in range(60)]
    assert "WATCH_TOO_SLOW" in reasons
    slow.close()
    clock.close()


def test_closing_the_service_ends_a_read_in_another_thread(world: SyncWorld, store: Any) -> None:
    reader = Reader(world, store.watch())
    reader.events(1)
    reading = InBackground(lambda: reader.next(LIMIT))
    world.run(store._service.close())
    assert reading.result() is None
