"""The scenarios that every client goes through: blocking and asyncio, as BSON and as JSON."""

from __future__ import annotations

import asyncio
import inspect
import json
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import execution_store
import execution_store.aio
from execution_store import StoreError
from scenario_calls import call, error_of, event_of
from scenario_notation import difference, expand, shown
from store_server import StoreServer

CASES = Path(__file__).parents[3] / "test" / "scenarios" / "cases"
EVENTUALLY = 10.0
PATIENCE = 20.0
# What this client can do of what steps may need, by the way in which its values travel.
FEATURES = {"bson": {"bson"}, "json": {"json"}}


def _load() -> list[Any]:
    scenarios = [
        pytest.param(scenario["steps"], id=f"{path.stem}: {scenario['name']}")
        for path in sorted(CASES.glob("*.json"))
        for scenario in json.loads(path.read_text(encoding="utf-8"))
    ]
    assert scenarios, f"there are no scenarios in {CASES}"
    return scenarios


class Client:
    """The synchronous service."""

    def __init__(self, address: str, encoding: str) -> None:
        self.service = execution_store.ExecutionStoreService(address=address, encoding=encoding)

    def invoke(self, service: Any, method: str, **args: Any) -> Any:
        answer = getattr(service, method)(**args)
        return list(answer) if inspect.isgenerator(answer) else answer

    def next_event(self, watch: Any) -> Any:
        return watch.next_event(PATIENCE)

    def close(self, what: Any) -> None:
        what.close()


class AsyncClient(Client):
    """The asyncio service, in a loop that runs while a call of it does."""

    def __init__(self, address: str, encoding: str) -> None:
        self._loop = asyncio.new_event_loop()

        async def open_service() -> Any:
            return execution_store.aio.ExecutionStoreService(address=address, encoding=encoding)

        self.service = self._loop.run_until_complete(open_service())

    def invoke(self, service: Any, method: str, **args: Any) -> Any:
        async def run() -> Any:
            answer = getattr(service, method)(**args)
            if inspect.isasyncgen(answer):
                return [item async for item in answer]
            return await answer if inspect.isawaitable(answer) else answer

        return self._loop.run_until_complete(run())

    def next_event(self, watch: Any) -> Any:
        return self._loop.run_until_complete(watch.next_event(PATIENCE))

    def close(self, what: Any) -> None:
        self._loop.run_until_complete(what.close())
        if what is self.service:
            self._loop.close()


@pytest.fixture(params=["sync-bson", "sync-json", "aio-bson"])
def run(request: pytest.FixtureRequest, server: StoreServer) -> Iterator[Run]:
    """What goes through a scenario, with one kind of client."""
    kind, encoding = request.param.split("-")
    make = Client if kind == "sync" else AsyncClient
    run = Run(make(server.address, encoding), FEATURES[encoding])
    yield run
    run.close()


@pytest.mark.parametrize("steps", _load())
def test_scenario(run: Run, steps: list[Any]) -> None:
    for index, step in enumerate(steps):
        if set(step.get("needs", ())) <= run.features:
            problem = run.take(step)
            assert problem is None, f"step {index} ({shown(step)}): {problem}"


class Run:
    """One way through a scenario."""

    def __init__(self, client: Client, features: set[str]) -> None:
        dataset = f"abcdef{secrets.token_hex(9)}"
        self.features = features
        self._client = client
        self._watches: dict[str, Any] = {}
        self._variables: dict[str, Any] = {
            "store": f"scenario-{secrets.token_hex(6)}",
            "dataset": dataset,
            "DATASET": dataset.upper(),
            "other_dataset": f"fedcba{secrets.token_hex(9)}",
        }

    def close(self) -> None:
        for watch in self._watches.values():
            self._client.close(watch)
        self._client.close(self._client.service)

    def take(self, step: dict[str, Any]) -> str | None:
        """What is wrong with the outcome of a step."""
        if "close" in step:
            self._client.close(self._watches[step["close"]])
            return None
        deadline = time.monotonic() + (EVENTUALLY if step.get("eventually") else 0)
        while True:
            problem = self._outcome(step)
            if problem is None or time.monotonic() > deadline:
                return problem
            time.sleep(0.02)

    def _outcome(self, step: dict[str, Any]) -> str | None:
        try:
            answer = self._answer(step)
        except StoreError as error:
            if "error" not in step:
                raise
            return _error_difference(expand(step["error"], self._variables), error)
        if "error" in step:
            return f"ended well, expected {shown(step['error'])}"
        name = "events" if "events" in step else "result"
        problem = None
        if name in step:
            problem = difference(expand(step[name], self._variables), answer)
        if problem is None and "save" in step:
            self._variables[step["save"]] = answer
        return problem

    def _answer(self, step: dict[str, Any]) -> Any:
        if "read" in step:
            return self._read(step["read"], len(step["events"]))
        args = expand(step.get("args", {}), self._variables)
        context = expand(step.get("context", {}), self._variables)
        service = self._client.service.with_context(**context)
        if "watch" in step:
            watch = service.watch_keys(**args)
            self._watches[step["watch"]] = watch
            # A watch connects when it is read.
            return event_of(self._client.next_event(watch)) if "error" in step else None
        return call(
            lambda method, **arguments: self._client.invoke(service, method, **arguments),
            step["call"],
            args,
        )

    def _read(self, name: str, count: int) -> Any:
        events: list[Any] = []
        while len(events) < count:
            event = self._client.next_event(self._watches[name])
            assert event is not None, f"no event came in {PATIENCE} s"
            if event.type != "progress":
                events.append(event_of(event))
                self._variables[name] = {"token": event.resume_token}
        return events


def _error_difference(expected: dict[str, Any], error: StoreError) -> str | None:
    fields = expected.pop("fields", [])
    problem = difference(expected, error_of(error), "error")
    if problem is not None:
        return problem
    named = [violation.field for violation in error.violations]
    for field in fields:
        # A client may name a place in a value, or the form in which it travels.
        if not any(each.startswith(field) for each in named):
            return f"the error names {named}, expected {field}"
    return None
