"""Calls methods on one server from asyncio: as :mod:`execution_store.connection`."""

from __future__ import annotations

import asyncio
import inspect
import math
import random
import time
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio

from ..connection import headers_failed
from ..errors import FailedPreconditionError, StoreError, closed_error
from ..methods import METHODS
from ..options import (
    DEFAULT_TIMEOUT,
    AsyncHeadersSource,
    Metadata,
    TlsOptions,
    check_timeout,
    endpoint,
    to_metadata,
)
from ..retry import NO_RETRY, Attempts, RetryPolicy
from ..v1.execution_store_pb2_grpc import StoreServiceStub
from ..wire_errors import CallFacts, to_store_error, to_stream_error, was_sent
from ..wire_events import watch_method


class Connection:
    """A connection to one server, for the event loop in which the first call is made.

    It opens itself at the first call, and again by itself when it is lost. When its loop has been
    closed, the loop of the next call takes its place. It does not cross a fork.
    """

    def __init__(
        self,
        *,
        address: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        retry: RetryPolicy | None = RetryPolicy(),  # noqa: B008
        tls: bool | TlsOptions = False,
        headers: AsyncHeadersSource | None = None,
    ) -> None:
        """Opens nothing yet; see :class:`ExecutionStoreService` for the arguments."""
        self._endpoint = endpoint(address, tls)
        self._retry = NO_RETRY if retry is None else retry
        self._timeout = check_timeout(timeout)
        self._headers = headers if callable(headers) else None
        self._metadata: Metadata = () if callable(headers) else to_metadata(headers or {})
        self._ending: dict[int, Callable[[], None]] = {}
        self._closing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._channel: grpc.aio.Channel | None = None
        self._stub: Any = None
        self._under_way: set[object] = set()
        # Made in the loop that they belong to.
        self._closed: asyncio.Event | None = None
        self._idle: asyncio.Event | None = None

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

    async def call(self, name: str, request: Any, timeout: float | None = None) -> Any:
        """Calls a method that is answered by one message.

        Args:
            name: the name of the RPC
            request: its request
            timeout: seconds for the call with its repetitions; None for the connection's

        Returns:
            the response

        Raises:
            StoreError: and, if the task is cancelled, asyncio.CancelledError; nothing else
        """
        call_id = object()
        try:
            if self._closing:
                raise closed_error(name)
            limit = self._timeout if timeout is None else check_timeout(timeout)
            stub = self._open()
            self._under_way.add(call_id)
            metadata = self._metadata if self._headers is None else await self._ask_headers()
            started = time.monotonic()
            try:
                return await getattr(stub, name)(
                    request, timeout=None if limit is math.inf else limit, metadata=metadata
                )
            except grpc.aio.AioRpcError as error:
                return await self._repeat(name, request, error, started, limit)
        except StoreError as error:
            if error.outcome is None and METHODS[name].writes:
                error.outcome = "NOT_APPLIED"
            raise
        finally:
            self._under_way.discard(call_id)
            if self._closing and not self._under_way and self._idle is not None:
                self._idle.set()

    async def _repeat(
        self, name: str, request: Any, failure: grpc.aio.AioRpcError, started: float, limit: float
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
                delay = attempts.failed(
                    error, sent=was_sent(failure), now=time.monotonic(), random=random.random()
                )
                if delay is None or await self._closes_within(delay):
                    raise error from failure
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise error from failure
                try:
                    metadata = (
                        self._metadata if self._headers is None else await self._ask_headers()
                    )
                except StoreError as headers_error:
                    if method.writes:
                        headers_error.outcome = "UNKNOWN" if attempts.doubtful else "NOT_APPLIED"
                    raise
                try:
                    return await getattr(self._open(), name)(
                        request, timeout=None if limit is math.inf else remaining, metadata=metadata
                    )
                except grpc.aio.AioRpcError as again:
                    failure = again
        finally:
            # The traceback holds this frame: with them in it, a cycle would keep the request alive.
            del error, failure

    async def stream(self, name: str, request: Any) -> Any:
        """Opens a call that is answered by a stream of messages, once.

        Returns:
            the call of the gRPC library, an async iterator of pairs (see ``watch_method``), with
            ``cancel()``; what its iteration raises goes through :meth:`stream_error`

        Raises:
            StoreError: if it cannot be opened
        """
        if self._closing:
            raise closed_error(name)
        stub = self._open()
        metadata = self._metadata if self._headers is None else await self._ask_headers()
        if self._closing:
            raise closed_error(name)
        return getattr(stub, name)(request, metadata=metadata)

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
            FailedPreconditionError: ``CLIENT_CLOSED``, or ``CLIENT_OPTION_INVALID`` in another
                event loop
        """
        if self._closing:
            raise closed_error("a watch")
        # First, for what belongs to a loop before this one is forgotten there.
        self._open()
        self._ending[id(end)] = end

        def take_back() -> None:
            self._ending.pop(id(end), None)

        return take_back

    async def close(self) -> None:
        """Takes no more calls, ends watches, waits for calls under way, and closes.

        Raises:
            FailedPreconditionError: ``CLIENT_OPTION_INVALID`` if another event loop runs it
        """
        loop = asyncio.get_running_loop()
        if self._loop is not None and loop is not self._loop:
            if self._loop.is_running():
                raise _foreign_loop()
            # What was under way in a loop that has ended can neither be ended nor be waited for.
            self._forget_loop()
        self._closing = True
        if self._closed is not None:
            self._closed.set()
        ending = list(self._ending.values())
        self._ending.clear()
        for end in ending:
            end()
        if self._under_way and self._idle is not None:
            await self._idle.wait()
        channel, self._channel, self._stub = self._channel, None, None
        if channel is not None:
            await channel.close()

    def _open(self) -> Any:
        loop = asyncio.get_running_loop()
        if self._stub is not None and loop is self._loop:
            return self._stub
        if self._loop is not None and loop is not self._loop and not self._loop.is_closed():
            raise _foreign_loop()
        if loop is not self._loop:
            self._forget_loop()
            self._closed = asyncio.Event()
            self._idle = asyncio.Event()
        self._loop = loop
        target, options = self._endpoint.address.target, self._endpoint.options
        if self._endpoint.credentials is None:
            self._channel = grpc.aio.insecure_channel(target, options)
        else:
            self._channel = grpc.aio.secure_channel(target, self._endpoint.credentials, options)
        stub: Any = StoreServiceStub(self._channel)  # type: ignore[no-untyped-call]
        stub.WatchKeys = watch_method(self._channel)
        self._stub = stub
        return self._stub

    def _forget_loop(self) -> None:
        self._under_way = set()
        self._ending = {}
        self._closed = None
        self._idle = None

    async def _closes_within(self, seconds: float) -> bool:
        if self._closed is None:
            return self._closing
        try:
            await asyncio.wait_for(self._closed.wait(), seconds)
        except asyncio.TimeoutError:
            # Without a wait, some versions of Python do not look at the event.
            return self._closing
        return True

    async def _ask_headers(self) -> Metadata:
        try:
            headers = self._headers()  # type: ignore[misc]
            if inspect.isawaitable(headers):
                headers = await headers
        except StoreError as error:
            # What it says is not about the call that the headers are for.
            error.outcome = None
            raise
        except Exception as error:
            raise headers_failed() from error
        return to_metadata(headers)


def _foreign_loop() -> FailedPreconditionError:
    return FailedPreconditionError(
        "the service belongs to another event loop, in which its first call was made; "
        "open one for each loop",
        reason="CLIENT_OPTION_INVALID",
    )
