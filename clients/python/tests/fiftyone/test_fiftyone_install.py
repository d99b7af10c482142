"""Putting FiftyOne onto the service, and taking it off again."""

from __future__ import annotations

import multiprocessing
import os
from typing import Any

import fiftyone.core.dataset as fod
import fiftyone.core.odm as foo
import pytest
from bson import ObjectId
from fiftyone.factory.repo_factory import RepositoryFactory
from fiftyone.factory.repos.execution_store import MongoExecutionStoreRepo
from fiftyone.operators.store import ExecutionStore, ExecutionStoreService, clone
from fiftyone.operators.store.notification_service import (
    MongoChangeStreamNotificationService,
    default_notification_service,
)
from pymongo.errors import DuplicateKeyError

import execution_store
from execution_store.fiftyone import (
    GrpcExecutionStoreRepo,
    drop_orphan_stores,
    install,
    uninstall,
)


def test_it_is_taken_off_without_a_trace(address: str) -> None:
    before = snapshot()
    install(address)
    assert snapshot() != before
    install(address)
    assert isinstance(RepositoryFactory.execution_store_repo(), GrpcExecutionStoreRepo)
    uninstall()
    uninstall()
    assert snapshot() == before
    assert isinstance(RepositoryFactory.execution_store_repo(), MongoExecutionStoreRepo)
    with pytest.raises(RuntimeError, match="install"):
        drop_orphan_stores()


def snapshot() -> Any:
    return (
        RepositoryFactory.__dict__["execution_store_repo"],
        ExecutionStoreService.__dict__.get("update_policy"),
        foo.delete_dataset,
        list(fod._extras_cloners),
        type(default_notification_service),
    )


def test_cloners_that_come_later_stay(address: str) -> None:
    install(address)

    def later(*_args: Any) -> None:
        """Clones nothing."""

    fod.register_extras_cloner(later)
    uninstall()
    assert fod._extras_cloners == [clone.clone_execution_stores, later]
    fod._extras_cloners.remove(later)


def test_a_repository_of_ones_own(address: str) -> None:
    dataset_id = ObjectId()
    service = ExecutionStoreService(repo=GrpcExecutionStoreRepo(dataset_id, address=address))
    store = ExecutionStore("own", service)
    store.set("k", {"n": 1})
    ours = execution_store.ExecutionStoreService(dataset_id, address=address)
    found = ours.get_key("own", "k")
    assert found is not None
    assert found.value == {"n": 1}
    assert isinstance(RepositoryFactory.execution_store_repo(), MongoExecutionStoreRepo)
    service.create_store("own")
    with pytest.raises(DuplicateKeyError) as caught:
        service.create_store("own")
    assert caught.value.code == 11000
    store.clear()


def test_a_service_that_is_there_already(address: str) -> None:
    with execution_store.ExecutionStoreService(address=address) as service:
        install(service=service)
        try:
            ExecutionStore.create("s").set("k", 1)
            assert service.has_key("s", "k")
            assert service.delete_store("s") == 1
        finally:
            uninstall()


def test_what_cannot_be_is_refused(address: str) -> None:
    with execution_store.ExecutionStoreService(address=address) as service:
        with pytest.raises(TypeError, match="not both"):
            install(address, service=service)
        with pytest.raises(TypeError, match="either"):
            GrpcExecutionStoreRepo(service=service, address=address)
    with pytest.raises(ValueError, match="address"):
        install("no address")
    with pytest.raises(ValueError, match="ObjectId"):
        GrpcExecutionStoreRepo("65f0c1d2e3a4b5c6d7e8f901", address=address)
    assert isinstance(RepositoryFactory.execution_store_repo(), MongoExecutionStoreRepo)


def test_another_version_of_fiftyone(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing is named, and nothing is left half replaced."""
    monkeypatch.setattr(fod, "_extras_cloners", [])
    with pytest.raises(RuntimeError, match="cloner"):
        install(address)
    monkeypatch.undo()
    assert isinstance(RepositoryFactory.execution_store_repo(), MongoExecutionStoreRepo)
    assert type(default_notification_service) is MongoChangeStreamNotificationService


def test_notifications_that_are_under_way(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(default_notification_service, "is_running", True)
    with pytest.raises(RuntimeError, match="EXECUTION_STORE_FIFTYONE"):
        install(address)


def test_a_forked_process_has_the_stores(address: str) -> None:
    install(address)
    try:
        store = ExecutionStore.create("forked")
        store.set("k", "parent")
        fork = multiprocessing.get_context("fork")
        said = fork.SimpleQueue()
        child = fork.Process(target=use_in_child, args=(store, said))
        child.start()
        child.join(60)
        assert child.exitcode == 0
        assert said.get() == "parent"
        assert store.get("k") == "child"
        store.clear()
    finally:
        uninstall()


def use_in_child(store: Any, said: Any) -> None:
    said.put(store.get("k"))
    store.set("k", "child")
    # Without the end of an interpreter, at which FiftyOne would delete the parent's datasets.
    os._exit(0)
