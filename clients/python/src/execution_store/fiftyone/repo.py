"""FiftyOne's repository of execution stores, over gRPC."""

from __future__ import annotations

from functools import partial
from typing import Any, Callable

from bson import ObjectId
from bson.errors import InvalidDocument
from fiftyone.factory.repos.execution_store import ExecutionStoreRepo
from fiftyone.operators.store.models import KeyDocument, KeyPolicy, StoreDocument
from fiftyone.operators.store.notification_service import (
    ChangeStreamNotificationService,
    default_notification_service,
    is_notification_service_disabled,
)
from pymongo.errors import DuplicateKeyError

from ..errors import AlreadyExistsError, KeyNotFoundError
from ..service import ExecutionStoreService
from .conversion import AT_ONCE, Conversion, Ttl, policy_of, ttl_of
from .subscriptions import subscriptions

# FiftyOne names it everywhere; it is whatever the service has as its own.
DEFAULT_COLLECTION = "execution_store"


class GrpcExecutionStoreRepo(ExecutionStoreRepo):  # type: ignore[misc]
    """FiftyOne's execution stores of one context, kept by the service.

    Takes and gives FiftyOne's own types. Errors of the service are
    :class:`execution_store.StoreError`, except that ``create_store`` of a store that has a document
    raises pymongo's ``DuplicateKeyError``, as FiftyOne's own does. May be shared by threads.
    In forked processes, what :class:`execution_store.ExecutionStoreService` says of them counts;
    subscriptions stay with the process that made them.

    Args:
        dataset_id: the dataset whose stores these are; None for stores tied to no dataset
        collection_name: the collection; None for that of the service. The server must allow it
        notification_service: who is asked for subscriptions; None, or FiftyOne's default one, for
            the service itself
        service: the service whose connection is used
        **options: without a ``service``, those of :class:`execution_store.ExecutionStoreService`:
            ``address``, ``timeout``, ``retry``, ``tls``, ``headers``

    Raises:
        ValueError: ``dataset_id`` is no ObjectId, or an option cannot be used
        TypeError: both a service and options for another one are given
    """

    def __init__(
        self,
        dataset_id: ObjectId | None = None,
        collection_name: str | None = None,
        notification_service: ChangeStreamNotificationService | None = None,
        *,
        service: ExecutionStoreService | None = None,
        **options: Any,
    ) -> None:
        """Connects to nothing yet."""
        super().__init__(dataset_id, notification_service)
        # FiftyOne leaves it unset where it is disabled.
        self._notification_service = None
        if not is_notification_service_disabled():
            self._notification_service = notification_service or default_notification_service
        if service is not None and options:
            raise TypeError("options are those of a new connection; give either them or a service")
        base = service or ExecutionStoreService(**options)
        named = collection_name not in (None, DEFAULT_COLLECTION)
        self._service = base.with_context(
            dataset_id, collection_name if named else base.collection_name
        )
        self._conversion = Conversion.of_fiftyone()

    def create_store(
        self,
        store_name: str,
        metadata: dict[str, Any] | None = None,
        policy: str = "persist",
    ) -> StoreDocument:
        """Gives a store its document. Raises DuplicateKeyError if it has one."""
        chosen = KeyPolicy(policy or "persist").value
        try:
            document = self._service.create_store(store_name, metadata, chosen)
        except AlreadyExistsError as error:
            raise DuplicateKeyError(error.message, 11000) from error
        return self._conversion.store_document(document)

    def get_store(self, store_name: str) -> StoreDocument | None:
        """The document of a store; None if there is no such store."""
        document = self._service.get_store(store_name)
        return None if document is None else self._conversion.store_document(document)

    def has_store(self, store_name: str) -> bool:
        """Whether the store has a document or a key."""
        return self._service.has_store(store_name)

    def list_stores(self) -> list[str]:
        """The names of the context's stores, in byte order of UTF-8."""
        return self._service.list_stores()

    def count_stores(self) -> int:
        """The number of the context's stores."""
        return self._service.count_stores()

    def delete_store(self, store_name: str) -> int:
        """Deletes a store, and ends this process's subscriptions to it; how many documents."""
        if self._subscribes_here:
            subscriptions.unsubscribe_all(store_name, self._service)
        elif self._notification_service is not None:
            self._notification_service.unsubscribe_all(store_name)
        return self._service.delete_store(store_name)

    def clear_cache(self, store_name: str | None = None) -> int:
        """Deletes what may be evicted, from one store or from all; how many documents."""
        return self._service.clear_cache(store_name)

    def cleanup(self) -> int:
        """Deletes all stores of the context; how many documents."""
        return self._service.cleanup()

    def set_key(
        self,
        store_name: str,
        key: str,
        value: Any,
        ttl: Ttl = None,
        policy: str = "persist",
    ) -> KeyDocument:
        """Sets value, policy and expiry of a key; a ttl of 0 makes it evictable without expiry."""
        document = self._service.set_key(
            store_name,
            key,
            self._conversion.encode(value),
            ttl=None if ttl == 0 else ttl_of(ttl),
            policy=policy_of(policy, ttl),
        )
        return self._conversion.key_document(document, self._dataset_id, value)

    def set_cache_key(self, store_name: str, key: str, value: Any, ttl: Ttl = None) -> KeyDocument:
        """Sets a key with the policy "evict"."""
        return self.set_key(store_name, key, value, ttl, policy="evict")

    def set_key_if_absent(
        self,
        store_name: str,
        key: str,
        value: Any,
        ttl: Ttl = None,
        policy: str = "persist",
    ) -> bool:
        """Sets a key only if it is not there; whether it did."""
        return self._service.set_key_if_absent(
            store_name,
            key,
            self._conversion.encode(value),
            ttl=ttl_of(ttl),
            policy=policy_of(policy, ttl),
        ).set

    def compare_and_set_key(
        self,
        store_name: str,
        key: str,
        expected: Any,
        value: Any,
        ttl: Ttl = None,
        policy: str | None = None,
    ) -> bool:
        """Sets a key only if its value equals ``expected``, for the service or for Python."""
        compare_and_set = partial(
            self._service.compare_and_set_key,
            store_name,
            key,
            value=self._conversion.encode(value),
            ttl=ttl_of(ttl),
            policy=None if policy is None else policy_of(policy),
        )
        try:
            compared = self._conversion.encode(expected)
        except (InvalidDocument, OverflowError, TypeError, ValueError):
            # What cannot be stored may equal what is, as a set of one's own does.
            compared = None
        if compared is not None:
            result = compare_and_set(compared)
            if result.set or result.document is None:
                return result.set
        current = self._service.get_key(store_name, key, encoding="raw")
        if current is None or self._conversion.decode(current.value) != expected:
            return False
        # As FiftyOne does: what Python takes as equal is written over if it is still exactly this.
        return compare_and_set(current.value).set

    def has_key(self, store_name: str, key: str) -> bool:
        """Whether a key is there."""
        return self._service.has_key(store_name, key)

    def get_key(self, store_name: str, key: str) -> KeyDocument | None:
        """A key with its value; None if it is not there."""
        document = self._service.get_key(store_name, key, encoding="raw")
        if document is None:
            return None
        value = self._conversion.decode(document.value)
        return self._conversion.key_document(document, self._dataset_id, value)

    def update_ttl(self, store_name: str, key: str, ttl: float) -> bool:
        """Lets a key expire ``ttl`` seconds from now; whether there was one."""
        try:
            self._service.update_ttl(store_name, key, max(ttl, AT_ONCE))
        except KeyNotFoundError:
            return False
        return True

    def update_policy(self, store_name: str, key: str, policy: str) -> bool:
        """Changes a key's policy; "persist" takes its expiry away. Whether there was one."""
        try:
            self._service.update_policy(store_name, key, policy)
        except KeyNotFoundError:
            return False
        return True

    def delete_key(self, store_name: str, key: str) -> bool:
        """Deletes a key; whether there was one."""
        return self._service.delete_key(store_name, key)

    def list_keys(self, store_name: str) -> list[str]:
        """The keys of a store, in byte order of UTF-8."""
        return self._service.list_keys(store_name)

    def count_keys(self, store_name: str) -> int:
        """The number of keys in a store."""
        return self._service.count_keys(store_name)

    def has_store_global(self, store_name: str) -> bool:
        """Whether any context has a store of this name."""
        return self._service.has_store_global(store_name)

    def list_stores_global(self) -> list[StoreDocument]:
        """The stores of all contexts: one document per store and context, without metadata."""
        return [
            self._conversion.store_document(each) for each in self._service.list_stores_global()
        ]

    def count_stores_global(self) -> int:
        """The number of stores in all contexts."""
        return self._service.count_stores_global()

    def delete_store_global(self, store_name: str) -> int:
        """Deletes the stores of this name in all contexts; how many documents."""
        return self._service.delete_store_global(store_name).documents

    def subscribe(self, store_name: str, callback: Callable[[Any], None]) -> str:
        """Tells a callback what a store has, then each change; an id for unsubscribe().

        Raises:
            ValueError: notifications are disabled
        """
        if not self._subscribes_here:
            return str(super().subscribe(store_name, callback))
        return subscriptions.subscribe(self._service, store_name, callback)

    def unsubscribe(self, subscription_id: str) -> bool:
        """Ends a subscription of this process, whoever made it; whether there was one.

        Raises:
            ValueError: notifications are disabled
        """
        if not self._subscribes_here:
            return bool(super().unsubscribe(subscription_id))
        return subscriptions.unsubscribe(subscription_id)

    @property
    def _subscribes_here(self) -> bool:
        """Whether the service tells of changes, and not somebody whom the caller chose."""
        return self._notification_service is default_notification_service
