"""An operator worker: keeps statistics of every file in a folder in the execution store.

results       under the content's hash: a file that was ever computed, under any name, is not again
intermediate  the content hash of each version of a file, in the cache, for a day
progress      under ``progress``: anyone may look how far the work is

Run it twice: the second run is served from the store. Kill it half-way: the next run continues. The
workers in TypeScript and Go beside it keep the same under the same keys: what one has computed, all
are served.
"""

from __future__ import annotations

import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, TypedDict

from execution_store import ExecutionStore, StoreError

from analyze import Analysis, analyze, content_hash
from walk import FoundFile, walk

_CACHE_TTL_SECONDS = 24 * 60 * 60
# Files that are worked on at the same time.
_CONCURRENCY = 8
# Seconds between two writes of the progress.
_PROGRESS_INTERVAL = 0.2


class Progress(TypedDict):
    """How far a run is, as it is stored under ``progress``.

    Attributes:
        folder: the folder
        total: files in it
        done: finished files: computed, served from the store, or failed
        computed: files that were computed
        served: files whose results were in the store
        failed: files that could not be read
        savedMs: what computing the served results had taken, in ms
        savedBytes: bytes of files that did not have to be read
        state: ``"running"`` or ``"finished"``
    """

    folder: str
    total: int
    done: int
    computed: int
    served: int
    failed: int
    savedMs: float
    savedBytes: int
    state: str


OnProgress = Callable[[Progress], Any]
OnError = Callable[[str, OSError], Any]


def run_worker(
    folder: str,
    store: ExecutionStore,
    *,
    on_progress: OnProgress = lambda _: None,
    on_error: OnError = lambda *_: None,
) -> Progress:
    """Works through a folder.

    Args:
        folder: its path
        store: where results, intermediate results and progress are kept
        on_progress: hears of every finished file, from one thread at a time
        on_error: hears of files that cannot be read; the work goes on

    Returns:
        the final progress

    Raises:
        OSError: if the folder cannot be read
        StoreError: if the store fails
    """
    run = _Run(folder, store, on_progress, on_error)
    # One thread more, which keeps the progress in the store until the work is finished.
    with ThreadPoolExecutor(_CONCURRENCY + 1) as threads:
        report = threads.submit(run.report)
        works = [threads.submit(run.work, file) for file in run.files]
        try:
            for work in works:
                work.result()
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise
        finally:
            run.finished.set()
        report.result()
    run.progress["state"] = "finished"
    store.set("progress", run.progress)
    return run.progress


class _Run:
    """One run, shared by its threads."""

    def __init__(
        self, folder: str, store: ExecutionStore, on_progress: OnProgress, on_error: OnError
    ) -> None:
        self.files = walk(folder)
        self.finished = threading.Event()
        self.progress: Progress = {
            "folder": folder,
            "total": len(self.files),
            "done": 0,
            "computed": 0,
            "served": 0,
            "failed": 0,
            "savedMs": 0,
            "savedBytes": 0,
            "state": "running",
        }
        self._store = store
        self._on_progress = on_progress
        self._on_error = on_error
        self._lock = threading.Lock()
        # Two requests tell what is known, whatever the number of files.
        self._hashes: dict[str, str] = store.get_many([_version_key(file) for file in self.files])
        keys = {_result_key(digest) for digest in self._hashes.values()}
        self._results: dict[str, Analysis] = store.get_many(sorted(keys))

    def work(self, file: FoundFile) -> None:
        """Finishes one file."""
        try:
            self._work(file)
        except StoreError:
            raise  # some of these are OSErrors, too, but no file's fault
        except OSError as error:
            with self._lock:
                self._on_error(file.path, error)
            self._advance("failed")

    def report(self) -> None:
        """Keeps the progress in the store until the run is finished."""
        while True:
            with self._lock:
                progress = self.progress.copy()
            self._store.set("progress", progress)
            if self.finished.wait(_PROGRESS_INTERVAL):
                return

    def _work(self, file: FoundFile) -> None:
        known = self._hashes.get(_version_key(file))
        digest = content_hash(file.path) if known is None else known
        if known is None:
            self._store.set_cache(_version_key(file), digest, ttl=_CACHE_TTL_SECONDS)
        stored = self._results.get(_result_key(digest)) or self._store.get(_result_key(digest))
        if stored is None:
            self._store.set(_result_key(digest), analyze(file.path))
            self._advance("computed")
        else:
            self._advance("served", stored["computeMs"], 0 if known is None else file.size)

    def _advance(self, how: str, saved_ms: float = 0, saved_bytes: int = 0) -> None:
        with self._lock:
            progress = self.progress
            progress["done"] += 1
            progress[how] += 1  # type: ignore[literal-required]
            # To a microsecond, as each of them is: sums have digits behind it that mean nothing.
            progress["savedMs"] = round(progress["savedMs"] + saved_ms, 3)
            progress["savedBytes"] += saved_bytes
            self._on_progress(progress)


def _version_key(file: FoundFile) -> str:
    """The cache key of one version of a file."""
    version = f"\0{file.size}\0{file.modified_ns}".encode()
    path = os.fsencode(os.path.abspath(file.path))
    return f"hash-of:{hashlib.sha256(path + version).hexdigest()}"


def _result_key(digest: str) -> str:
    return f"analysis:{digest}"
