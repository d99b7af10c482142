"""The facade: one store with FiftyOne's names."""

from __future__ import annotations

from datetime import timedelta

import pytest

from blocking import Blocking
from execution_store import ExecutionStore, InvalidArgumentError, KeyNotFoundError, aio


@pytest.fixture(params=["sync", "asyncio"])
def store(request, server, dataset_id):
    options = {"dataset_id": dataset_id, "address": server.address, "default_policy": "evict"}
    if request.param == "sync":
        with ExecutionStore.create("s", **options) as store:
            yield store
    else:
        store = Blocking(aio.ExecutionStore.create("s", **options))
        yield store
        store.end()


def test_values_by_key(store):
    assert store.get("k") is None
    assert store.set("k", {"a": 1}).policy == "evict"
    assert store.get("k") == {"a": 1}
    assert store.has("k")
    assert store.set("k", 2, policy="persist").policy == "persist"
    assert store.set_cache("c", 3, ttl=60).expires_at is not None
    assert store.list_keys() == ["c", "k"]
    assert store.list_stores() == ["s"]
    assert store.clear_cache() == 1
    assert store.delete("k")
    assert not store.delete("k")


def test_conditional_writes(store):
    assert store.set_if_absent("k", 1)
    assert not store.set_if_absent("k", 2)
    assert store.compare_and_set("k", 1, 2)
    assert not store.compare_and_set("k", 1, 3)
    etag = store.set("k", 4, policy="persist").etag
    assert store.compare_and_set("k", value=5, etag=etag)
    # The default policy is for setting calls that name none, not for this one.
    (document,) = store.list_values()
    assert (document.value, document.policy) == (5, "persist")
    assert not store.delete("k", etag=etag)


def test_metadata(store):
    assert store.get_metadata("k") is None
    document = store.set("k", 1, ttl=timedelta(hours=1))
    assert store.get_metadata("k") == {
        "created_at": document.created_at,
        "updated_at": document.updated_at,
        "expires_at": document.expires_at,
    }
    assert store.update_policy("k", "persist").expires_at is None
    assert store.update_ttl("k", 60).expires_at is not None
    with pytest.raises(KeyNotFoundError):
        store.update_ttl("missing", 60)


def test_many_keys(store):
    documents = store.set_many({"a": 1, "b": 2}, ttl=60)
    assert [each.policy for each in documents] == ["evict", "evict"]
    assert store.set_many([("c", 3)])[0].policy == "evict"
    assert store.set_many([("d", 4)], policy="persist")[0].policy == "persist"
    assert store.get_many(["d", "a", "missing"]) == {"d": 4, "a": 1}
    assert store.count() == 4
    assert store.count(prefix="a") == 1
    assert list(store.iter_keys(page_size=1)) == ["a", "b", "c", "d"]
    assert [each.value for each in store.iter_values(prefix="b")] == [2]
    assert store.delete_many(["a", "b", "missing"]) == 2
    assert store.clear() == 2
    for bad in ([1], "ab", [("a", 1, 2)], 7, ["ab", "cd"], [{"a", "b"}], [("a", 1), None]):
        with pytest.raises(InvalidArgumentError) as raised:
            store.set_many(bad)
        assert raised.value.outcome == "NOT_APPLIED"
    assert store.count() == 0


def test_errors_of_the_entries_themselves_come_through(store):
    def entries():
        yield "a", 1
        raise ValueError("of the caller")

    with pytest.raises(ValueError, match="of the caller") as raised:
        store.set_many(entries())
    assert type(raised.value) is ValueError
    assert store.count() == 0


def test_a_store_of_a_service_leaves_it_open(service):
    if isinstance(service, Blocking):
        store = Blocking(aio.ExecutionStore("s", service._target), service._loop)
    else:
        store = ExecutionStore("s", service)
    assert store.dataset_id == service.dataset_id
    store.set("k", 1)
    store.close()
    assert service.get_key("s", "k").value == 1


def test_a_store_of_its_own_closes_its_connection(store):
    store.close()
    with pytest.raises(Exception, match=r"after close\(\)"):
        store.get("k")
