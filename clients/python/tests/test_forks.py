"""A service crosses a fork: each process has a connection of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize(
    "program", ["children", "pool_of_processes", "close_beside_a_call", "beside_waiting_gets"]
)
def test_forks(lmdb_server, dataset_id, program):
    path = os.pathsep.join([str(TESTS), str(TESTS.parent / "src")])
    run = subprocess.run(
        [sys.executable, TESTS / "forking.py", program, lmdb_server.address, dataset_id],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (run.returncode, run.stdout.strip()) == (0, "done"), run.stderr
