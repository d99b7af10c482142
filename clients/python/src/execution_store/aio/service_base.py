"""What all parts of the asyncio service stand on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, TypeVar

from ..calls import Calls
from ..errors import StoreError
from ..fields import build
from ..options import DEFAULT_TIMEOUT, AsyncHeadersSource, TlsOptions
from ..plans import Plan
from ..retry import RetryPolicy
from .connection import Connection
from .subscription import Subscriptions

T = TypeVar("T")
S = TypeVar("S", bound="ServiceBase")


class ServiceBase:
    """The context of a service, and the way to its server."""

    def __init__(
        self,
        dataset_id: object | None = None,
        collection_name: str | None = None,
        *,
        address: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        retry: RetryPolicy | None = RetryPolicy(),  # noqa: B008
        tls: bool | TlsOptions = False,
        headers: AsyncHeadersSource | None = None,
        encoding: str = "auto",
        connection: Connection | None = None,
    ) -> None:
        """Connects to nothing yet.

        Args:
            dataset_id: the dataset whose stores these are: an ObjectId, or its 24 hex digits; None
                for the stores tied to no dataset
            collection_name: the collection on the server; None for the server's default,
                ``execution_store``
            address: ``HOST:PORT``, ``unix:/PATH``, or a gRPC target such as ``dns:///HOST:PORT``;
                None for the environment's ``EXECUTION_STORE_ADDRESS``, or ``127.0.0.1:50051``
            timeout: seconds, greater than 0, until a call with its repetitions fails as
                DEADLINE_EXCEEDED, unless the call names its own; ``math.inf``, or more than a
                million, for no limit
            retry: how failed calls are repeated, where that is safe; None for never
            tls: True for TLS with the usual trust
            headers: headers of every request, such as ``{"authorization": "Bearer …"}``; a function
                is asked before each, so that a token may change
            encoding: how values travel: ``"bson"`` (exact in every type; needs pymongo),
                ``"json"``, or ``"auto"`` for BSON if pymongo is installed
            connection: that of another service, to share; the options about connecting then count
                for nothing

        Raises:
            InvalidArgumentError: ``CLIENT_OPTION_INVALID`` or ``DATASET_ID_INVALID``
        """
        self._calls = Calls(dataset_id, collection_name, encoding)
        self._encoding = encoding
        self._connection = connection or Connection(
            address=address, timeout=timeout, retry=retry, tls=tls, headers=headers
        )
        self._call = self._connection.call
        self._subscriptions = Subscriptions()

    @property
    def address(self) -> str:
        """The server's address."""
        return self._connection.address

    @property
    def connection(self) -> Connection:
        """The connection, for other services to share; closing one of them closes it for all."""
        return self._connection

    @property
    def dataset_id(self) -> str | None:
        """The dataset whose stores these are, as 24 lower-case hex digits.

        None for stores tied to no dataset.
        """
        return self._calls.dataset_id or None

    @property
    def collection_name(self) -> str | None:
        """The collection; None for the server's default."""
        return self._calls.collection_name or None

    def with_context(
        self: S, dataset_id: object | None = None, collection_name: str | None = None
    ) -> S:
        """A service for another context over the same connection: closing one closes both.

        Args:
            dataset_id: an ObjectId or its 24 hex digits; None for the stores tied to no dataset
            collection_name: None for the server's default

        Raises:
            InvalidArgumentError: ``DATASET_ID_INVALID``
        """
        return type(self)(
            dataset_id, collection_name, encoding=self._encoding, connection=self._connection
        )

    async def close(self) -> None:
        """Takes no more calls, ends watches, and closes the connection after the calls under way.

        Later calls raise FailedPreconditionError ``CLIENT_CLOSED``. Calls under way are waited for,
        but not repeated. Closing twice is no error.

        Raises:
            FailedPreconditionError: ``CLIENT_OPTION_INVALID`` if the service belongs to another
                event loop, which is running
        """
        await self._connection.close()

    async def __aenter__(self: S) -> S:
        """Returns the service."""
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Closes the service."""
        await self.close()

    async def _run(self, plan: Plan[T], timeout: float | None) -> T:
        """Drives a plan of several requests."""
        try:
            name, request = next(plan)
            while True:
                try:
                    answer = await self._call(name, request, timeout)
                except StoreError as error:
                    name, request = plan.throw(error)
                else:
                    name, request = plan.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result

    async def _pages(
        self, name: str, request: Any, prefix: str, page_size: int, timeout: float | None
    ) -> AsyncIterator[Any]:
        """The answers of a method that lists, page by page."""
        request.MergeFrom(build(type(request), prefix=prefix, page_size=page_size))
        while True:
            answer = await self._call(name, request, timeout)
            yield answer
            if answer.next_page_token == "":
                return
            request.page_token = answer.next_page_token
