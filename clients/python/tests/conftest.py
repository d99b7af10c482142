"""Servers and clients for all tests."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from blocking import Blocking
from execution_store import ExecutionStoreService, aio
from scripted_server import ScriptedServer
from store_server import StoreServer, drop_database, mongodb_uri, new_database_name

pytest_plugins = ["watch_fixtures"]
ENGINES = ("lmdb", "mongodb")
# They need FiftyOne, and so an environment of their own.
collect_ignore = ["fiftyone"]


@pytest.fixture(scope="session")
def shared_servers(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], StoreServer]]:
    """One server per engine for the whole run, from its first use; tests use fresh dataset ids."""
    servers: dict[str, StoreServer] = {}
    databases: list[str] = []

    def server_of(engine: str) -> StoreServer:
        if engine not in servers:
            if engine == "mongodb":
                store = mongodb_uri(new_database_name())
                databases.append(store)
            else:
                store = f"lmdb:{tmp_path_factory.mktemp('lmdb')}"
            servers[engine] = StoreServer(store, options=["--collections", "other"])
        return servers[engine]

    yield server_of
    for server in servers.values():
        server.kill()
    for uri in databases:
        drop_database(uri)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Each test that asks for it, or for what stands on it, runs on both engines."""
    return str(request.param)


@pytest.fixture
def server(engine: str, shared_servers: Callable[[str], StoreServer]) -> StoreServer:
    """A server that all tests share: not to be ended."""
    return shared_servers(engine)


@pytest.fixture
def lmdb_server(shared_servers: Callable[[str], StoreServer]) -> StoreServer:
    """As `server`, for what has nothing to do with the engine."""
    return shared_servers("lmdb")


@pytest.fixture
def dataset_id() -> str:
    """A context that no other test uses."""
    return secrets.token_hex(12)


@pytest.fixture(params=["sync", "asyncio"])
def open_service(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Opens services of both clients, with the same face."""
    opened: list[Any] = []

    def open_one(*args: Any, **kwargs: Any) -> Any:
        if request.param == "sync":
            opened.append(ExecutionStoreService(*args, **kwargs))
        else:
            opened.append(Blocking(aio.ExecutionStoreService(*args, **kwargs)))
        return opened[-1]

    yield open_one
    for service in opened:
        service.end() if isinstance(service, Blocking) else service.close()


@pytest.fixture
def service(server: StoreServer, dataset_id: str, open_service: Callable[..., Any]) -> Any:
    """A service in a context of its own: on each engine, of each client."""
    return open_service(dataset_id, address=server.address)


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    """A server that answers by a script."""
    server = ScriptedServer()
    yield server
    server.stop()


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., StoreServer]]:
    """Starts servers of a test's own, which it may kill and start again.

    The function takes an engine, further arguments of ``serve``, and `listen`.
    """
    servers: list[StoreServer] = []
    databases: list[str] = []

    def start(engine: str = "lmdb", *options: str, listen: str = "127.0.0.1:0") -> StoreServer:
        if engine == "mongodb":
            store = mongodb_uri(new_database_name())
            databases.append(store)
        else:
            store = f"lmdb:{tmp_path / f'store-{len(servers)}'}"
        servers.append(StoreServer(store, listen=listen, options=options))
        return servers[-1]

    yield start
    for server in servers:
        server.kill()
    for uri in databases:
        drop_database(uri)
