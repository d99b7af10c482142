"""A FiftyOne with a database of its own, and servers of both engines to put it on.

The tests run where FiftyOne is installed, beside gRPC; elsewhere none is collected.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
PACKAGE = HERE.parents[1]
SOURCE = PACKAGE / "src"
REPOSITORY = HERE.parents[3]
sys.path.insert(1, str(HERE.parent))

from store_server import (  # noqa: E402
    StoreServer,
    drop_database,
    free_port,
    mongodb_uri,
    new_database_name,
)

DATABASE = new_database_name()

try:
    importlib.metadata.version("fiftyone")
except importlib.metadata.PackageNotFoundError:
    collect_ignore_glob = ["test_*.py"]

# FiftyOne reads these when it is imported; the user's own settings are not those of the tests.
for name in [each for each in os.environ if each.startswith("FIFTYONE_")]:
    del os.environ[name]
os.environ.update(
    FIFTYONE_CONFIG_PATH=os.devnull,
    FIFTYONE_DATABASE_NAME=DATABASE,
    FIFTYONE_DO_NOT_TRACK="true",
    FIFTYONE_PLUGINS_DIR=str(HERE / "plugins"),
    FIFTYONE_EXECUTION_STORE_POLL_INTERVAL_SECONDS="1",
    PYTHONPATH=os.pathsep.join(filter(None, [str(SOURCE), os.environ.get("PYTHONPATH")])),
)
if "EXECUTION_STORE_TEST_MONGODB_URI" in os.environ:
    os.environ["FIFTYONE_DATABASE_URI"] = os.environ["EXECUTION_STORE_TEST_MONGODB_URI"]


# To start a MongoDB without change streams, which that of the tests is not.
MONGOD = os.environ.get("EXECUTION_STORE_TEST_MONGOD") or shutil.which("mongod")


class Standalone:
    """A mongod outside of any replica set."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._port = free_port()

    def __enter__(self) -> str:
        """Starts it; its URI, without a database."""
        data = self._directory / "mongodb"
        data.mkdir()
        place = ["--dbpath", str(data), "--port", str(self._port), "--bind_ip", "127.0.0.1"]
        self._process = subprocess.Popen(
            [str(MONGOD), *place, "--wiredTigerCacheSizeGB", "0.25"], stdout=subprocess.DEVNULL
        )
        return f"mongodb://127.0.0.1:{self._port}"

    def __exit__(self, *_error: object) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture(scope="session", autouse=True)
def database() -> Iterator[str]:
    """The URI of FiftyOne's database, which goes with the tests."""
    uri = mongodb_uri(DATABASE)
    yield uri
    drop_database(uri)


@pytest.fixture(scope="session", params=["mongodb", "lmdb"])
def address(
    request: pytest.FixtureRequest, database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of a server: over FiftyOne's own database, and over an embedded one."""
    embedded = f"lmdb:{tmp_path_factory.mktemp('store')}"
    server = StoreServer(database if request.param == "mongodb" else embedded)
    yield server.address
    server.kill()


@pytest.fixture
def installed(address: str) -> Iterator[str]:
    """FiftyOne's stores of this process are on the service, which begins empty; its address."""
    import execution_store.fiftyone
    from execution_store import ExecutionStoreService

    with ExecutionStoreService(address=address) as service:
        for store in service.list_stores_global():
            service.delete_store_global(store.store_name)
    execution_store.fiftyone.install(address)
    yield address
    execution_store.fiftyone.uninstall()


@pytest.fixture
def dataset(database: str) -> Iterator[Any]:
    """A real dataset."""
    import fiftyone as fo

    made = fo.Dataset()
    made.add_sample(fo.Sample(filepath="image.jpg"))
    yield made
    if not made.deleted:
        made.delete()
