"""A worker that claims and completes jobs until none is left, and logs what it holds.

Arguments: the server's address, the log file, the seconds of a lease, the number of jobs. It may
be killed anywhere.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import execution_store.fiftyone

execution_store.fiftyone.install(sys.argv[1])

from fiftyone.operators.store import ExecutionStore, TransientJobCoordinator  # noqa: E402

log = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND)
lease = int(sys.argv[3])
jobs = [f"job-{number}" for number in range(int(sys.argv[4]))]
coordinator = TransientJobCoordinator(ExecutionStore.create("jobs"), lease_seconds=lease)


def say(event: str, job: dict[str, Any], **more: Any) -> None:
    """One line, in one write: a reader sees all of it or nothing."""
    entry = {
        "event": event,
        "job": job["id"],
        "token": job["fencing_token"],
        "pid": os.getpid(),
        **more,
    }
    os.write(log, json.dumps(entry).encode() + b"\n")


def work(job: dict[str, Any]) -> None:
    claimed_at = job["updated_at"].timestamp()
    say("claimed", job, claimed_at=claimed_at, lease_expires_at=job["lease_expires_at"].timestamp())
    for step in range(10):
        time.sleep(0.1)
        if coordinator.set_progress(job["id"], job["fencing_token"], step) is None:
            return
    done = coordinator.complete(job["id"], job["fencing_token"], {"pid": os.getpid()})
    if done is not None:
        say("completed", done)


while True:
    states = []
    for job_id in jobs:
        claimed = coordinator.claim(job_id)
        if claimed is not None:
            work(claimed)
        states.append(coordinator.get(job_id)["state"])
    if all(state == "completed" for state in states):
        break
    time.sleep(0.05)
os._exit(0)
