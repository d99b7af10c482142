"""The requests of every method, made from its arguments.

Nothing is sent here: both clients, the synchronous one and that of asyncio, use it.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Callable, TypeVar, cast

from .documents import KeyDocument, SetResult, key_document, key_document_with
from .errors import ResourceExhaustedError, StoreError, broken_answer, invalid_field
from .fields import (
    Policy,
    Ttl,
    build,
    check_name,
    dataset_id_field,
    policy_field,
    text_fault,
    ttl_field,
)
from .json_values import to_struct
from .limits import MAX_VALUE_BYTES
from .v1 import execution_store_pb2 as pb
from .values import Codec, Reader, codec_named, reader_for

F = TypeVar("F", bound=Callable[..., Any])


class _Missing:
    """Stands for an argument that was not given, where None is a value."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Any = _Missing()


def _writing(make: F) -> F:
    """Has errors of a request that writes say that nothing was written."""

    @functools.wraps(make)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return make(*args, **kwargs)
        except StoreError as error:
            error.outcome = "NOT_APPLIED"
            raise

    return cast(F, wrapper)


class Calls:
    """Makes the requests of one context, with values in the form of one codec."""

    def __init__(
        self, dataset_id: object | None, collection_name: str | None, encoding: str
    ) -> None:
        """Checks the context; see :class:`ExecutionStoreService` for the arguments."""
        self.codec: Codec = codec_named(encoding)
        self.dataset_id = dataset_id_field(dataset_id)
        self.collection_name = "" if collection_name is None else collection_name
        fault = text_fault(self.collection_name, "CLIENT_OPTION_INVALID", "collection_name")
        if fault is not None:
            raise fault
        self._plain_reader = Reader(self.codec.wire, self.codec.get)

    def reader(self, encoding: str) -> Reader:
        """How the values of a call are read."""
        return self._plain_reader if encoding == "auto" else reader_for(encoding, self.codec)

    def context(self, cls: Any) -> Any:
        """A request of a method that names no store."""
        return cls(dataset_id=self.dataset_id, collection_name=self.collection_name)

    def store(self, cls: Any, store_name: str) -> Any:
        """A request of a method about a store."""
        return build(
            cls,
            dataset_id=self.dataset_id,
            collection_name=self.collection_name,
            store_name=store_name,
        )

    @_writing
    def store_to_write(self, cls: Any, store_name: str) -> Any:
        """A request of a method that deletes a store."""
        return self.store(cls, store_name)

    @_writing
    def clear_cache(self, store_name: str | None) -> Any:
        """For ``clear_cache``, where an empty name, perhaps a mistake, would mean all stores."""
        name = "" if store_name is None else check_name(store_name, writes=False)
        return self.store(pb.ClearCacheRequest, name)

    @_writing
    def delete_store_global(self, store_name: str) -> Any:
        """For ``delete_store_global``."""
        return self.store_global(pb.DeleteStoreGlobalRequest, store_name)

    def store_global(self, cls: Any, store_name: str) -> Any:
        """A request of a method about the stores of a name in all contexts."""
        return build(cls, collection_name=self.collection_name, store_name=store_name)

    def context_global(self, cls: Any) -> Any:
        """A request of a method about all contexts."""
        return cls(collection_name=self.collection_name)

    @_writing
    def create_store(
        self, store_name: str, metadata: Mapping[str, Any] | None, policy: Policy | None
    ) -> Any:
        """For ``create_store``."""
        request = self.store(pb.CreateStoreRequest, store_name)
        request.policy = policy_field(policy)
        if metadata is not None:
            to_struct(metadata, request.metadata)
        return request

    @_writing
    def set_key(
        self,
        cls: Any,
        store_name: str,
        key: str,
        value: Any,
        ttl: Ttl | None,
        policy: Policy | None,
    ) -> Any:
        """For the methods that set a key."""
        request = build(
            cls,
            dataset_id=self.dataset_id,
            collection_name=self.collection_name,
            store_name=store_name,
            key=key,
        )
        self.codec.put(request, value)
        if ttl is not None:
            request.ttl.CopyFrom(ttl_field(ttl))
        if policy is not None:
            request.policy = policy_field(policy)
        return request

    @_writing
    def compare_and_set_key(
        self,
        store_name: str,
        key: str,
        expected: Any,
        value: Any,
        ttl: Ttl | None,
        policy: Policy | None,
        etag: str | None,
    ) -> Any:
        """For ``compare_and_set_key``."""
        if value is MISSING:
            raise invalid_field("VALUE_MISSING", "value", "is missing; give what is to be set")
        if expected is MISSING and etag is None:
            raise invalid_field(
                "EXPECTED_MISSING", "expected", "and etag are both missing; give one of them"
            )
        if expected is not MISSING and etag is not None:
            raise invalid_field(
                "EXPECTED_AMBIGUOUS", "expected", "and etag are both given; give one of them"
            )
        request = self.set_key(pb.CompareAndSetKeyRequest, store_name, key, value, ttl, policy)
        if etag is None:
            self.codec.put_expected(request, expected)
            size = len(request.expected_bson) + len(request.value_bson)
            if size > MAX_VALUE_BYTES:
                raise ResourceExhaustedError(
                    f"expected and value take {size} bytes together as BSON; expected at most "
                    f"{MAX_VALUE_BYTES}, so "
                    "compare by etag or store less",
                    reason="VALUE_TOO_LARGE",
                )
        else:
            request.MergeFrom(build(pb.CompareAndSetKeyRequest, etag=etag))
        return request

    def get_key(self, store_name: str, key: str, wire: int) -> Any:
        """For ``get_key``; `wire` is the encoding to ask for."""
        return build(
            pb.GetKeyRequest,
            dataset_id=self.dataset_id,
            collection_name=self.collection_name,
            store_name=store_name,
            key=key,
            encoding=wire,
        )

    def has_key(self, store_name: str, key: str) -> Any:
        """For ``has_key``."""
        return self._key(pb.HasKeyRequest, store_name, key)

    def count_keys(self, store_name: str, prefix: str) -> Any:
        """For ``count_keys``."""
        return build(
            pb.CountKeysRequest,
            dataset_id=self.dataset_id,
            collection_name=self.collection_name,
            store_name=store_name,
            prefix=prefix,
        )

    @_writing
    def delete_key(self, store_name: str, key: str, etag: str | None) -> Any:
        """For ``delete_key``."""
        if etag is None:
            return self._key(pb.DeleteKeyRequest, store_name, key)
        return self._key(pb.DeleteKeyRequest, store_name, key, etag=etag)

    @_writing
    def update_ttl(self, store_name: str, key: str, new_ttl: Ttl) -> Any:
        """For ``update_ttl``."""
        return self._key(pb.UpdateTtlRequest, store_name, key, ttl=ttl_field(new_ttl))

    @_writing
    def update_policy(self, store_name: str, key: str, policy: Policy) -> Any:
        """For ``update_policy``."""
        return self._key(pb.UpdatePolicyRequest, store_name, key, policy=policy_field(policy))

    def _key(self, cls: Any, store_name: str, key: str, **more: Any) -> Any:
        return build(
            cls,
            dataset_id=self.dataset_id,
            collection_name=self.collection_name,
            store_name=store_name,
            key=key,
            **more,
        )


def present(answer: Any, field: str = "document", *, writes: bool = False) -> Any:
    """The document that an answer must hold; `writes` if it is that to a write."""
    if not answer.HasField(field):
        raise broken_answer("holds no document", writes=writes)
    return getattr(answer, field)


def written(answer: Any, value: Any) -> KeyDocument:
    """The document of a write, whose answer leaves the value out."""
    return key_document_with(present(answer, writes=True), value)


def set_result(answer: Any, value: Any) -> SetResult:
    """The result of a conditional write."""
    if not answer.HasField("document"):
        return SetResult(False, None)
    return SetResult(answer.set, key_document_with(answer.document, value if answer.set else None))


def read(answer: Any, reader: Reader) -> KeyDocument:
    """The document of a read."""
    return key_document(present(answer), reader.get)
