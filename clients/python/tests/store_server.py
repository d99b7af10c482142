"""Servers for tests: real processes, on either engine, which can be killed and started again."""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

_REPOSITORY = Path(__file__).parents[3]
_READY_LIMIT = 60.0
_END_LIMIT = 30.0
_PR_SET_PDEATHSIG = 1


def server_command() -> list[str]:
    """The command that starts a server, without its options."""
    given = os.environ.get("EXECUTION_STORE_TEST_SERVER")
    if given:
        return [str(part) for part in json.loads(given)]
    return ["node", str(_REPOSITORY / "dist" / "src" / "main.js")]


def mongodb_uri(database: str) -> str:
    """A database in the tests' MongoDB; without one, the test is left out, or fails in CI."""
    given = os.environ.get("EXECUTION_STORE_TEST_MONGODB_URI")
    if given:
        return urlunsplit(urlsplit(given)._replace(path=f"/{database}"))
    reason = "EXECUTION_STORE_TEST_MONGODB_URI names no MongoDB"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def drop_database(uri: str) -> None:
    from pymongo import MongoClient

    with MongoClient(uri) as client:
        client.drop_database(client.get_default_database().name)


def new_database_name() -> str:
    return f"execution_store_test_{secrets.token_hex(8)}"


def until(condition: Callable[[], object], what: str, limit: float = 30.0) -> None:
    """Waits until a condition is true."""
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {limit} s: {what}")
        time.sleep(0.005)


def free_port() -> int:
    """A port for what is ended and started again there.

    Not one of those that the system gives away by itself: meanwhile it might be somebody's
    connection's.
    """
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class StoreServer:
    """One server with a fixed address, which outlives its process."""

    def __init__(self, store: str, *, listen: str | None = None, options: Sequence[str] = ()):
        self.store = store
        self.options = list(options)
        self._listen = listen or f"127.0.0.1:{free_port()}"
        self._process: subprocess.Popen[bytes] | None = None
        self.log: list[str] = []
        self.start()

    @property
    def address(self) -> str:
        return self._listen

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Starts it and waits until it serves."""
        if self.running:
            raise RuntimeError("the server is running; kill it before it is started again")
        arguments = ["serve", "--store", self.store, "--listen", self._listen]
        self._process = subprocess.Popen(
            [*server_command(), *arguments, "--log-level", "info", *self.options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509
        )
        ready = threading.Event()
        threading.Thread(
            target=self._read_log, args=(self._process, ready), daemon=True, name="server-log"
        ).start()
        if not ready.wait(_READY_LIMIT) or not self.running:
            self.kill()
            raise AssertionError("the server did not start:\n" + "\n".join(self.log[-10:]))

    def send_signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Ends it, by default with no chance to tidy up, and waits until it has ended."""
        if self._process is None:
            return
        if self.running:
            self._process.send_signal(number)
        self._process.wait(_END_LIMIT)

    def restart(self, number: int = signal.SIGKILL) -> None:
        """Ends it and starts it again on the same store and address."""
        self.kill(number)
        self.start()

    def freeze(self) -> None:
        """Stops it where it is: connections stay open, and nothing answers."""
        self.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.send_signal(signal.SIGCONT)

    def _read_log(self, process: subprocess.Popen[bytes], ready: threading.Event) -> None:
        assert process.stderr is not None
        with process.stderr:
            for line in process.stderr:
                text = line.decode(errors="replace").strip()
                self.log.append(text)
                if not ready.is_set() and '"msg":"serving"' in text:
                    self._listen = _address_in(text)
                    ready.set()
        ready.set()


def _address_in(line: str) -> str:
    (address,) = json.loads(line)["addresses"]
    return str(address)


def _end_with_parent() -> None:
    # Also where the test run is killed, which no `finally` survives.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
