"""Calls that take several requests, as generators.

A plan yields the name of a method and a request, is sent the answer, and returns the result.
Whoever drives it does the input and output: see ``_run`` of both clients' services.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import Any, Callable, TypeVar, Union

from .calls import Calls
from .documents import KeyDocument, SetEntry, key_document, key_document_with
from .errors import StoreError, broken_answer, invalid_field
from .fields import (
    build,
    check_iterable,
    check_key,
    check_name,
    policy_field,
    text_fault,
    ttl_field,
)
from .limits import MAX_BATCH_KEYS, MAX_KEY_BYTES, MAX_REQUEST_BYTES
from .v1 import execution_store_pb2 as pb
from .values import Reader

T = TypeVar("T")
Plan = Generator[tuple[str, Any], Any, T]
Entries = Union[Mapping[str, Any], Iterable[SetEntry]]

# What is left for entries, with room for the names of collection and store.
_MAX_ENTRY_BYTES = MAX_REQUEST_BYTES - 64 * 1024
# What the keys of a batch to find may take: other writers may have made longer ones than a batch of
# them could be.
_MAX_KEYS_BYTES = MAX_BATCH_KEYS * MAX_KEY_BYTES


def batch_get(
    calls: Calls, store_name: str, keys: Iterable[str], reader: Reader
) -> Plan[dict[str, KeyDocument]]:
    """Reads distinct keys with as many requests as it takes, in the order of first mention."""
    check_name(store_name, writes=False)
    waiting = _distinct(keys)
    documents: dict[str, KeyDocument] = {}
    if not _fit_one_request(waiting):
        # What one request takes, protobuf checks.
        _check_texts(waiting)
    while waiting:
        asked = waiting
        if not _fit_one_request(asked):
            asked = next(_split(waiting[:MAX_BATCH_KEYS], _MAX_KEYS_BYTES, _key_bytes))
        answer = yield (
            "BatchGetKeys",
            build(
                pb.BatchGetKeysRequest,
                dataset_id=calls.dataset_id,
                collection_name=calls.collection_name,
                store_name=store_name,
                keys=asked,
                encoding=reader.wire,
            ),
        )
        for message in answer.documents:
            documents[message.key] = key_document(message, reader.get)
        unprocessed = list(answer.unprocessed_keys)
        if len(unprocessed) >= len(asked):
            raise broken_answer("leaves every key of a batch unprocessed")
        waiting = unprocessed + waiting[len(asked) :]
    return documents


def batch_set(calls: Calls, store_name: str, entries: Entries) -> Plan[list[KeyDocument]]:
    """Sets keys with as many requests as it takes.

    All entries are checked before the first is sent.
    """
    try:
        check_name(store_name, writes=True)
        listed = _entries(entries)
        encoded = _encode_entries(calls, listed)
    except StoreError as error:
        error.outcome = "NOT_APPLIED"
        raise
    documents: list[KeyDocument] = []
    for part in _split(encoded, _MAX_ENTRY_BYTES, _message_bytes):
        request = pb.BatchSetKeysRequest(
            dataset_id=calls.dataset_id,
            collection_name=calls.collection_name,
            store_name=store_name,
            entries=part,
        )
        try:
            answer = yield "BatchSetKeys", request
        except StoreError as error:
            raise _in_part(error, len(documents), len(encoded)) from error.__cause__
        if len(answer.results) != len(part):
            raise broken_answer("to a batch is not as long as the batch", writes=True)
        for result in answer.results:
            entry = listed[len(documents)]
            documents.append(key_document_with(result.document, entry.value))
    return documents


def batch_delete(calls: Calls, store_name: str, keys: Iterable[str]) -> Plan[int]:
    """Deletes keys with as many requests as it takes, and returns how many were live."""
    try:
        check_name(store_name, writes=False)
        distinct = _distinct(keys)
        for index, key in enumerate(distinct):
            check_key(key, f"keys[{index}]", writes=False)
    except StoreError as error:
        error.outcome = "NOT_APPLIED"
        raise
    deleted = done = 0
    for part in _split(distinct, _MAX_KEYS_BYTES, _key_bytes):
        request = build(
            pb.BatchDeleteKeysRequest,
            dataset_id=calls.dataset_id,
            collection_name=calls.collection_name,
            store_name=store_name,
            keys=part,
        )
        try:
            answer = yield "BatchDeleteKeys", request
        except StoreError as error:
            raise _in_part(error, done, len(distinct)) from error.__cause__
        deleted += answer.deleted_count
        done += len(part)
    return deleted


def _distinct(keys: Iterable[str]) -> list[str]:
    listed = list(check_iterable(keys, "keys", "keys"))
    if any(type(key) is not str for key in listed):
        _check_texts(listed)
    return list(dict.fromkeys(listed))


def _fit_one_request(keys: list[str]) -> bool:
    # A character takes at most four bytes.
    return len(keys) <= MAX_BATCH_KEYS and 4 * sum(map(len, keys)) <= _MAX_KEYS_BYTES


def _check_texts(keys: list[str]) -> None:
    for index, key in enumerate(keys):
        fault = text_fault(key, "KEY_INVALID", f"keys[{index}]")
        if fault is not None:
            raise fault


def _entries(entries: Entries) -> list[SetEntry]:
    if isinstance(entries, Mapping):
        return [SetEntry(key, value) for key, value in entries.items()]
    listed = list(check_iterable(entries, "entries", "SetEntry objects"))
    for index, entry in enumerate(listed):
        if not isinstance(entry, SetEntry):
            raise invalid_field(
                "CLIENT_OPTION_INVALID",
                f"entries[{index}]",
                "is no SetEntry; expected SetEntry objects, or one mapping of keys to values",
            )
    return listed


def _encode_entries(calls: Calls, entries: list[SetEntry]) -> list[Any]:
    seen: set[str] = set()
    encoded = []
    for index, entry in enumerate(entries):
        field = f"entries[{index}]"
        key = check_key(entry.key, f"{field}.key", writes=True)
        if key in seen:
            raise invalid_field(
                "KEY_REPEATED", f"{field}.key", "is in the batch before; name each key once"
            )
        seen.add(key)
        message = pb.BatchSetKeysRequest.Entry(
            key=key,
            ttl=ttl_field(entry.ttl, f"{field}.ttl"),
            policy=policy_field(entry.policy, f"{field}.policy"),  # type: ignore[arg-type]
        )
        calls.codec.put(message, entry.value, f"{field}.value")
        encoded.append(message)
    return encoded


def _split(items: list[T], max_bytes: int, bytes_of: Callable[[T], int]) -> Iterator[list[T]]:
    """Parts of at most a batch of items and of so many bytes, unless a single item has more."""
    part: list[T] = []
    total = 0
    for item in items:
        size = bytes_of(item)
        if part and (len(part) == MAX_BATCH_KEYS or total + size > max_bytes):
            yield part
            part, total = [], 0
        part.append(item)
        total += size
    if part:
        yield part


def _key_bytes(key: str) -> int:
    return len(key.encode())


def _message_bytes(message: Any) -> int:
    # With its tag and its length.
    return int(message.ByteSize()) + 8


def _in_part(error: StoreError, done: int, total: int) -> StoreError:
    """An error after the first part says what is written, and that the outcome is open."""
    if done > 0:
        error.outcome = "UNKNOWN"
        error.args = (f"{error.message} (the first {done} of {total} are done)",)
    return error
