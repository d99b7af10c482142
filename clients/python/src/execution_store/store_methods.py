"""The methods of the synchronous service that are about stores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .calls import present
from .documents import GlobalDeletion, KeyPolicy, StoreDocument, store_document
from .errors import StoreNotFoundError
from .fields import Policy
from .json_values import from_struct
from .service_base import ServiceBase
from .v1 import execution_store_pb2 as pb


class StoreMethods(ServiceBase):
    """Stores of the context, and of all contexts."""

    def create_store(
        self,
        store_name: str,
        metadata: Mapping[str, Any] | None = None,
        policy: Policy = KeyPolicy.PERSIST,
        *,
        timeout: float | None = None,
    ) -> StoreDocument:
        """Gives a store its own document. A store needs none to hold keys.

        Args:
            store_name: 1 to 255 bytes of UTF-8
            metadata: free data about the store, at most 1 MiB as BSON and 30 levels deep; it
                travels as JSON
            policy: ``"persist"``, or ``"evict"`` for a document that ``clear_cache`` may remove
            timeout: seconds for the call; None for the service's

        Returns:
            the new document

        Raises:
            AlreadyExistsError: if the store has a document
            StoreError: with the `outcome` of the write; it is not repeated if that is unknown
        """
        request = self._calls.create_store(store_name, metadata, policy)
        answer = self._call("CreateStore", request, timeout)
        return store_document(present(answer, "store", writes=True), from_struct)

    def get_store(self, store_name: str, *, timeout: float | None = None) -> StoreDocument | None:
        """Reads a store's document.

        Args:
            store_name: the name of the store
            timeout: seconds for the call; None for the service's

        Returns:
            the document, or None if the store does not exist

        Raises:
            StoreError: if it cannot be read
        """
        request = self._calls.store(pb.GetStoreRequest, store_name)
        try:
            answer = self._call("GetStore", request, timeout)
        except StoreNotFoundError:
            return None
        return store_document(present(answer, "store"), from_struct)

    def has_store(self, store_name: str, *, timeout: float | None = None) -> bool:
        """Whether a store exists: whether it has its own document or a key.

        Args:
            store_name: the name of the store
            timeout: seconds for the call; None for the service's

        Raises:
            StoreError: if it cannot be said
        """
        request = self._calls.store(pb.HasStoreRequest, store_name)
        return bool(self._call("HasStore", request, timeout).exists)

    def list_stores(self, *, prefix: str = "", timeout: float | None = None) -> list[str]:
        """Lists the names of the context's stores, in byte order of UTF-8.

        Args:
            prefix: only names that start with it
            timeout: seconds for each of the requests that it takes; None for the service's

        Raises:
            StoreError: if they cannot be listed
        """
        return list(self.iter_stores(prefix=prefix, timeout=timeout))

    def iter_stores(
        self, *, prefix: str = "", page_size: int = 0, timeout: float | None = None
    ) -> Iterator[str]:
        """As :meth:`list_stores`, fetched page by page while it is read.

        Args:
            prefix: only names that start with it
            page_size: the most names of one request, 1 to 10,000; 0 for 1,000
            timeout: seconds for each request; None for the service's

        Raises:
            StoreError: if they cannot be listed
        """
        request = self._calls.context(pb.ListStoresRequest)
        for page in self._pages("ListStores", request, prefix, page_size, timeout):
            yield from page.store_names

    def count_stores(self, *, timeout: float | None = None) -> int:
        """Counts the context's stores.

        Args:
            timeout: seconds for the call; None for the service's

        Raises:
            StoreError: if they cannot be counted
        """
        request = self._calls.context(pb.CountStoresRequest)
        return int(self._call("CountStores", request, timeout).count)

    def delete_store(self, store_name: str, *, timeout: float | None = None) -> int:
        """Deletes a store with all its keys.

        Not atomic: an error may leave a part, and repeating is safe.

        Args:
            store_name: the name of the store; one that does not exist is no error
            timeout: seconds for the call; None for the service's

        Returns:
            how many live documents were deleted

        Raises:
            StoreError: with the `outcome` of the deletion
        """
        request = self._calls.store_to_write(pb.DeleteStoreRequest, store_name)
        return int(self._call("DeleteStore", request, timeout).deleted_count)

    def clear_cache(self, store_name: str | None = None, *, timeout: float | None = None) -> int:
        """Deletes what has policy ``"evict"`` or an expiry. Not atomic, as :meth:`delete_store`.

        Args:
            store_name: the name of a store; None for all stores of the context
            timeout: seconds for the call; None for the service's

        Returns:
            how many live documents were deleted

        Raises:
            StoreError: with the `outcome` of the deletion
        """
        request = self._calls.clear_cache(store_name)
        return int(self._call("ClearCache", request, timeout).deleted_count)

    def cleanup(self, *, timeout: float | None = None) -> int:
        """Deletes every store of the context. Not atomic, as :meth:`delete_store`.

        Args:
            timeout: seconds for the call; None for the service's

        Returns:
            how many live documents were deleted

        Raises:
            StoreError: with the `outcome` of the deletion
        """
        request = self._calls.context(pb.CleanupRequest)
        return int(self._call("Cleanup", request, timeout).deleted_count)

    def has_store_global(self, store_name: str, *, timeout: float | None = None) -> bool:
        """Whether a store of this name exists in any context.

        Args:
            store_name: the name of the store
            timeout: seconds for the call; None for the service's

        Raises:
            StoreError: if it cannot be said
        """
        request = self._calls.store_global(pb.HasStoreGlobalRequest, store_name)
        return bool(self._call("HasStoreGlobal", request, timeout).exists)

    def list_stores_global(
        self, *, prefix: str = "", timeout: float | None = None
    ) -> list[StoreDocument]:
        """Lists the stores of all contexts, by dataset id (none first), then by name; no metadata.

        Args:
            prefix: only stores whose name starts with it
            timeout: seconds for each of the requests that it takes; None for the service's

        Raises:
            StoreError: if they cannot be listed
        """
        return list(self.iter_stores_global(prefix=prefix, timeout=timeout))

    def iter_stores_global(
        self, *, prefix: str = "", page_size: int = 0, timeout: float | None = None
    ) -> Iterator[StoreDocument]:
        """As :meth:`list_stores_global`, fetched page by page while it is read.

        Args:
            prefix: only stores whose name starts with it
            page_size: the most stores of one request, 1 to 10,000; 0 for 1,000
            timeout: seconds for each request; None for the service's

        Raises:
            StoreError: if they cannot be listed
        """
        request = self._calls.context_global(pb.ListStoresGlobalRequest)
        for page in self._pages("ListStoresGlobal", request, prefix, page_size, timeout):
            for message in page.stores:
                yield store_document(message, from_struct)

    def count_stores_global(self, *, timeout: float | None = None) -> int:
        """Counts the stores of all contexts: one per store and context.

        Args:
            timeout: seconds for the call; None for the service's

        Raises:
            StoreError: if they cannot be counted
        """
        request = self._calls.context_global(pb.CountStoresGlobalRequest)
        return int(self._call("CountStoresGlobal", request, timeout).count)

    def delete_store_global(
        self, store_name: str, *, timeout: float | None = None
    ) -> GlobalDeletion:
        """Deletes the stores of a name in all contexts. Not atomic, as :meth:`delete_store`.

        Args:
            store_name: the name of the stores
            timeout: seconds for the call; None for the service's

        Returns:
            how many stores and how many live documents were deleted

        Raises:
            StoreError: with the `outcome` of the deletion
        """
        request = self._calls.delete_store_global(store_name)
        answer = self._call("DeleteStoreGlobal", request, timeout)
        return GlobalDeletion(answer.deleted_store_count, answer.deleted_count)
