"""The methods of the asyncio service that are about many keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from ..documents import KeyDocument, key_document
from ..plans import Entries, batch_delete, batch_get, batch_set
from ..v1 import execution_store_pb2 as pb
from .service_base import ServiceBase


class ListMethods(ServiceBase):
    """Lists and batches of keys."""

    async def list_keys(
        self, store_name: str, *, prefix: str = "", timeout: float | None = None
    ) -> list[str]:
        """Lists the keys of a store, in byte order of UTF-8.

        Args:
            store_name: the name of the store
            prefix: only keys that start with it
            timeout: seconds for each of the requests that it takes; None for the service's

        Raises:
            StoreError: if they cannot be listed
        """
        return [item async for item in self.iter_keys(store_name, prefix=prefix, timeout=timeout)]

    async def iter_keys(
        self,
        store_name: str,
        *,
        prefix: str = "",
        page_size: int = 0,
        timeout: float | None = None,
    ) -> AsyncIterator[str]:
        """As :meth:`list_keys`, fetched page by page while it is read.

        What is there throughout the reading comes exactly once; what comes or goes meanwhile may be
        in it or not.

        Args:
            store_name: the name of the store
            prefix: only keys that start with it
            page_size: the most keys of one request, 1 to 10,000; 0 for 1,000. A matter of memory
                and speed only.
            timeout: seconds for each request; None for the service's

        Raises:
            StoreError: if they cannot be listed
        """
        request = self._calls.store(pb.ListKeysRequest, store_name)
        async for page in self._pages("ListKeys", request, prefix, page_size, timeout):
            for item in page.keys:
                yield item

    async def list_values(
        self,
        store_name: str,
        *,
        prefix: str = "",
        encoding: str = "auto",
        timeout: float | None = None,
    ) -> list[KeyDocument]:
        """Lists the documents of a store, ordered as :meth:`list_keys`.

        Args:
            store_name: the name of the store
            prefix: only keys that start with it
            encoding: the form of the values, as in ``get_key``
            timeout: seconds for each of the requests that it takes; None for the service's

        Raises:
            StoreError: if they cannot be listed
        """
        return [
            item
            async for item in self.iter_values(
                store_name, prefix=prefix, encoding=encoding, timeout=timeout
            )
        ]

    async def iter_values(
        self,
        store_name: str,
        *,
        prefix: str = "",
        encoding: str = "auto",
        page_size: int = 0,
        timeout: float | None = None,
    ) -> AsyncIterator[KeyDocument]:
        """As :meth:`list_values`, fetched page by page while it is read; see :meth:`iter_keys`.

        Args:
            store_name: the name of the store
            prefix: only keys that start with it
            encoding: the form of the values, as in ``get_key``
            page_size: the most documents of one request, 1 to 10,000; 0 for 1,000
            timeout: seconds for each request; None for the service's

        Raises:
            StoreError: if they cannot be listed
        """
        reader = self._calls.reader(encoding)
        request = self._calls.store(pb.ListValuesRequest, store_name)
        request.encoding = reader.wire
        async for page in self._pages("ListValues", request, prefix, page_size, timeout):
            for message in page.documents:
                yield key_document(message, reader.get)

    async def count_keys(
        self, store_name: str, *, prefix: str = "", timeout: float | None = None
    ) -> int:
        """Counts the keys of a store.

        Args:
            store_name: the name of the store
            prefix: only keys that start with it
            timeout: seconds for the call; None for the service's

        Raises:
            StoreError: if they cannot be counted
        """
        request = self._calls.count_keys(store_name, prefix)
        return int((await self._call("CountKeys", request, timeout)).count)

    async def batch_get_keys(
        self,
        store_name: str,
        keys: Iterable[str],
        *,
        encoding: str = "auto",
        timeout: float | None = None,
    ) -> dict[str, KeyDocument]:
        """Reads many keys of a store, in as many requests as it takes; they are no snapshot.

        Args:
            store_name: the name of the store
            keys: any number of keys; one that is named twice is answered once
            encoding: the form of the values, as in ``get_key``
            timeout: seconds for each request; None for the service's

        Returns:
            the documents of the keys that are there, by key, in the order of first mention

        Raises:
            StoreError: if they cannot be read
        """
        reader = self._calls.reader(encoding)
        return await self._run(batch_get(self._calls, store_name, keys, reader), timeout)

    async def batch_set_keys(
        self, store_name: str, entries: Entries, *, timeout: float | None = None
    ) -> list[KeyDocument]:
        """Sets many keys of a store, each as ``set_key`` does.

        Not atomic: over 1,000 entries or 16 MiB it takes several requests, and an error may leave a
        part of the keys written. A bad entry, or a key that is named twice, fails the call before
        anything is written.

        Args:
            store_name: the name of the store
            entries: a mapping of keys to values, or SetEntry objects
            timeout: seconds for each request; None for the service's

        Returns:
            the new documents, in the order of the entries, with the values that were given

        Raises:
            StoreError: with the `outcome` of the writes
        """
        return await self._run(batch_set(self._calls, store_name, entries), timeout)

    async def batch_delete_keys(
        self, store_name: str, keys: Iterable[str], *, timeout: float | None = None
    ) -> int:
        """Deletes many keys of a store. Not atomic, as :meth:`batch_set_keys`.

        Args:
            store_name: the name of the store
            keys: any number of keys; those that are not there are no error
            timeout: seconds for each request; None for the service's

        Returns:
            how many were live

        Raises:
            StoreError: with the `outcome` of the deletions
        """
        return await self._run(batch_delete(self._calls, store_name, keys), timeout)
