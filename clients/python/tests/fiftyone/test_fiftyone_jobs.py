"""FiftyOne's TransientJobCoordinator on the service, with workers that are killed at work."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from fiftyone.operators.store import (
    ExecutionStore,
    TransientJobAlreadyExists,
    TransientJobCoordinator,
)

import execution_store
from execution_store.fiftyone import GrpcExecutionStoreRepo

JOBS = 4
WORKERS = 3
KILLS = 4
LEASE = 2
WORKER = Path(__file__).parent / "worker.py"


@pytest.fixture
def coordinator(installed: str) -> TransientJobCoordinator:
    return TransientJobCoordinator(ExecutionStore.create("jobs"), lease_seconds=LEASE)


def create(coordinator: TransientJobCoordinator, job_id: str) -> dict[str, Any]:
    return coordinator.create(owner="me", scope={"s": 1}, payload=[1.5, None], job_id=job_id)


def test_the_course_of_a_job(coordinator: TransientJobCoordinator) -> None:
    create(coordinator, "one")
    with pytest.raises(TransientJobAlreadyExists):
        create(coordinator, "one")
    claimed = coordinator.claim("one")
    assert claimed["state"] == "running"
    assert claimed["fencing_token"] == 1
    assert coordinator.claim("one") is None
    assert coordinator.set_progress("one", 1, {"done": 0.5})["progress"] == {"done": 0.5}
    assert coordinator.heartbeat("one", 2) is None
    assert coordinator.complete("one", 1, result={"ok": True})["state"] == "completed"
    assert coordinator.complete("one", 1) is None
    assert coordinator.get("one")["result"] == {"ok": True}


def test_cancelling_and_failing(coordinator: TransientJobCoordinator) -> None:
    create(coordinator, "waiting")
    assert coordinator.request_cancel("waiting")["state"] == "canceled"
    assert coordinator.claim("waiting") is None
    create(coordinator, "running")
    token = coordinator.claim("running")["fencing_token"]
    assert coordinator.request_cancel("running")["cancel_requested"] is True
    assert coordinator.cancel("running", token)["state"] == "canceled"
    create(coordinator, "failing")
    token = coordinator.claim("failing")["fencing_token"]
    assert coordinator.fail("failing", token, "reason")["error"] == "reason"


def test_a_job_is_done_once_by_workers_that_are_killed(
    coordinator: TransientJobCoordinator, installed: str, tmp_path: Path
) -> None:
    for number in range(JOBS):
        create(coordinator, f"job-{number}")
    log = tmp_path / "log"
    log.touch()
    chance = random.Random(7)
    workers = [start(installed, log) for _ in range(WORKERS)]
    try:
        for _ in range(KILLS):
            killed = wait_for_holder(workers, log, chance)
            # Anywhere in its work, which takes a second.
            time.sleep(chance.uniform(0, 0.4))
            killed.kill()
            killed.wait()
            workers[workers.index(killed)] = start(installed, log)
        for worker in workers:
            assert worker.wait(120) == 0
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    entries = read(log)
    for number in range(JOBS):
        check(coordinator.get(f"job-{number}"), [e for e in entries if e["job"] == f"job-{number}"])
    # Killed workers left jobs behind, which others took over.
    assert len([e for e in entries if e["event"] == "claimed"]) > JOBS


def start(address: str, log: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, str(WORKER), address, str(log), str(LEASE), str(JOBS)])


def read(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def wait_for_holder(
    workers: list[subprocess.Popen[bytes]], log: Path, chance: random.Random
) -> subprocess.Popen[bytes]:
    """A worker that has a claim and has not completed it."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        last = {entry["pid"]: entry["event"] for entry in read(log)}
        holders = [w for w in workers if last.get(w.pid) == "claimed" and w.poll() is None]
        if holders:
            return chance.choice(holders)
        time.sleep(0.01)
    raise AssertionError("no worker claimed a job")


def check(job: dict[str, Any], entries: list[dict[str, Any]]) -> None:
    """One that was killed between its write and its line in the log left none."""
    claims = [e for e in entries if e["event"] == "claimed"]
    completions = [e for e in entries if e["event"] == "completed"]
    assert job["state"] == "completed"
    assert len(completions) <= 1, "completed once"
    for completed in completions:
        assert completed["token"] == job["fencing_token"], "by the last holder"
        assert job["result"] == {"pid": completed["pid"]}
    tokens = [e["token"] for e in claims]
    assert tokens == sorted(set(tokens)), "tokens grow from claim to claim"
    for former, later in zip(claims, claims[1:]):
        # Stored times are in milliseconds, those of the log are not.
        assert later["claimed_at"] >= former["lease_expires_at"] - 0.001, "one holder at a time"


def test_two_processes_on_two_repositories_see_one_job(installed: str) -> None:
    """A coordinator with a repository of its own, without install()."""
    from fiftyone.operators.store import ExecutionStoreService

    service = ExecutionStoreService(repo=GrpcExecutionStoreRepo(address=installed))
    apart = TransientJobCoordinator(ExecutionStore("jobs", service))
    create(apart, "shared")
    ours = execution_store.ExecutionStoreService(address=installed)
    found = ours.get_key("jobs", "shared")
    assert found is not None
    assert found.value["state"] == "requested"
    assert found.policy == "evict"
