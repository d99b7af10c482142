"""The methods of the synchronous service that are about one key."""

from __future__ import annotations

from typing import Any

from .calls import MISSING, read, set_result, written
from .documents import KeyDocument, KeyPolicy, SetResult
from .errors import KeyNotFoundError
from .fields import Policy, Ttl
from .service_base import ServiceBase
from .v1 import execution_store_pb2 as pb


class KeyMethods(ServiceBase):
    """Setting, reading and deleting single keys."""

    def set_key(
        self,
        store_name: str,
        key: str,
        value: Any,
        ttl: Ttl | None = None,
        policy: Policy = KeyPolicy.PERSIST,
        *,
        timeout: float | None = None,
    ) -> KeyDocument:
        """Sets a key, replacing value, policy and expiry together, or creates it.

        Args:
            store_name: 1 to 255 bytes of UTF-8; the store need not exist before
            key: 1 to 1,024 bytes of UTF-8, not ``__store__``
            value: what is to be stored, at most 15 MiB as BSON
            ttl: seconds, or a timedelta, until the key expires: greater than 0, at most 100 years,
                rounded up to a millisecond; None for no expiry. It makes the policy ``"evict"``.
            policy: ``"persist"``, or ``"evict"`` for a key that ``clear_cache`` may remove
            timeout: seconds for the call with its repetitions; None for the service's

        Returns:
            the new document, with the value that was given

        Raises:
            StoreError: with the `outcome` of the write
        """
        request = self._calls.set_key(pb.SetKeyRequest, store_name, key, value, ttl, policy)
        return written(self._call("SetKey", request, timeout), value)

    def set_cache_key(
        self,
        store_name: str,
        key: str,
        value: Any,
        ttl: Ttl | None = None,
        *,
        timeout: float | None = None,
    ) -> KeyDocument:
        """Sets a key with policy ``"evict"``, which ``clear_cache`` or its ttl, if any, may remove.

        Args:
            store_name: as in :meth:`set_key`
            key: as in :meth:`set_key`
            value: as in :meth:`set_key`
            ttl: as in :meth:`set_key`
            timeout: seconds for the call; None for the service's

        Returns:
            the new document, with the value that was given

        Raises:
            StoreError: with the `outcome` of the write
        """
        request = self._calls.set_key(pb.SetCacheKeyRequest, store_name, key, value, ttl, None)
        return written(self._call("SetCacheKey", request, timeout), value)

    def set_key_if_absent(
        self,
        store_name: str,
        key: str,
        value: Any,
        ttl: Ttl | None = None,
        policy: Policy = KeyPolicy.PERSIST,
        *,
        timeout: float | None = None,
    ) -> SetResult:
        """Sets a key only if no live document has it: of any number of concurrent callers one wins.

        The primitive for locks and claims. It is not repeated if its outcome is unknown: it then
        raises, and reading the key tells.

        Args:
            store_name: as in :meth:`set_key`
            key: as in :meth:`set_key`
            value: as in :meth:`set_key`
            ttl: as in :meth:`set_key`
            policy: as in :meth:`set_key`
            timeout: seconds for the call; None for the service's

        Returns:
            a result that is true if this call created the key, with the live document

        Raises:
            StoreError: with the `outcome` of the write
        """
        request = self._calls.set_key(pb.SetKeyIfAbsentRequest, store_name, key, value, ttl, policy)
        return set_result(self._call("SetKeyIfAbsent", request, timeout), value)

    def compare_and_set_key(
        self,
        store_name: str,
        key: str,
        expected: Any = MISSING,
        value: Any = MISSING,
        ttl: Ttl | None = None,
        policy: Policy | None = None,
        *,
        etag: str | None = None,
        timeout: float | None = None,
    ) -> SetResult:
        """Sets a key only if its value, or its version, is the expected one, in one atomic step.

        Numbers are equal by their exact value whatever their type, bools never equal numbers, and
        the order of a dict's keys does not matter. It is not repeated if its outcome is unknown.

        Args:
            store_name: as in :meth:`set_key`
            key: as in :meth:`set_key`
            expected: the value that must be there
            value: the value to set; with `expected` at most 15 MiB
            ttl: as in :meth:`set_key`; None leaves the expiry as it is, unless `policy` says
                otherwise
            policy: None leaves policy and expiry as they are, ``"persist"`` removes the expiry,
                ``"evict"`` keeps it
            etag: the version that must be there; in place of `expected`
            timeout: seconds for the call; None for the service's

        Returns:
            a result that is true if this call wrote; its document is None if there is no such key

        Raises:
            StoreError: with the `outcome` of the write
        """
        request = self._calls.compare_and_set_key(
            store_name, key, expected, value, ttl, policy, etag
        )
        return set_result(self._call("CompareAndSetKey", request, timeout), value)

    def get_key(
        self,
        store_name: str,
        key: str,
        *,
        encoding: str = "auto",
        timeout: float | None = None,
    ) -> KeyDocument | None:
        """Reads a key.

        Args:
            store_name: the name of the store
            key: the key
            encoding: ``"raw"`` for a RawValue, ``"none"`` to leave the value out, ``"bson"`` or
                ``"json"`` for this way of travelling, ``"auto"`` for the service's
            timeout: seconds for the call; None for the service's

        Returns:
            the document, or None if the key is not there

        Raises:
            StoreError: if it cannot be read
        """
        reader = self._calls.reader(encoding)
        request = self._calls.get_key(store_name, key, reader.wire)
        try:
            if timeout is not None:
                return read(self._call("GetKey", request, timeout), reader)
            answer = self._connection.get_key(request)
            return None if answer is None else read(answer, reader)
        except KeyNotFoundError:
            return None

    def has_key(self, store_name: str, key: str, *, timeout: float | None = None) -> bool:
        """Whether a key is there.

        Args:
            store_name: the name of the store
            key: the key
            timeout: seconds for the call; None for the service's

        Raises:
            StoreError: if it cannot be said
        """
        request = self._calls.has_key(store_name, key)
        return bool(self._call("HasKey", request, timeout).exists)

    def delete_key(
        self,
        store_name: str,
        key: str,
        *,
        etag: str | None = None,
        timeout: float | None = None,
    ) -> bool:
        """Deletes a key, or only one version of it.

        Args:
            store_name: the name of the store
            key: the key
            etag: delete only this version; None for any. An empty one is refused, lest a missing
                version become any.
            timeout: seconds for the call; None for the service's

        Returns:
            whether this call deleted it

        Raises:
            StoreError: with the `outcome` of the deletion
        """
        request = self._calls.delete_key(store_name, key, etag)
        return bool(self._call("DeleteKey", request, timeout).deleted)

    def update_ttl(
        self, store_name: str, key: str, new_ttl: Ttl, *, timeout: float | None = None
    ) -> KeyDocument:
        """Lets a key expire some time from now; its policy becomes ``"evict"``.

        Args:
            store_name: the name of the store
            key: the key
            new_ttl: seconds, or a timedelta: greater than 0, at most 100 years
            timeout: seconds for the call; None for the service's

        Returns:
            the changed document, without its value

        Raises:
            KeyNotFoundError: if the key is not there
            StoreError: with the `outcome` of the write
        """
        request = self._calls.update_ttl(store_name, key, new_ttl)
        return written(self._call("UpdateTtl", request, timeout), None)

    def update_policy(
        self, store_name: str, key: str, policy: Policy, *, timeout: float | None = None
    ) -> KeyDocument:
        """Changes a key's policy.

        Args:
            store_name: the name of the store
            key: the key
            policy: ``"persist"``, which takes the key's expiry away, or ``"evict"``, which leaves
                it
            timeout: seconds for the call; None for the service's

        Returns:
            the changed document, without its value

        Raises:
            KeyNotFoundError: if the key is not there
            StoreError: with the `outcome` of the write
        """
        request = self._calls.update_policy(store_name, key, policy)
        return written(self._call("UpdatePolicy", request, timeout), None)
