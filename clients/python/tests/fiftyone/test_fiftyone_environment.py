"""The package as pip installs it: one variable puts FiftyOne onto the service."""

from __future__ import annotations

import json
import os
import site
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fiftyone.operators.store import ExecutionStore

import execution_store
from conftest import PACKAGE
from store_server import free_port, until

VARIABLE = "EXECUTION_STORE_FIFTYONE"
LIMIT = 60


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package alone, built and installed."""
    target = tmp_path_factory.mktemp("package")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "--no-deps", "--target", str(target), str(PACKAGE)], check=True)
    return target


def environment_with(folders: list[str], directory: Path) -> Path:
    """The interpreter of an environment that has what these folders have."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(directory)], check=True)
    (packages,) = directory.glob("lib/python3*/site-packages")
    # As site-packages of its own, so that the .pth files in them count.
    added = "".join(f"import site; site.addsitedir({folder!r})\n" for folder in folders)
    (packages / "folders.pth").write_text(added)
    return directory / "bin" / "python"


@pytest.fixture(scope="session")
def python(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with the package, gRPC and FiftyOne."""
    folders = [str(package), *site.getsitepackages()]
    return environment_with(folders, tmp_path_factory.mktemp("with"))


@pytest.fixture(scope="session")
def bare_python(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with the package, and nothing that it needs."""
    return environment_with([str(package)], tmp_path_factory.mktemp("without"))


def variables(address: str | None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return kept if address is None else {**kept, VARIABLE: address}


def run(python: Path, address: str | None, script: str, *args: str) -> Any:
    """What a script prints as its last line, as JSON."""
    result = subprocess.run(
        [str(python), "-c", script, *args],
        check=False,
        env=variables(address),
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


DATASET = """
import json, sys
import fiftyone as fo
import fiftyone.operators as foo
from fiftyone.operators.store import ExecutionStore
from fiftyone.operators.store.clone import register_cloneable_store

register_cloneable_store("runs")
dataset = fo.Dataset()
dataset.add_sample(fo.Sample(filepath="image.jpg"))
uri = "@execution-store/counting/count_in_store"
counts = [foo.execute_operator(uri, {"dataset": dataset}).result["count"] for _ in "12"]
copy = dataset.clone()
copied = ExecutionStore.create("runs", copy._doc.id).get("count")
ids = [str(each._doc.id) for each in (dataset, copy)]
copy.delete()
dataset.persistent = True
print(json.dumps({"counts": counts, "copied": copied, "ids": ids, "name": dataset.name}))
"""


def test_one_variable_is_enough(python: Path, installed: str) -> None:
    """Operators, clones and deletions of a process that knows nothing of the service."""
    said = run(python, installed, DATASET)
    try:
        assert (said["counts"], said["copied"]) == ([1, 2], 2)
        dataset, copy = (
            execution_store.ExecutionStoreService(each, address=installed) for each in said["ids"]
        )
        found = dataset.get_key("runs", "count")
        assert found is not None
        assert found.value == 2
        assert copy.count_stores() == 0
    finally:
        run(python, installed, DELETE, said["name"])
    assert dataset.count_stores() == 0


DELETE = "import sys, fiftyone as fo; fo.delete_dataset(sys.argv[1]); print(1)"

DELEGATED = """
import json, sys
from fiftyone.operators.delegated import DelegatedOperationService
service = DelegatedOperationService()
service.execute_queued_operations(dataset_name=sys.argv[1])
print(json.dumps(len(service.list_operations(dataset_name=sys.argv[1], run_state="completed"))))
"""


def test_an_executor_of_delegated_operations(python: Path, installed: str, dataset: Any) -> None:
    import fiftyone.operators as foo

    uri = "@execution-store/counting/count_in_store"
    foo.execute_operator(uri, {"dataset": dataset, "request_delegation": True})
    assert run(python, installed, DELEGATED, dataset.name) == 1
    assert ExecutionStore.create("runs", dataset._doc.id).get("count") == 1


def test_the_server_of_the_app(python: Path, installed: str, dataset: Any) -> None:
    """A browser's subscription hears what another process sets."""
    store = ExecutionStore.create("followed", dataset._doc.id)
    store.set("there", 1)
    with app_server(python, installed) as port:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/operators/subscribe-execution-store",
            json.dumps(
                {
                    "operator_uri": "@execution-store/counting/follow_store",
                    "dataset_name": dataset.name,
                    "dataset_id": str(dataset._doc.id),
                }
            ).encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=LIMIT) as events:
            assert next_message(events) == ("initial", "there", 1)
            store.set("new", {"by": "another process"})
            assert next_message(events) == ("insert", "new", {"by": "another process"})
            store.delete("there")
            assert next_message(events) == ("delete", "there", None)


@contextmanager
def app_server(python: Path, address: str) -> Iterator[int]:
    port = free_port()
    process = subprocess.Popen(
        [str(python), "-m", "fiftyone.server.main", "--port", str(port), "--address", "127.0.0.1"],
        env=variables(address),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: answers(port), "the App's server answers", LIMIT)
        yield port
    finally:
        process.kill()
        process.wait()


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/fiftyone", timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def next_message(events: Any) -> tuple[str, str, Any]:
    for line in events:
        if line.startswith(b"data:"):
            message = json.loads(line[len(b"data:") :])
            return message["metadata"]["operation_type"], message["key"], message["value"]
    raise AssertionError("the events ended")


LOADED = """
import json, sys
print(json.dumps([name in sys.modules for name in
                  ("_execution_store_fiftyone", "execution_store", "grpc", "fiftyone")]))
"""


def test_it_costs_nothing_where_it_is_not_asked_for(python: Path, address: str) -> None:
    assert run(python, None, LOADED) == [False, False, False, False]
    # Nor, but for one small module, until FiftyOne is imported.
    assert run(python, address, LOADED) == [True, False, False, False]


STORES = """
import json, fiftyone
from fiftyone.factory.repo_factory import RepositoryFactory
print(json.dumps(type(RepositoryFactory.execution_store_repo()).__name__))
"""


def test_without_the_variable_fiftyone_is_as_it_was(python: Path, database: str) -> None:
    assert run(python, None, STORES) == "MongoExecutionStoreRepo"
    assert run(python, "", STORES) == "MongoExecutionStoreRepo"
    assert run(python, "127.0.0.1:1", STORES) == "GrpcExecutionStoreRepo"


def test_an_interpreter_without_fiftyone(bare_python: Path) -> None:
    script = """
import importlib.util, json
try:
    import fiftyone
except ModuleNotFoundError as error:
    print(json.dumps([error.name, importlib.util.find_spec("fiftyone")]))
"""
    assert run(bare_python, "127.0.0.1:1", script) == ["fiftyone", None]


def test_what_cannot_be_done_fails_the_import(python: Path, database: str) -> None:
    """Stores that go elsewhere without a word would be worse."""
    result = subprocess.run(
        [str(python), "-c", "import fiftyone"],
        check=False,
        env=variables("no address"),
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert result.returncode != 0
    assert "expected HOST:PORT" in result.stderr.splitlines()[-1]
