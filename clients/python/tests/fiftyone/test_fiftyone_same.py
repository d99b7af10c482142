"""Calls of FiftyOne's classes have the same results on the service and on its own repository."""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Callable

import fiftyone.core.odm as foo
import pytest
from bson import ObjectId
from fiftyone.factory.repos.execution_store import MongoExecutionStoreRepo
from fiftyone.operators.store import (
    ExecutionStore,
    ExecutionStoreService,
    KeyDocument,
    StoreDocument,
)
from pymongo.errors import DuplicateKeyError

import execution_store
import fiftyone as fo
from conftest import REPOSITORY
from execution_store.fiftyone import GrpcExecutionStoreRepo

TIMES = ("created_at", "updated_at", "expires_at")


def load_samples() -> Any:
    spec = importlib.util.spec_from_file_location(
        "samples", REPOSITORY / "test" / "fiftyone" / "samples.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


samples = load_samples()


@dataclass
class Sides:
    """FiftyOne's service over its own repository, and over ours."""

    theirs: ExecutionStoreService
    ours: ExecutionStoreService

    def each(self) -> Iterator[ExecutionStoreService]:
        yield from (self.theirs, self.ours)

    def same(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Calls both sides; their results, or the types of their errors, are the same."""
        theirs, ours = (outcome(getattr(side, method), *args, **kwargs) for side in self.each())
        assert comparable(ours) == comparable(theirs), (method, args, kwargs)
        return ours


def outcome(method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    try:
        return method(*args, **kwargs)
    except Exception as error:
        return type(error)


def comparable(result: Any) -> Any:
    """What two sides must have in common: times by their kind, since each has its own clock."""
    if isinstance(result, KeyDocument):
        fields = asdict(result)
        del fields["_id"]
        for name in TIMES:
            fields[name] = kind_of_time(fields[name])
        if isinstance(result, StoreDocument):
            # FiftyOne leaves it empty until something changes.
            del fields["updated_at"]
        return type(result), fields
    if isinstance(result, list):
        items = [comparable(each) for each in result]
        return sorted(items, key=repr)
    return result


def kind_of_time(time: Any) -> Any:
    if time is None:
        return None
    now = datetime.now(timezone.utc)
    zone = time.tzinfo and time.utcoffset()
    past = (time if time.tzinfo else time.replace(tzinfo=timezone.utc)) <= now + timedelta(
        seconds=5
    )
    return "past" if past else "future", zone


@pytest.fixture(params=["dataset", "none"])
def dataset_id(request: pytest.FixtureRequest) -> Any:
    return ObjectId() if request.param == "dataset" else None


@pytest.fixture
def sides(installed: str, dataset_id: Any) -> Iterator[Sides]:
    collection = foo.get_db_conn()["theirs"]
    theirs = ExecutionStoreService(repo=MongoExecutionStoreRepo(collection, dataset_id))
    ours = ExecutionStoreService(repo=GrpcExecutionStoreRepo(dataset_id, address=installed))
    yield Sides(theirs, ours)
    collection.drop()


def test_random_calls(sides: Sides) -> None:
    chance = random.Random(6)
    keys = {"p1": {}, "p2": {}, "e1": {"policy": "evict"}, "t1": {"ttl": 600}}
    values = [None, True, 0, 1, 2.5, "text", [1, "two"], {"a": {"b": [None]}}]
    reads = ["get_key", "has_key", "delete_key"]
    for _ in range(400):
        store, key = chance.choice("AB"), chance.choice(list(keys))
        call = chance.random()
        if call < 0.3:
            sides.same("set_key", store, key, chance.choice(values), **keys[key])
        elif call < 0.4:
            sides.same("set_key_if_absent", store, key, chance.choice(values), **keys[key])
        elif call < 0.55:
            sides.same(
                "compare_and_set_key", store, key, chance.choice(values), chance.choice(values)
            )
        elif call < 0.8:
            sides.same(chance.choice(reads), store, key)
        elif call < 0.85:
            sides.same("update_ttl", store, "t1", 300)
        elif call < 0.9:
            sides.same(chance.choice(["list_keys", "count_keys", "get_store", "has_store"]), store)
        elif call < 0.95:
            sides.same(chance.choice(["list_stores", "count_stores", "count_stores_global"]))
        elif call < 0.98:
            sides.same("clear_cache", store)
        else:
            sides.same("delete_store", store)
    for store in "AB":
        sides.same("list_keys", store)
    sides.same("cleanup")
    assert sides.same("count_stores") == 0


def test_stores(sides: Sides) -> None:
    sides.same("create_store", "plain")
    sides.same(
        "create_store", "with", metadata={"n": 1, "s": "x", "l": [1.5, None]}, policy="evict"
    )
    assert sides.same("get_store", "with").metadata == {"n": 1, "s": "x", "l": [1.5, None]}
    assert sides.same("create_store", "with") is DuplicateKeyError
    assert sides.same("create_store", "bad", policy="never") is ValueError
    sides.same("set_key", "keys only", "k", 1)
    assert sides.same("get_store", "keys only").metadata == {}
    assert sides.same("get_store", "missing") is None
    assert sides.same("list_stores") == ["keys only", "plain", "with"]
    # FiftyOne makes up the rest of these documents.
    theirs, ours = (
        {(s.store_name, s.dataset_id) for s in side.list_stores_global()} for side in sides.each()
    )
    assert ours == theirs
    assert len(ours) == 3
    assert sides.same("has_store_global", "with") is True
    assert sides.same("has_store_global", "missing") is False
    assert sides.same("clear_cache") is None
    assert sides.same("count_stores") == 2
    assert sides.same("delete_store_global", "keys only") == 1
    assert sides.same("delete_store", "plain") == 1
    assert sides.same("delete_store", "plain") == 0


@pytest.mark.parametrize("name", list(samples.VALUES))
def test_values(sides: Sides, name: str) -> None:
    value = samples.VALUES[name]
    if name == "deep_90":
        # Levels are counted with the document around the value there, and without it here.
        value = samples.nested(56)
    for side in sides.each():
        side.set_key("values", name, value)
    theirs, ours = (side.get_key("values", name).value for side in sides.each())
    assert samples.difference(theirs, ours) is None
    # NaN equals nothing in Python; what looks like an operator of MongoDB, FiftyOne cannot compare.
    if name not in ("nan", "mixed", "dict_like_extended_json"):
        sides.same("compare_and_set_key", "values", name, ours, "replaced")


@dataclass
class Point:
    x: int
    y: Any


def test_values_that_are_no_data(sides: Sides) -> None:
    """Dataclasses become dicts; what MongoDB has no type for raises what pymongo raises."""
    sides.same("set_key", "s", "point", {"at": Point(1, [Point(2, None)])})
    assert sides.same("get_key", "s", "point").value == {"at": {"x": 1, "y": [{"x": 2, "y": None}]}}
    for bad in ({1, 2}, object(), {"a": 2**64}, {1: "one"}):
        assert isinstance(sides.same("set_key_if_absent", "s", "bad", bad), type)
        found = sides.ours.get_key("s", "point").value
        assert isinstance(sides.same("compare_and_set_key", "s", "point", found, bad), type)
        assert sides.same("has_key", "s", "bad") is False


def test_what_python_takes_as_equal(sides: Sides) -> None:
    equal = [(True, 1), (0, False), ([1.0], [True]), ({"a": 1, "b": 2}, {"b": 2.0, "a": True})]
    for stored, expected in [*equal, (1, 2), (1, {3}), ("a", b"a")]:
        sides.same("set_key", "s", "k", stored)
        wins = sides.same("compare_and_set_key", "s", "k", expected, "new")
        assert wins is ((stored, expected) in equal)


def test_ttls(sides: Sides) -> None:
    for side in sides.each():
        # What FiftyOne answers says an expiry that it does not store.
        side.set_key("s", "zero", 1, ttl=0)
    found = sides.same("get_key", "s", "zero")
    assert (found.policy, found.expires_at) == ("evict", None)
    sides.same("set_key", "s", "part", 1, ttl=1.5)
    sides.same("set_cache_key", "s", "cache", 1)
    sides.same("set_cache_key", "s", "cache with ttl", 1, ttl=60)
    for key in ("part", "cache", "cache with ttl"):
        sides.same("get_key", "s", key)
    assert sides.same("update_ttl", "s", "missing", 5) is False
    assert sides.same("update_ttl", "s", "cache", 60) is True
    assert sides.same("get_key", "s", "cache").expires_at is not None


def test_what_is_over_is_gone(sides: Sides) -> None:
    ours = sides.ours
    for ttl in (0, -5):
        assert ours.set_key_if_absent("s", f"absent {ttl}", 1, ttl=ttl) is True
        ours.set_key("s", f"updated {ttl}", 1)
        assert ours.update_ttl("s", f"updated {ttl}", ttl) is True
    ours.set_key("s", "negative", 1, ttl=-1)
    deadline = datetime.now() + timedelta(seconds=10)
    while ours.count_keys("s") > 0:
        assert datetime.now() < deadline


@pytest.mark.parametrize("zone", ["America/New_York", "utc", "local"])
def test_times_are_in_the_configured_zone(installed: str, zone: str) -> None:
    moment = datetime(2024, 7, 1, 12, 0, 0, 250000, tzinfo=timezone.utc)
    fo.config.timezone = zone
    try:
        ours = GrpcExecutionStoreRepo(address=installed)
        theirs = MongoExecutionStoreRepo(foo.get_db_conn()["theirs"])
        for repo in (ours, theirs):
            repo.set_key("s", "k", {"when": moment}, ttl=60)
        mine, other = (repo.get_key("s", "k") for repo in (ours, theirs))
        assert mine.value["when"] == moment
        assert mine.value["when"].utcoffset() == other.value["when"].utcoffset()
        for name in TIMES:
            assert getattr(mine, name).utcoffset() == getattr(other, name).utcoffset()
    finally:
        fo.config.timezone = None
        foo.get_db_conn()["theirs"].drop()


def test_the_facade(installed: str, dataset_id: Any) -> None:
    store = ExecutionStore.create("facade", dataset_id, default_policy="evict")
    store.set("a", {"n": 1})
    store.set("kept", 1, policy="persist")
    assert store.set_if_absent("a", 2) is False
    assert store.compare_and_set("a", {"n": 1}, {"n": 2}) is True
    assert store.get("a") == {"n": 2}
    assert store.get("missing") is None
    assert store.get_metadata("missing") is None
    metadata = store.get_metadata("a")
    assert metadata is not None
    assert metadata["expires_at"] is None
    assert metadata["created_at"].tzinfo is None
    store.update_ttl("a", 60)
    assert store.get_metadata("a")["expires_at"] > metadata["updated_at"]
    store.update_policy("a", "persist")
    assert store.get_metadata("a")["expires_at"] is None
    store.update_policy("a", "evict")
    store.clear_cache()
    assert store.list_keys() == ["kept"]
    assert store.has("kept") is True
    assert store.delete("kept") is True
    assert store.delete("kept") is False
    store.clear()
    assert store.list_stores() == []


def test_another_collection_must_be_allowed(installed: str) -> None:
    with pytest.raises(execution_store.PermissionDeniedError):
        ExecutionStore.create("s", collection_name="other").get("k")
    assert ExecutionStore.create("s", collection_name="execution_store").get("k") is None
