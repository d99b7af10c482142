"""Where FiftyOne's stores do otherwise on the service; each is a line of docs/fiftyone.md."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import fiftyone.core.odm as foo
import pytest
from fiftyone.factory.repos.execution_store import MongoExecutionStoreRepo
from fiftyone.operators.store import ExecutionStore, ExecutionStoreService

import execution_store


@pytest.fixture
def ours(installed: str) -> Any:
    return ExecutionStore.create("s")


@pytest.fixture
def theirs(installed: str) -> Iterator[Any]:
    collection = foo.get_db_conn()["theirs"]
    yield ExecutionStore("s", ExecutionStoreService(repo=MongoExecutionStoreRepo(collection)))
    collection.drop()


def document(store: Any, key: str) -> Any:
    return store._store_service.get_key("s", key)


def test_setting_a_key_that_exists(ours: Any, theirs: Any) -> None:
    for store in (ours, theirs):
        store.set("k", 1, ttl=600)
        store.set("k", 2)
    assert (document(ours, "k").policy, document(ours, "k").expires_at) == ("persist", None)
    assert document(theirs, "k").policy == "evict"
    assert document(theirs, "k").expires_at is not None


def test_updating_ttl_and_policy(ours: Any, theirs: Any) -> None:
    for store in (ours, theirs):
        store.set("k", 1)
        store.update_ttl("k", 600)
    assert document(ours, "k").policy == "evict"
    assert document(theirs, "k").policy == "persist"
    with pytest.raises(AttributeError):
        theirs._store_service._repo.update_policy("s", "k", "persist")
    ours.update_policy("k", "persist")
    assert document(ours, "k").expires_at is None
    assert ours._store_service.update_policy("s", "missing", "evict") is False


def test_comparing_and_setting_to_persist(ours: Any, theirs: Any) -> None:
    for store in (ours, theirs):
        store.set("k", 1, ttl=600)
        assert store.compare_and_set("k", 1, 2, policy="persist") is True
    assert document(ours, "k").expires_at is None
    assert document(theirs, "k").expires_at is not None


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ([math.nan], [float("nan")]),
        ([1, [2]], (1, (2,))),
        (datetime(2024, 5, 6, 7, 8, 9), datetime(2024, 5, 6, 7, 8, 9, tzinfo=timezone.utc)),
    ],
)
def test_what_is_equal_here_only(ours: Any, theirs: Any, stored: Any, expected: Any) -> None:
    for store, wins in ((ours, True), (theirs, False)):
        store.set("k", stored)
        assert store.compare_and_set("k", expected, "new") is wins


def test_updated_at_only_grows(ours: Any) -> None:
    times = []
    for number in range(20):
        ours.set("k", number)
        times.append(document(ours, "k").updated_at)
    assert times == sorted(set(times))
    assert document(ours, "k")._id is None


def test_lists_are_ordered_and_names_limited(ours: Any) -> None:
    for key in ("b", "ä", "a", "B"):
        ours.set(key, 1)
    assert ours.list_keys() == ["B", "a", "b", "ä"]
    for key in ("", "x" * 1025, "__store__"):
        with pytest.raises(ValueError, match="key"):
            ours.set(key, 1)
    with pytest.raises(execution_store.InvalidArgumentError):
        ExecutionStore.create("s" * 256).set("k", 1)


def test_a_server_that_is_away(installed: str) -> None:
    execution_store.fiftyone.install("127.0.0.1:1", retry=None)
    with pytest.raises(execution_store.UnavailableError) as caught:
        ExecutionStore.create("s").set("k", 1)
    assert (caught.value.reason, caught.value.outcome) == ("SERVER_UNREACHABLE", "NOT_APPLIED")


def test_what_is_set_says_what_is_stored(ours: Any) -> None:
    service = ours._store_service
    service.set_key("s", "k", 1)
    answered = service.set_key("s", "k", 2, ttl=600)
    found = service.get_key("s", "k")
    for name in ("created_at", "updated_at", "expires_at", "policy"):
        assert getattr(answered, name) == getattr(found, name)
    assert found.expires_at - found.updated_at == timedelta(seconds=600)
