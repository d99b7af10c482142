"""One store of the synchronous client."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any

from .calls import MISSING
from .documents import KeyDocument, KeyPolicy, SetEntry
from .errors import StoreError, invalid_field
from .fields import Policy, Ttl, check_iterable, policy_field
from .options import DEFAULT_TIMEOUT, HeadersSource, TlsOptions
from .retry import RetryPolicy
from .service import ExecutionStoreService
from .store_watches import StoreWatches

__all__ = ["ExecutionStore"]


class ExecutionStore(StoreWatches):
    """One store: keys with values, a time to live and a policy.

    It need not be created on the server before; it exists there while it has a key. Values, errors,
    repetition, threads and processes are as in :class:`ExecutionStoreService`. Every method takes a
    `timeout` in seconds for its call, by default the service's.

    Example:
        ::

            with ExecutionStore.create("results") as store:
                store.set("image-17", {"sha256": "9f86d0…", "width": 640})
                store.set_cache("thumbnail-17", thumbnail, ttl=600)
                result = store.get("image-17")  # None if it is not there
    """

    def __init__(
        self,
        store_name: str,
        store_service: ExecutionStoreService,
        default_policy: Policy = KeyPolicy.PERSIST,
    ) -> None:
        """A store of a service, in its context; closing the store leaves the service open.

        Args:
            store_name: 1 to 255 bytes of UTF-8
            store_service: the service to use
            default_policy: where ``set``, ``set_many`` and ``set_if_absent`` name none

        Raises:
            InvalidArgumentError: ``POLICY_INVALID``
        """
        self.store_name = store_name
        self.default_policy = check_default_policy(default_policy)
        self._service = store_service
        self._subscription_ids = set()
        self._owns_service = False

    @staticmethod
    def create(
        store_name: str,
        dataset_id: object | None = None,
        default_policy: Policy = KeyPolicy.PERSIST,
        collection_name: str | None = None,
        *,
        address: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        retry: RetryPolicy | None = RetryPolicy(),  # noqa: B008
        tls: bool | TlsOptions = False,
        headers: HeadersSource | None = None,
        encoding: str = "auto",
    ) -> ExecutionStore:
        """Opens a store with a connection of its own, which closes with it. Nothing is sent yet.

        Args:
            store_name: 1 to 255 bytes of UTF-8
            dataset_id: the dataset whose store it is: an ObjectId or its 24 hex digits; None for no
                dataset
            default_policy: where ``set``, ``set_many`` and ``set_if_absent`` name none
            collection_name: the collection on the server; None for the server's default
            address: as in :class:`ExecutionStoreService`
            timeout: as in :class:`ExecutionStoreService`
            retry: as in :class:`ExecutionStoreService`
            tls: as in :class:`ExecutionStoreService`
            headers: as in :class:`ExecutionStoreService`
            encoding: as in :class:`ExecutionStoreService`

        Raises:
            InvalidArgumentError: ``CLIENT_OPTION_INVALID``, ``DATASET_ID_INVALID`` or
                ``POLICY_INVALID``
        """
        service = ExecutionStoreService(
            dataset_id,
            collection_name,
            address=address,
            timeout=timeout,
            retry=retry,
            tls=tls,
            headers=headers,
            encoding=encoding,
        )
        store = ExecutionStore(store_name, service, default_policy)
        store._owns_service = True
        return store

    @property
    def service(self) -> ExecutionStoreService:
        """The service behind it."""
        return self._service

    @property
    def dataset_id(self) -> str | None:
        """The dataset whose store this is, as 24 lower-case hex digits; None for no dataset."""
        return self._service.dataset_id

    def list_stores(self, *, timeout: float | None = None) -> list[str]:
        """Lists the names of all stores of this store's context."""
        return self._service.list_stores(timeout=timeout)

    def get(self, key: str, *, timeout: float | None = None) -> Any | None:
        """Reads a value; None if the key is not there."""
        document = self._service.get_key(self.store_name, key, timeout=timeout)
        return None if document is None else document.value

    def set(
        self,
        key: str,
        value: Any,
        ttl: Ttl | None = None,
        policy: Policy | None = None,
        *,
        timeout: float | None = None,
    ) -> KeyDocument:
        """Sets a key, replacing value, policy and expiry together.

        Args:
            key: 1 to 1,024 bytes of UTF-8
            value: what is to be stored
            ttl: seconds, or a timedelta, until it expires; it makes the policy ``"evict"``. None
                for no expiry.
            policy: ``"persist"`` or ``"evict"``; None for the store's default
            timeout: seconds for the call

        Returns:
            the new document
        """
        policy = self.default_policy if policy is None else policy
        return self._service.set_key(self.store_name, key, value, ttl, policy, timeout=timeout)

    def set_cache(
        self,
        key: str,
        value: Any,
        ttl: Ttl | None = None,
        *,
        timeout: float | None = None,
    ) -> KeyDocument:
        """Sets a key with policy ``"evict"``.

        :meth:`clear_cache` may remove it, and so does its ttl, if any.
        """
        return self._service.set_cache_key(self.store_name, key, value, ttl, timeout=timeout)

    def set_if_absent(
        self,
        key: str,
        value: Any,
        ttl: Ttl | None = None,
        policy: Policy | None = None,
        *,
        timeout: float | None = None,
    ) -> bool:
        """Sets a key only if it is not there; returns whether this call did.

        The primitive for locks and claims.
        """
        policy = self.default_policy if policy is None else policy
        return self._service.set_key_if_absent(
            self.store_name, key, value, ttl, policy, timeout=timeout
        ).set

    def compare_and_set(
        self,
        key: str,
        expected: Any = MISSING,
        value: Any = MISSING,
        ttl: Ttl | None = None,
        policy: Policy | None = None,
        *,
        etag: str | None = None,
        timeout: float | None = None,
    ) -> bool:
        """Sets a key only if its present value, or its version, is the expected one.

        Args:
            key: the key
            expected: the value that must be there
            value: the value to set
            ttl: seconds, or a timedelta; None leaves the expiry as it is
            policy: None leaves it as it is; the store's default does not apply
            etag: the version that must be there; in place of `expected`
            timeout: seconds for the call

        Returns:
            whether this call wrote
        """
        return self._service.compare_and_set_key(
            self.store_name, key, expected, value, ttl, policy, etag=etag, timeout=timeout
        ).set

    def delete(self, key: str, *, etag: str | None = None, timeout: float | None = None) -> bool:
        """Deletes a key, or only the version `etag` of it; returns whether this call did."""
        return self._service.delete_key(self.store_name, key, etag=etag, timeout=timeout)

    def has(self, key: str, *, timeout: float | None = None) -> bool:
        """Whether a key is there."""
        return self._service.has_key(self.store_name, key, timeout=timeout)

    def clear(self, *, timeout: float | None = None) -> int:
        """Deletes the store with all its keys; returns how many live documents these were.

        Not atomic.
        """
        return self._service.delete_store(self.store_name, timeout=timeout)

    def clear_cache(self, *, timeout: float | None = None) -> int:
        """Deletes what has policy ``"evict"`` or an expiry; returns how many documents these were.

        Not atomic.
        """
        return self._service.clear_cache(self.store_name, timeout=timeout)

    def update_ttl(self, key: str, new_ttl: Ttl, *, timeout: float | None = None) -> KeyDocument:
        """Lets a key expire that many seconds from now.

        Raises KeyNotFoundError if it is not there.
        """
        return self._service.update_ttl(self.store_name, key, new_ttl, timeout=timeout)

    def update_policy(
        self, key: str, policy: Policy, *, timeout: float | None = None
    ) -> KeyDocument:
        """Changes a key's policy; ``"persist"`` takes its expiry away.

        Raises KeyNotFoundError if it is not there.
        """
        return self._service.update_policy(self.store_name, key, policy, timeout=timeout)

    def get_metadata(self, key: str, *, timeout: float | None = None) -> dict[str, Any] | None:
        """The times of a key, as ``created_at``, ``updated_at`` and ``expires_at``.

        None if it is not there.
        """
        document = self._service.get_key(self.store_name, key, encoding="none", timeout=timeout)
        return None if document is None else times_of(document)

    def list_keys(self, *, prefix: str = "", timeout: float | None = None) -> list[str]:
        """Lists the keys that start with `prefix`, in byte order of UTF-8."""
        return self._service.list_keys(self.store_name, prefix=prefix, timeout=timeout)

    def iter_keys(
        self, *, prefix: str = "", page_size: int = 0, timeout: float | None = None
    ) -> Iterator[str]:
        """As :meth:`list_keys`, fetched page by page while it is read."""
        return self._service.iter_keys(
            self.store_name, prefix=prefix, page_size=page_size, timeout=timeout
        )

    def list_values(self, *, prefix: str = "", timeout: float | None = None) -> list[KeyDocument]:
        """Lists the documents of the keys that start with `prefix`, as :meth:`list_keys`."""
        return self._service.list_values(self.store_name, prefix=prefix, timeout=timeout)

    def iter_values(
        self, *, prefix: str = "", page_size: int = 0, timeout: float | None = None
    ) -> Iterator[KeyDocument]:
        """As :meth:`list_values`, fetched page by page while it is read."""
        return self._service.iter_values(
            self.store_name, prefix=prefix, page_size=page_size, timeout=timeout
        )

    def count(self, *, prefix: str = "", timeout: float | None = None) -> int:
        """Counts the keys that start with `prefix`."""
        return self._service.count_keys(self.store_name, prefix=prefix, timeout=timeout)

    def get_many(self, keys: Iterable[str], *, timeout: float | None = None) -> dict[str, Any]:
        """Reads many values, by key; keys that are not there are left out.

        Together they are no snapshot.
        """
        documents = self._service.batch_get_keys(self.store_name, keys, timeout=timeout)
        return {key: document.value for key, document in documents.items()}

    def set_many(
        self,
        entries: Mapping[str, Any] | Iterable[tuple[str, Any]],
        ttl: Ttl | None = None,
        policy: Policy | None = None,
        *,
        timeout: float | None = None,
    ) -> list[KeyDocument]:
        """Sets many keys with one ttl and policy. Not atomic.

        Args:
            entries: a mapping of keys to values, or pairs of them
            ttl: seconds, or a timedelta; None for no expiry
            policy: ``"persist"`` or ``"evict"``; None for the store's default
            timeout: seconds for each of the requests that it takes

        Returns:
            the new documents, in the order of the entries
        """
        policy = self.default_policy if policy is None else policy
        listed = set_entries(entries, ttl, policy)
        return self._service.batch_set_keys(self.store_name, listed, timeout=timeout)

    def delete_many(self, keys: Iterable[str], *, timeout: float | None = None) -> int:
        """Deletes many keys; returns how many were live. Not atomic."""
        return self._service.batch_delete_keys(self.store_name, keys, timeout=timeout)

    def close(self) -> None:
        """Ends subscriptions, and closes the connection unless it is a given service's.

        Closing twice is no error.
        """
        self._unsubscribe_all()
        if self._owns_service:
            self._service.close()

    def __enter__(self) -> ExecutionStore:
        """Returns the store."""
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Closes the store."""
        self.close()


def check_default_policy(policy: Policy) -> KeyPolicy:
    """The policy where a setting call names none.

    Raises:
        InvalidArgumentError: ``POLICY_INVALID``
    """
    if policy is None or policy_field(policy, "default_policy") == 0:
        raise invalid_field("POLICY_INVALID", "default_policy", "is missing; expected a policy")
    return KeyPolicy(policy)


def times_of(document: KeyDocument) -> dict[str, Any]:
    """The metadata of a key, as FiftyOne's stores give it."""
    return {name: getattr(document, name) for name in ("created_at", "updated_at", "expires_at")}


def set_entries(
    entries: Mapping[str, Any] | Iterable[tuple[str, Any]],
    ttl: Ttl | None,
    policy: Policy,
) -> list[SetEntry]:
    """The entries of a batch with one ttl and policy.

    Raises:
        InvalidArgumentError: ``CLIENT_OPTION_INVALID``
    """
    pairs = entries.items() if isinstance(entries, Mapping) else entries
    try:
        listed = list(check_iterable(pairs, "entries", "pairs of key and value"))
        for index, pair in enumerate(listed):
            # Not everything that holds two items: a str of two letters, or a set, is no such pair.
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:  # noqa: PLR2004
                raise invalid_field(
                    "CLIENT_OPTION_INVALID",
                    f"entries[{index}]",
                    "is no pair; expected a mapping, or tuples of key and value",
                )
    except StoreError as error:
        error.outcome = "NOT_APPLIED"
        raise
    return [SetEntry(key, value, ttl, policy) for key, value in listed]
