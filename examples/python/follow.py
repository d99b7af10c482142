"""Follows the progress of a worker in another process."""

from __future__ import annotations

from typing import Any, Callable

from execution_store import (
    ExecutionStore,
    KeyExistingEvent,
    KeySetEvent,
    SnapshotCompleteEvent,
)

from worker import Progress


def follow_progress(
    store: ExecutionStore,
    on_progress: Callable[[Progress], Any],
    on_ready: Callable[[], Any] = lambda: None,
) -> None:
    """Follows the run that is under way, or the next one, until it is finished.

    The worker may be in any language, process and machine.

    Args:
        store: the worker's store
        on_progress: hears of where the work is, and of each change
        on_ready: hears when no change can be missed any more

    Raises:
        StoreError: if the store cannot be watched
    """
    with store.watch(key="progress", snapshot=True) as events:
        for event in events:
            if isinstance(event, SnapshotCompleteEvent):
                on_ready()
            if not isinstance(event, (KeyExistingEvent, KeySetEvent)):
                continue
            on_progress(event.document.value)
            # What was finished before is the run before: the next one is waited for.
            if event.type != "existing" and event.document.value["state"] == "finished":
                return
