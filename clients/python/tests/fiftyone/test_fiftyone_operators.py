"""Operators and cached functions, run by FiftyOne's executor, with their stores on the service."""

from __future__ import annotations

import asyncio
from typing import Any

import fiftyone.core.odm as foo
import fiftyone.operators as foos
import pytest
from fiftyone.operators.executor import ExecutionContext
from fiftyone.operators.store import ExecutionStore

from execution_store import ExecutionStoreService

COUNT = "@execution-store/counting/count_in_store"
CACHED = "@execution-store/counting/cached_count"


@pytest.fixture
def service(installed: str, dataset: Any) -> ExecutionStoreService:
    """The service in the context of the dataset, past FiftyOne."""
    return ExecutionStoreService(dataset._doc.id, address=installed)


def execute(uri: str, dataset: Any, **params: Any) -> Any:
    return foos.execute_operator(uri, {"dataset": dataset, "params": params}).result


def test_an_operator_keeps_its_state_on_the_service(
    service: ExecutionStoreService, dataset: Any
) -> None:
    assert execute(COUNT, dataset, note="first") == {"count": 1, "samples": 1}
    assert execute(COUNT, dataset, note="second") == {"count": 2, "samples": 1}
    count = service.get_key("runs", "count")
    last = service.get_key("runs", "last")
    assert count is not None
    assert last is not None
    assert (count.value, count.policy, count.expires_at) == (2, "persist", None)
    assert (last.value["params"], last.policy) == ("second", "evict")
    assert last.expires_at is not None
    service.set_key("runs", "count", 40)
    assert execute(COUNT, dataset)["count"] == 41


def test_nothing_reaches_the_collection_of_fiftyone(
    service: ExecutionStoreService, dataset: Any, request: pytest.FixtureRequest
) -> None:
    execute(COUNT, dataset)
    stored = foo.get_db_conn()["execution_store"].count_documents({"dataset_id": dataset._doc.id})
    assert stored == (2 if "mongodb" in request.node.name else 0)


def test_a_cached_function_runs_once_for_all(service: ExecutionStoreService, dataset: Any) -> None:
    first = execute(CACHED, dataset, factor=3)
    assert first["samples"] == 3
    (key,) = service.list_keys("computed")
    found = service.get_key("computed", key)
    assert found is not None
    assert found.policy == "evict"
    assert found.expires_at is not None
    # What somebody else computed counts here, too.
    service.set_cache_key("computed", key, {**found.value, "samples": 33})
    assert execute(CACHED, dataset, factor=3)["samples"] == 33
    assert service.clear_cache("computed") == 1
    assert execute(CACHED, dataset, factor=3)["samples"] == 3


def test_context_and_dataset_see_the_same_store(
    service: ExecutionStoreService, dataset: Any
) -> None:
    ctx = ExecutionContext(request_params={"dataset_id": str(dataset._doc.id)})
    ctx.store("seen").set("k", [1, 2.5, None])
    assert ExecutionStore.create("seen", dataset._doc.id).get("k") == [1, 2.5, None]
    assert dataset._list_stores() == ["seen"]
    assert dataset._get_store("seen").list_keys() == ["k"]
    assert ExecutionStore.create("seen").get("k") is None
    assert service.list_stores() == ["seen"]


def test_an_async_operator_may_use_its_store(service: ExecutionStoreService, dataset: Any) -> None:
    async def run() -> Any:
        return await foos.execute_operator(COUNT, {"dataset": dataset})

    assert asyncio.run(run()).result["count"] == 1
    assert service.has_key("runs", "count")
