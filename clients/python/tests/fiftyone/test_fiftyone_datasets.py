"""Stores follow their dataset: when it is cloned, deleted, or gone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import fiftyone.core.odm as foo
import pytest
from bson import ObjectId
from fiftyone.operators.store import ExecutionStore, ExecutionStoreService, clone

import execution_store
import fiftyone as fo
from execution_store.fiftyone import drop_orphan_stores


@pytest.fixture
def cloneable() -> Iterator[str]:
    name = "run history"
    clone.register_cloneable_store(name)
    yield name
    clone._registered_store_names.remove(name)


def service_of(dataset: Any) -> Any:
    return ExecutionStoreService(dataset_id=dataset._doc.id)


def test_cloning_a_dataset_carries_its_stores_along(
    installed: str, dataset: Any, cloneable: str
) -> None:
    source = service_of(dataset)
    run_id = add_run(dataset)
    source.create_store(cloneable, {"dataset": str(dataset._doc.id), "n": 1}, policy="evict")
    source.set_key(cloneable, run_id, {"run": run_id, "ids": [ObjectId(run_id), "other"], "f": 2.0})
    source.set_key(cloneable, "plain", (1, None, datetime(2020, 1, 1)))
    source.set_key(cloneable, "expiring", 1, ttl=600)
    source.set_cache_key(cloneable, "cached", b"bytes")
    source.set_key("not registered", "k", 1)

    copy = dataset.clone()
    try:
        target = service_of(copy)
        new_run = str(copy._doc.runs["run"].id)
        assert new_run != run_id
        assert target.list_stores() == [cloneable]
        store = target.get_store(cloneable)
        assert store.metadata == {"dataset": str(copy._doc.id), "n": 1}
        assert store.policy == "evict"
        assert sorted(target.list_keys(cloneable)) == sorted(
            [new_run, "plain", "expiring", "cached"]
        )
        found = target.get_key(cloneable, new_run).value
        assert found == {"run": new_run, "ids": [ObjectId(new_run), "other"], "f": 2.0}
        assert isinstance(found["f"], float)
        assert target.get_key(cloneable, "plain").value == [1, None, datetime(2020, 1, 1)]
        assert target.get_key(cloneable, "cached").value == b"bytes"
        assert target.get_key(cloneable, "cached").policy == "evict"
        left = target.get_key(cloneable, "expiring").expires_at.replace(tzinfo=timezone.utc)
        assert timedelta(0) < left - datetime.now(timezone.utc) <= timedelta(seconds=601)
        assert source.count_keys(cloneable) == 4
    finally:
        copy.delete()


def add_run(dataset: Any) -> str:
    """A run of the dataset; its document is made again for a clone, under another id."""
    dataset.register_run("run", dataset.init_run())
    return str(dataset._doc.runs["run"].id)


def test_deleting_a_dataset_deletes_its_stores(installed: str, dataset: Any) -> None:
    ExecutionStore.create("s", dataset._doc.id).set("k", 1)
    ExecutionStore.create("s").set("k", 1)
    everything = execution_store.ExecutionStoreService(address=installed)
    assert everything.count_stores_global() == 2
    dataset.delete()
    (left,) = everything.list_stores_global()
    assert left.dataset_id is None


def test_deleting_what_cannot_be_loaded_deletes_its_stores(installed: str, dataset: Any) -> None:
    dataset_id, name = dataset._doc.id, dataset.name
    ExecutionStore.create("s", dataset_id).set("k", 1)
    service = execution_store.ExecutionStoreService(dataset_id, address=installed)
    foo.delete_dataset(name, dry_run=True)
    assert service.count_stores() == 1
    foo.delete_dataset(name)
    assert service.count_stores() == 0
    dataset._deleted = True


def test_orphans(installed: str, dataset: Any) -> None:
    orphan = ObjectId()
    for dataset_id in (None, dataset._doc.id, orphan):
        ExecutionStore.create("s", dataset_id).set("k", 1)
    assert drop_orphan_stores(dry_run=True) == [str(orphan)]
    everything = execution_store.ExecutionStoreService(address=installed)
    assert everything.count_stores_global() == 3
    assert drop_orphan_stores() == [str(orphan)]
    assert drop_orphan_stores() == []
    left = {each.dataset_id for each in everything.list_stores_global()}
    assert left == {None, str(dataset._doc.id)}


def test_non_persistent_datasets_take_their_stores_along(installed: str, dataset: Any) -> None:
    ExecutionStore.create("s", dataset._doc.id).set("k", 1)
    fo.delete_non_persistent_datasets()
    assert execution_store.ExecutionStoreService(address=installed).count_stores_global() == 0
    dataset._deleted = True
