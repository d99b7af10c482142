"""Arguments of calls as fields of requests.

What cannot be sent as it is is refused with a sentence.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, TypeVar, Union

from google.protobuf.duration_pb2 import Duration

from .documents import KeyPolicy
from .errors import InvalidArgumentError, invalid_field
from .limits import MAX_KEY_BYTES, MAX_STORE_NAME_BYTES, MAX_TTL_SECONDS, STORE_KEY

Ttl = Union[float, timedelta]
Policy = Union[str, KeyPolicy]
T = TypeVar("T")

_DATASET_ID = re.compile(r"[0-9a-fA-F]{24}\Z")
_POLICIES = {KeyPolicy.PERSIST.value: 1, KeyPolicy.EVICT.value: 2}
_REASONS = {
    "store_name": "STORE_NAME_INVALID",
    "key": "KEY_INVALID",
    "prefix": "PREFIX_INVALID",
    "etag": "ETAG_EMPTY",
    "page_token": "PAGE_TOKEN_INVALID",
}
_MICROS = 1_000_000


def build(cls: type[T], **values: Any) -> T:
    """Makes a request; what protobuf refuses is explained."""
    try:
        if bytes in map(type, values.values()):
            # Protobuf would take UTF-8 of them for text, which a str never equals.
            raise TypeError
        return cls(**values)
    except (TypeError, ValueError):
        fault = _explain(values)
        if fault is None:
            raise
        raise fault from None


def _explain(values: dict[str, Any]) -> InvalidArgumentError | None:
    for name, value in values.items():
        if name in _REASONS:
            fault = text_fault(value, _REASONS[name], name)
        elif name == "keys":
            faults = (
                text_fault(key, "KEY_INVALID", f"keys[{index}]") for index, key in enumerate(value)
            )
            fault = next((fault for fault in faults if fault is not None), None)
        elif name == "page_size":
            fault = invalid_field(
                "PAGE_SIZE_INVALID",
                "page_size",
                "is not a whole number; expected 1 to 10,000, or leave it out for 1,000",
            )
        else:
            fault = None
        if fault is not None:
            return fault
    return None


def text_fault(value: object, reason: str, field: str) -> InvalidArgumentError | None:
    """What is wrong with a text that has to arrive as it is.

    The other rules are the server's to check.
    """
    if not isinstance(value, str):
        return invalid_field(
            reason, field, f"is of type {type(value).__name__}; expected a str, so convert it"
        )
    try:
        value.encode()
    except UnicodeEncodeError:
        return invalid_field(
            reason,
            field,
            "holds half of a surrogate pair, which UTF-8 has no form for; correct it",
        )
    return None


def dataset_id_field(dataset_id: object | None) -> str:
    """A context: an ObjectId or its 24 hex digits.

    Raises:
        InvalidArgumentError: ``DATASET_ID_INVALID``
    """
    text = "" if dataset_id is None else str(dataset_id)
    if text != "" and not _DATASET_ID.match(text):
        raise invalid_field(
            "DATASET_ID_INVALID",
            "dataset_id",
            "is not an ObjectId; expected 24 hex digits, or leave it out for stores tied to no "
            "dataset",
        )
    return text.lower()


def policy_field(policy: Policy | None, field: str = "policy") -> int:
    """A policy by its number on the wire; None is the unspecified one.

    Raises:
        InvalidArgumentError: ``POLICY_INVALID``
    """
    if policy is None:
        return 0
    number = _POLICIES.get(policy) if isinstance(policy, str) else None
    if number is None:
        raise invalid_field(
            "POLICY_INVALID",
            field,
            'is neither "persist" nor "evict"; expected one of these two',
        )
    return number


def ttl_field(ttl: Ttl | None, field: str = "ttl") -> Duration | None:
    """A time to live.

    Raises:
        InvalidArgumentError: ``TTL_INVALID``, ``TTL_NOT_POSITIVE`` or ``TTL_TOO_LONG``
    """
    if ttl is None:
        return None
    if isinstance(ttl, timedelta):
        micros = ttl // timedelta(microseconds=1)
        positive, too_long = micros > 0, ttl > timedelta(seconds=MAX_TTL_SECONDS)
    elif (
        isinstance(ttl, bool)
        or not isinstance(ttl, (int, float))
        or (isinstance(ttl, float) and math.isnan(ttl))
    ):
        raise invalid_field(
            "TTL_INVALID",
            field,
            "is neither a number nor a timedelta; expected seconds, such as 0.5 or 3600",
        )
    else:
        positive, too_long = ttl > 0, ttl > MAX_TTL_SECONDS
        # So fine that nothing is lost, so coarse that 1.1 seconds do not become 1.1 and a bit.
        micros = 0 if too_long or not positive else max(1, round(ttl * _MICROS))
    if not positive:
        raise invalid_field(
            "TTL_NOT_POSITIVE", field, "is not greater than 0; expected seconds, or leave it out"
        )
    if too_long:
        raise invalid_field(
            "TTL_TOO_LONG",
            field,
            "is longer than 100 years; leave it out for a key that does not expire",
        )
    return Duration(seconds=micros // _MICROS, nanos=micros % _MICROS * 1000)


def check_name(store_name: object, *, writes: bool) -> str:
    """The store of a batch; an empty batch does not reach the server, which else checks it.

    Raises:
        InvalidArgumentError: ``STORE_NAME_INVALID``
    """
    return _check("STORE_NAME_INVALID", store_name, "store_name", MAX_STORE_NAME_BYTES, writes)


def check_key(key: object, field: str, *, writes: bool) -> str:
    """A key of a batch, all of which are checked before the first part is sent.

    Raises:
        InvalidArgumentError: ``KEY_INVALID`` or ``KEY_RESERVED``
    """
    checked = _check("KEY_INVALID", key, field, MAX_KEY_BYTES, writes)
    if checked == STORE_KEY:
        raise invalid_field(
            "KEY_RESERVED",
            field,
            'is "__store__", which marks store documents; choose another key, or use create_store '
            "and get_store for metadata",
        )
    return checked


def _check(reason: str, value: object, field: str, max_bytes: int, writes: bool) -> str:
    fault = text_fault(value, reason, field)
    if fault is not None:
        raise fault
    text = str(value)
    if text == "":
        raise invalid_field(reason, field, "is empty; expected a name")
    if writes:
        size = len(text.encode())
        if size > max_bytes:
            problem = (
                f"is {size} bytes long; expected 1 to {max_bytes} bytes of UTF-8, so shorten it"
            )
            raise invalid_field(reason, field, problem)
        if "\0" in text:
            raise invalid_field(reason, field, "contains a NUL character; remove it")
    return text


def check_iterable(values: Iterable[T], field: str, what: str) -> Iterable[T]:
    """Refuses a text, whose characters would be taken for the items, and what cannot be iterated.

    Raises:
        InvalidArgumentError: ``CLIENT_OPTION_INVALID``
    """
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise invalid_field(
            "CLIENT_OPTION_INVALID",
            field,
            f"is of type {type(values).__name__}; expected an iterable of {what}",
        )
    return values
