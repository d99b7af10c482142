"""The package as its users get it: built, installed into an empty environment, and called."""

from __future__ import annotations

import os
import subprocess
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
CODE = """
import sys
import execution_store
from importlib.metadata import version

with execution_store.ExecutionStoreService(sys.argv[2], address=sys.argv[1]) as service:
    service.set_key("s", "k", {"installed": True})
    assert service.get_key("s", "k").value == {"installed": True}
assert "site-packages" in execution_store.__file__, execution_store.__file__
assert "bson" not in sys.modules
try:
    service.set_key("s", "k", 1)
except execution_store.FailedPreconditionError as error:
    print(version("execution-store"), error.reason)
"""
GENERATED = {"__init__.py", "error_details.binpb", "execution_store_pb2.py"}


def run(*command: object, **options: object) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty environment with the package in it."""
    directory = tmp_path_factory.mktemp("environment")
    venv.create(directory, with_pip=True)
    python = directory / ("Scripts" if os.name == "nt" else "bin") / "python"
    run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", PROJECT)
    return python


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_pip_install_into_an_empty_environment(environment, lmdb_server, dataset_id, tmp_path):
    output = run(environment, "-I", "-c", CODE, lmdb_server.address, dataset_id, cwd=tmp_path)
    assert output.split() == ["0.1.0", "CLIENT_CLOSED"]
    # What the code needs beyond its declared dependencies would not be there.
    run(environment, "-m", "pip", "check")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_distributions_hold_the_generated_code_and_the_types(environment, tmp_path):
    run(environment, "-m", "pip", "install", "-q", "build")
    run(environment, "-m", "build", "--outdir", tmp_path, PROJECT)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    in_wheel = set(names)
    assert len(names) == len(in_wheel)
    assert {f"execution_store/v1/{name}" for name in GENERATED} <= in_wheel
    assert {"execution_store/py.typed", "execution_store/aio/service.py"} <= in_wheel
    assert not any("test" in name for name in in_wheel)
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        members = archive.getmembers()
    root = sdist.name[: -len(".tar.gz")]
    files = {member.name for member in members if member.isfile()}
    assert {f"{root}/src/execution_store/v1/{name}" for name in GENERATED} <= files
    assert not any(member.issym() for member in members)
