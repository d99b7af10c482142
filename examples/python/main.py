"""The command line of the worker: python main.py FOLDER."""

from __future__ import annotations

import argparse
import json
import sys
import time

from execution_store import ExecutionStore, StoreError

from follow import follow_progress
from worker import Progress, run_worker


def _counts(progress: Progress) -> str:
    return (
        f"{progress['computed']} computed, {progress['served']} served from the store, "
        f"{progress['failed']} failed"
    )


def _summary(progress: Progress, seconds: float) -> str:
    text = f"{progress['total']} files in {seconds:.1f} s: {_counts(progress)}"
    if progress["served"] > 0:
        text += (
            f"\nThe store saved {progress['savedMs'] / 1000:.1f} s of computing "
            f"and the reading of {progress['savedBytes'] / 1e6:.1f} MB."
        )
    return text


def _work(store: ExecutionStore, folder: str) -> int:
    def show(now: Progress) -> None:
        if sys.stderr.isatty():
            line = f"\r{now['done']}/{now['total']} files | {_counts(now)}"
            print(line, end="\n" if now["done"] == now["total"] else "", file=sys.stderr)

    started = time.monotonic()
    progress = run_worker(
        folder,
        store,
        on_progress=show,
        on_error=lambda path, error: print(f"cannot read {path}: {error}", file=sys.stderr),
    )
    print(_summary(progress, time.monotonic() - started))
    return 0 if progress["failed"] == 0 else 1


def _follow(store: ExecutionStore) -> int:
    follow_progress(
        store,
        lambda now: print(
            f"{now['state']}: {now['done']}/{now['total']} files: {_counts(now)}", flush=True
        ),
        lambda: print(f"watching the progress in {json.dumps(store.store_name)}", file=sys.stderr),
    )
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python main.py",
        usage="%(prog)s FOLDER [--address HOST:PORT] [--store NAME] [--clear]\n"
        "       %(prog)s --watch [--address HOST:PORT] [--store NAME]",
        description="Computes statistics of every file in FOLDER, kept in the execution store.",
    )
    parser.add_argument("folder", nargs="?", metavar="FOLDER")
    parser.add_argument(
        "--address", help="the server (default: EXECUTION_STORE_ADDRESS, or 127.0.0.1:50051)"
    )
    parser.add_argument(
        "--store",
        default="file-statistics",
        help="the store to keep them in (default: file-statistics)",
    )
    parser.add_argument(
        "--clear", action="store_true", help="forget what the store holds, and begin anew"
    )
    parser.add_argument(
        "--watch",
        action="store_true",
        help="follow the progress of a worker in another process, until it is finished",
    )
    arguments = parser.parse_args()
    if arguments.watch == (arguments.folder is not None) or (arguments.watch and arguments.clear):
        parser.error("give either a FOLDER to work on or --watch alone")
    return arguments


def main() -> int:
    """Runs the command line and returns its exit code."""
    arguments = _arguments()
    folder: str | None = arguments.folder
    try:
        with ExecutionStore.create(arguments.store, address=arguments.address) as store:
            if arguments.clear:
                store.clear()
            return _follow(store) if folder is None else _work(store, folder)
    except (StoreError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
