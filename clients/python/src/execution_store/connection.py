"""Calls methods on one server: with deadlines, repetitions where they are safe, and StoreErrors."""

from __future__ import annotations

import math
import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from .errors import StoreError, UnauthenticatedError, closed_error
from .joined_reads import JoinedReads
from .methods import METHODS
from .options import (
    DEFAULT_TIMEOUT,
    Headers,
    HeadersSource,
    Metadata,
    TlsOptions,
    check_timeout,
    endpoint,
    to_metadata,
)
from .retry import NO_RETRY, Attempts, RetryPolicy
from .v1 import execution_store_pb2 as pb
from .v1.execution_store_pb2_grpc import StoreServiceStub
from .wire_errors import CallFacts, to_store_error, to_stream_error, was_sent
from .wire_events import watch_method

_POLLER_LIMIT = 2.0


class Connection:
    """A connection to one server, shared by any number of services and threads.

    It opens itself at the first call, and again by itself when it is lost. A forked process opens
    its own at its first call and leaves its parent's alone.
    """

    _channel: grpc.Channel | None
    _stub: Any
    _under_way: set[object]
    _lock: threading.Lock
    _idle: threading.Condition
    _closed: threading.Event
    _joined_reads: JoinedReads

    def __init__(
        self,
        *,
        address: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        retry: RetryPolicy | None = RetryPolicy(),  # noqa: B008
        tls: bool | TlsOptions = False,
        headers: HeadersSource | None = None,
    ) -> None:
        """Opens nothing yet; see :class:`ExecutionStoreService` for the arguments."""
        self._endpoint = endpoint(address, tls)
        self._retry = NO_RETRY if retry is None else retry
        self._timeout = check_timeout(timeout)
        self._headers = headers if callable(headers) else None
        self._metadata: Metadata = () if callable(headers) else to_metadata(headers or {})
        self._ending: dict[int, Callable[[], None]] = {}
        self._closing = False
        self._reset()
        _connections.add(self)

    @property
    def address(self) -> str:
        """The server's address as it was given."""
        return self._endpoint.address.label

    @property
    def timeout(self) -> float:
        """The seconds that a call has if it names no time; ``math.inf`` for no limit."""
        return self._timeout

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._closing

    def get_key(self, request: pb.GetKeyRequest) -> pb.GetKeyResponse | None:
        """Calls GetKey, or for many threads at once BatchGetKeys, with the connection's timeout.

        Returns:
            the response, or None if the key is not there

        Raises:
            KeyNotFoundError: if the key is not there, too
            StoreError: and nothing else
        """
        answer: pb.GetKeyResponse | None = self.call("GetKey", request, None, self._joined_reads)
        return answer

    def call(
        self,
        name: str,
        request: Any,
        timeout: float | None = None,
        joined: JoinedReads | None = None,
    ) -> Any:
        """Calls a method that is answered by one message.

        Args:
            name: the name of the RPC
            request: its request
            timeout: seconds for the call with its repetitions; None for the connection's
            joined: what makes the first attempt, if that may be made together with others

        Returns:
            the response

        Raises:
            StoreError: and nothing else
        """
        # Most calls come this way, so that it holds nothing that can wait until something fails.
        under_way = self._under_way
        call_id = object()
        under_way.add(call_id)
        try:
            if self._closing:
                raise closed_error(name)
            limit = self._timeout if timeout is None else check_timeout(timeout)
            stub = self._stub or self._open()
            metadata = self._metadata if self._headers is None else self._ask_headers()
            started = time.monotonic()
            try:
                if joined is not None:
                    return joined.get(stub, request, None if limit is math.inf else limit, metadata)
                return getattr(stub, name)(
                    request, timeout=None if limit is math.inf else limit, metadata=metadata
                )
            except grpc.RpcError as error:
                return self._repeat(name, request, error, started, limit)
        except StoreError as error:
            if error.outcome is None and METHODS[name].writes:
                error.outcome = "NOT_APPLIED"
            raise
        finally:
            self._leave(under_way, call_id)

    def _repeat(
        self, name: str, request: Any, failure: grpc.RpcError, started: float, limit: float
    ) -> Any:
        """Goes on after the first attempt of a call has failed."""
        method = METHODS[name]
        facts = CallFacts(name, method.writes, self.address, limit)
        deadline = started + limit
        attempts = Attempts(
            self._retry, repeatable=method.repeatable, started=started, deadline=deadline
        )
        error: StoreError | None = None
        try:
            while True:
                error = to_store_error(failure, facts)
                sent = was_sent(failure)
                delay = attempts.failed(
                    error, sent=sent, now=time.monotonic(), random=random.random()
                )
                if delay is None or self._pause(delay, sent=sent):
                    raise error from failure
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise error from failure
                try:
                    metadata = self._metadata if self._headers is None else self._ask_headers()
                except StoreError as headers_error:
                    if method.writes:
                        headers_error.outcome = "UNKNOWN" if attempts.doubtful else "NOT_APPLIED"
                    raise
                try:
                    return getattr(self._stub or self._open(), name)(
                        request, timeout=None if limit is math.inf else remaining, metadata=metadata
                    )
                except grpc.RpcError as again:
                    failure = again
        finally:
            # The traceback holds this frame: with them in it, a cycle would keep the request alive.
            del error, failure

    def stream(self, name: str, request: Any) -> Any:
        """Opens a call that is answered by a stream of messages, once.

        Returns:
            the call of the gRPC library, an iterator of pairs (see ``watch_method``), with
            ``cancel()``; what its iteration raises goes through :meth:`stream_error`

        Raises:
            StoreError: if it cannot be opened
        """
        # Under way, as a call: lest the channel be closed in between, or opened after close().
        under_way = self._under_way
        call_id = object()
        under_way.add(call_id)
        try:
            if self._closing:
                raise closed_error(name)
            metadata = self._metadata if self._headers is None else self._ask_headers()
            return getattr(self._stub or self._open(), name)(request, metadata=metadata)
        finally:
            self._leave(under_way, call_id)

    @contextmanager
    def reconnecting(self) -> Iterator[None]:
        """Lets a lost connection come back while the caller waits for its next attempt.

        The library goes on with connecting only while something of the channel is waited for, and
        attempts that fail at once are not: without this it would take many seconds.
        """
        channel = self._channel
        if channel is None:
            yield
            return

        def heard(_state: grpc.ChannelConnectivity) -> None:
            """Nobody asks for the state: to be waited for is all that the channel needs."""

        channel.subscribe(heard, try_to_connect=True)
        try:
            yield
        finally:
            channel.unsubscribe(heard)

    def stream_error(self, name: str, failure: grpc.RpcError) -> StoreError:
        """The error of a stream that ended."""
        return to_stream_error(
            failure, CallFacts(name, METHODS[name].writes, self.address, self._timeout)
        )

    def on_close(self, end: Callable[[], None]) -> Callable[[], None]:
        """Has `end` called when the connection is closed: for what does not end by itself.

        Returns:
            a function that takes `end` back

        Raises:
            FailedPreconditionError: ``CLIENT_CLOSED``
        """
        with self._lock:
            if self._closing:
                raise closed_error("a watch")
            self._ending[id(end)] = end

        def take_back() -> None:
            self._ending.pop(id(end), None)

        return take_back

    def close(self) -> None:
        """Takes no more calls, ends watches, waits for calls under way, and closes."""
        with self._lock:
            self._closing = True
            self._closed.set()
            ending = list(self._ending.values())
            self._ending.clear()
        for end in ending:
            end()
        with self._idle:
            self._idle.wait_for(lambda: not self._under_way)
        with self._lock:
            channel, self._channel, self._stub = self._channel, None, None
        if channel is not None:
            _wait_for_poller(channel)
            channel.close()

    def _leave(self, under_way: set[object], call_id: object) -> None:
        under_way.discard(call_id)
        if self._closing:
            with self._idle:
                self._idle.notify_all()

    def _pause(self, delay: float, *, sent: bool) -> bool:
        """Waits before a repetition; returns whether the connection was closed meanwhile."""
        if sent:
            return self._closed.wait(delay)
        with self.reconnecting():
            return self._closed.wait(delay)

    def _open(self) -> Any:
        with self._lock:
            if self._stub is None:
                target, options = self._endpoint.address.target, self._endpoint.options
                if self._endpoint.credentials is None:
                    self._channel = grpc.insecure_channel(target, options)
                else:
                    self._channel = grpc.secure_channel(target, self._endpoint.credentials, options)
                stub: Any = StoreServiceStub(self._channel)  # type: ignore[no-untyped-call]
                stub.WatchKeys = watch_method(self._channel)
                self._stub = stub
            return self._stub

    def _reset(self) -> None:
        """Begins without a channel, and with locks that nobody holds."""
        self._channel = None
        self._stub = None
        self._under_way = set()
        self._lock = threading.Lock()
        self._idle = threading.Condition()
        self._closed = threading.Event()
        self._joined_reads = JoinedReads()
        if self._closing:
            self._closed.set()

    def _after_fork(self) -> None:
        if self._channel is not None:
            # Whatever is done to it, its end included, waits for threads that only the parent has.
            _of_parents.append((self._channel, self._stub))
        # Of watches, which do not cross a fork, the parent hears.
        self._ending = {}
        self._reset()

    def _ask_headers(self) -> Metadata:
        try:
            headers: Headers = self._headers()  # type: ignore[misc]
        except StoreError as error:
            # What it says is not about the call that the headers are for.
            error.outcome = None
            raise
        except Exception as error:
            raise headers_failed() from error
        return to_metadata(headers)


def _wait_for_poller(channel: grpc.Channel) -> None:
    """Waits until nobody asks for the channel's state any more, after ``reconnecting``.

    The library's thread for that ends up to 0.2 s after its last subscriber has gone, and fails
    with a word on stderr where the channel is closed before. There is no public way to know.
    """
    deadline = time.monotonic() + _POLLER_LIMIT
    while time.monotonic() < deadline:
        if not getattr(getattr(channel, "_connectivity_state", None), "polling", False):
            return
        time.sleep(0.01)


def headers_failed() -> UnauthenticatedError:
    """For a headers function that raised; the cause tells more."""
    return UnauthenticatedError(
        "the headers function of the service's options failed; see the cause"
    )


_connections: weakref.WeakSet[Connection] = weakref.WeakSet()
# What processes before this one have opened.
_of_parents: list[Any] = []


def _after_fork_in_child() -> None:
    for connection in list(_connections):
        connection._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
