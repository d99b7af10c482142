"""Subscriptions and server-sent events of FiftyOne, told by the service."""

from __future__ import annotations

import asyncio
import json
import queue
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from fiftyone.operators.remote_notifier import default_sse_notifier
from fiftyone.operators.store import ExecutionStore, ExecutionStoreService
from fiftyone.operators.store.notification_service import (
    MongoChangeStreamNotificationServiceLifecycleManager as LifecycleManager,
)
from fiftyone.operators.store.notification_service import default_notification_service

import execution_store
import execution_store.fiftyone
from conftest import MONGOD, Standalone
from execution_store.fiftyone import GrpcExecutionStoreRepo
from execution_store.fiftyone.subscriptions import subscriptions
from store_server import StoreServer, until

LIMIT = 30


class Told(queue.Queue[Any]):
    """A callback that keeps what it is told."""

    def __call__(self, message: Any) -> None:
        self.put(message)

    def next(self) -> tuple[str, str, Any]:
        message = self.get(timeout=LIMIT)
        return message.metadata.operation_type, message.key, message.value


def subscribe(store: Any, told: Told) -> str:
    """Subscribes, and waits until it is told of changes one by one."""
    store.set("ready", None)
    subscription_id: str = store.subscribe(told)
    assert told.next() == ("initial", "ready", None)
    return subscription_id


@pytest.fixture
def told() -> Iterator[Told]:
    yield Told()
    subscriptions.unsubscribe_all()


@pytest.fixture
def store(installed: str, dataset: Any) -> Any:
    return ExecutionStore.create("told", dataset._doc.id)


def test_a_subscriber_hears_what_is_there_and_every_change(store: Any, told: Told) -> None:
    store.set("there", {"n": 1})
    store.subscribe(told)
    assert told.next() == ("initial", "there", {"n": 1})
    store.set("new", [1, None])
    assert told.next() == ("insert", "new", [1, None])
    store.set("there", 2)
    assert told.next() == ("update", "there", 2)
    assert store.compare_and_set("new", [1, None], datetime(2020, 1, 2))
    assert told.next() == ("update", "new", datetime(2020, 1, 2))
    store.delete("there")
    assert told.next() == ("delete", "there", None)
    store.set("new", 1, ttl=1)
    assert told.next() == ("update", "new", 1)
    assert told.next() == ("delete", "new", None)


def test_metadata_is_as_fiftyone_gives_it(store: Any, told: Told, dataset: Any) -> None:
    subscribe(store, told)
    before = datetime.now(timezone.utc)
    store.set("k", 1)
    message = told.get(timeout=LIMIT)
    assert message.metadata.dataset_id == str(dataset._doc.id)
    time = datetime.fromisoformat(message.metadata.timestamp)
    assert abs((time - before).total_seconds()) < 60
    assert json.loads(message.to_json())["metadata"]["operation_type"] == "insert"


def test_only_its_own_store_and_context(store: Any, told: Told, dataset: Any) -> None:
    subscribe(store, told)
    nobodys = Told()
    subscribe(ExecutionStore.create("told"), nobodys)
    ExecutionStore.create("told", ObjectId()).set("other dataset", 1)
    ExecutionStore.create("other", dataset._doc.id).set("other store", 1)
    ExecutionStore.create("told").set("no dataset", 1)
    store.set("mine", 1)
    assert told.next() == ("insert", "mine", 1)
    assert nobodys.next() == ("insert", "no dataset", 1)
    assert told.empty()
    assert nobodys.empty()


def test_unsubscribing(store: Any, told: Told) -> None:
    first = subscribe(store, told)
    last = Told()
    subscribe(store, last)
    assert told.next()[1] == "ready"
    # Whoever has the id may end it, as an operator that runs again does.
    assert ExecutionStore.create("another").unsubscribe(first) is True
    assert store.unsubscribe(first) is False
    store.set("k", 1)
    assert last.next() == ("insert", "k", 1)
    assert told.empty()
    # FiftyOne ends the subscriptions of a store that is cleared.
    store.clear()
    control = Told()
    subscribe(store, control)
    assert last.empty()


def test_a_subscriber_that_fails_goes_on(store: Any, told: Told) -> None:
    def failing(message: Any) -> None:
        told(message)
        raise ValueError("not today")

    store.subscribe(failing)
    store.set("a", 1)
    store.set("b", 2)
    assert [told.next()[1] for _ in "ab"] == ["a", "b"]


def test_without_install(address: str, told: Told) -> None:
    service = ExecutionStoreService(repo=GrpcExecutionStoreRepo(address=address))
    subscription_id = subscribe(ExecutionStore("own", service), told)
    service.set_key("own", "k", 1)
    assert told.next() == ("insert", "k", 1)
    assert service.unsubscribe(subscription_id) is True
    service.delete_store("own")


def test_notifications_that_are_disabled(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIFTYONE_EXECUTION_STORE_NOTIFICATION_SERVICE_DISABLED", "true")
    service = ExecutionStoreService(repo=GrpcExecutionStoreRepo(address=address))
    for call in (lambda: service.subscribe("s", print), lambda: service.unsubscribe("id")):
        with pytest.raises(ValueError, match="notification service"):
            call()
    assert service.delete_store("s") == 0


def test_a_notification_service_of_ones_own(address: str) -> None:
    class Own:
        def subscribe(self, *args: Any) -> str:
            return f"own {args[0]} {args[2]}"

    repo = GrpcExecutionStoreRepo(notification_service=Own(), address=address)
    assert repo.subscribe("s", print) == "own s None"


@pytest.fixture
def app_notifications(installed: str) -> Iterator[None]:
    """The notifications of the App's server, as its lifespan starts and ends them."""
    manager = LifecycleManager(default_notification_service)
    manager.start_in_dedicated_thread()
    until(lambda: default_notification_service.is_running, "the notifications run")
    yield
    asyncio.run(manager.stop())
    assert default_notification_service.is_running is False


def test_server_sent_events(installed: str, dataset: Any, request: pytest.FixtureRequest) -> None:
    dataset_id = str(dataset._doc.id)
    store = ExecutionStore.create("followed", dataset._doc.id)
    store.set("there", {"at": datetime(2020, 1, 1)})
    # Only now, lest it tell of this, too.
    request.getfixturevalue("app_notifications")

    async def follow() -> list[tuple[str, str, Any]]:
        response = await default_sse_notifier.get_event_source_response("followed", dataset_id)
        events = response.body_iterator
        heard = [as_told(await next_event(events))]
        loop = asyncio.get_running_loop()
        for change in (
            lambda: store.set("k", 1),
            lambda: store.set("k", ObjectId("65f0c1d2e3a4b5c6d7e8f901")),
            lambda: ExecutionStore.create("followed", ObjectId()).set("of another", 1),
            lambda: ExecutionStore.create("unheard", dataset._doc.id).set("k", 1),
            lambda: store.delete("k"),
        ):
            await loop.run_in_executor(None, change)
        heard += [as_told(await next_event(events)) for _ in range(3)]
        await events.aclose()
        return heard

    assert asyncio.run(follow()) == [
        ("initial", "there", {"at": {"$date": "2020-01-01T00:00:00Z"}}),
        ("insert", "k", 1),
        ("update", "k", {"$oid": "65f0c1d2e3a4b5c6d7e8f901"}),
        ("delete", "k", None),
    ]


async def next_event(events: Any) -> Any:
    # FiftyOne fills the queue from another thread, of which the loop hears when it turns.
    waiting = asyncio.ensure_future(events.__anext__())
    async with asyncio.timeout(LIMIT):
        while not waiting.done():
            await asyncio.sleep(0.01)
    return waiting.result()


def as_told(event: str) -> tuple[str, str, Any]:
    message = json.loads(event)
    return message["metadata"]["operation_type"], message["key"], message["value"]


def test_subscribers_of_the_apps_server(app_notifications: None, told: Told) -> None:
    """With a dataset, with none, and of all contexts, past any repository."""
    dataset_id = ObjectId()
    everywhere, nobodys = Told(), Told()
    for place in (dataset_id, None):
        ExecutionStore.create("s", place).set("ready", None)
    default_notification_service.subscribe("s", told, str(dataset_id))
    default_notification_service.subscribe("s", nobodys, "None")
    default_notification_service.subscribe("s", everywhere)
    for each in (told, nobodys, everywhere, everywhere):
        assert each.next() == ("initial", "ready", None)
    ExecutionStore.create("s", dataset_id).set("k", 1)
    assert told.next() == ("insert", "k", 1)
    assert everywhere.next() == ("insert", "k", 1)
    ExecutionStore.create("s").set("n", 2)
    assert nobodys.next() == ("insert", "n", 2)
    assert everywhere.next() == ("insert", "n", 2)
    assert told.empty()
    default_notification_service.unsubscribe_all("s")


@pytest.mark.skipif(MONGOD is None, reason="EXECUTION_STORE_TEST_MONGOD names no mongod to start")
def test_a_mongodb_without_change_streams(told: Told, tmp_path: Path, database: str) -> None:
    """As the one that FiftyOne brings along: changes are looked for."""
    with Standalone(tmp_path) as uri:
        server = StoreServer(f"{uri}/stores")
        try:
            execution_store.fiftyone.install(server.address)
            store = ExecutionStore.create("told")
            store.set("there", 1)
            store.subscribe(told)
            assert told.next() == ("initial", "there", 1)
            store.set("new", 2)
            assert told.next() == ("insert", "new", 2)
            store.set("new", 3)
            assert told.next() == ("update", "new", 3)
            store.delete("there")
            assert told.next() == ("delete", "there", None)
            manager = LifecycleManager(default_notification_service)
            manager.start_in_dedicated_thread()
            until(lambda: default_notification_service.is_running, "the notifications run")
            asyncio.run(follow_by_polling(store))
            asyncio.run(manager.stop())
        finally:
            execution_store.fiftyone.uninstall()
            server.kill()


async def follow_by_polling(store: Any) -> None:
    response = await default_sse_notifier.get_event_source_response("told")
    events = response.body_iterator
    assert as_told(await next_event(events)) == ("initial", "new", 3)
    await asyncio.get_running_loop().run_in_executor(None, lambda: store.set("new", 4))
    assert as_told(await next_event(events)) == ("update", "new", 4)
    await events.aclose()


def test_a_server_that_ends_and_comes_back(told: Told, tmp_path: Path, database: str) -> None:
    server = StoreServer(f"lmdb:{tmp_path / 'store'}")
    try:
        execution_store.fiftyone.install(server.address)
        store = ExecutionStore.create("told")
        subscribe(store, told)
        store.set("a", 1)
        assert told.next() == ("insert", "a", 1)
        server.restart()
        store.set("b", 2)
        assert told.next() == ("insert", "b", 2)
        assert told.empty()
    finally:
        execution_store.fiftyone.uninstall()
        server.kill()


def test_history_that_is_lost_is_told_as_one_change_per_key(
    told: Told, tmp_path: Path, database: str
) -> None:
    options = ["--history-size", "1MB", "--history-time", "1s"]
    server = StoreServer(f"lmdb:{tmp_path / 'store'}", options=options)
    try:
        execution_store.fiftyone.install(server.address)
        store = ExecutionStore.create("told")
        for key in ("changed", "gone", "same"):
            store.set(key, 1)
        store.subscribe(told)
        assert {told.next()[1] for _ in range(3)} == {"changed", "gone", "same"}
        # What is there has been told to its end then.
        store.set("begun", 1)
        assert told.next() == ("insert", "begun", 1)
        server.kill()
        change_elsewhere(server, options)
        server.start()
        changes = [told.next() for _ in range(3)]
        store.set("last", 5)
        changes.append(told.next())
    finally:
        execution_store.fiftyone.uninstall()
        server.kill()
    assert changes == [
        ("update", "changed", 3),
        ("insert", "new", 4),
        ("delete", "gone", None),
        ("insert", "last", 5),
    ]


def change_elsewhere(server: StoreServer, options: list[str]) -> None:
    """Changes the store while its server is away, until its history has forgotten that."""
    other = StoreServer(server.store, options=options)
    with execution_store.ExecutionStoreService(address=other.address) as service:
        with service.watch_keys("told") as watch:
            next(watch)
            service.set_key("told", "changed", 2)
            token = next(event.resume_token for event in watch if event.type == "updated")
        for key, value in (("changed", 3), ("new", 4)):
            service.set_key("told", key, value)
        service.delete_key("told", "gone")

        def forgotten() -> bool:
            service.set_key("filler", "k", bytes(400_000))
            with service.watch_keys("told", resume_token=token, retry=None) as watch:
                try:
                    next(watch)
                except execution_store.HistoryLostError:
                    return True
            return False

        until(forgotten, "the history has forgotten the first change")
    other.kill()
