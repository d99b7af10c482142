"""Values as BSON: exact in every type, and the fastest. Needs the package pymongo."""

from __future__ import annotations

from datetime import timezone
from typing import TYPE_CHECKING, Any

import bson
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions, DatetimeConversion

from .errors import FailedPreconditionError, InvalidArgumentError, broken_answer, invalid_field
from .limits import MAX_INT64, MAX_VALUE_BYTES, MIN_INT64
from .values import (
    WIRE_BSON,
    PathPart,
    RawValue,
    invalid_value,
    path_text,
    text_problem,
    type_problem,
    value_too_large,
)

if TYPE_CHECKING:
    from .v1 import execution_store_pb2 as pb

# Times that a datetime has no room for come as bson's DatetimeMS, lest they make the whole value
# unreadable.
_OPTIONS: CodecOptions[dict[str, Any]] = CodecOptions(
    tz_aware=True,
    tzinfo=timezone.utc,
    uuid_representation=UuidRepresentation.STANDARD,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
)
_MAX_LEVELS = 100


class BsonCodec:
    """Writes and reads ``value_bson``."""

    name = "bson"
    wire = WIRE_BSON

    def put(self, request: Any, value: Any, field: str = "value") -> None:
        """Puts a value into a request."""
        request.value_bson = encode(value, field)

    def put_expected(self, request: Any, value: Any) -> None:
        """Puts the expected value into a request."""
        request.expected_bson = encode(value, "expected")

    def get(self, document: pb.KeyDocument) -> Any:
        """Takes the value out of a document."""
        data = document.value_bson
        try:
            return bson.decode(data, codec_options=_OPTIONS)["value"]
        except Exception as error:
            raise _undecodable(data, error) from error


def encode(value: Any, field: str) -> bytes:
    """The BSON document of a value.

    Raises:
        InvalidArgumentError: ``VALUE_INVALID`` or ``VALUE_TOO_DEEP``, with the place
        ResourceExhaustedError: ``VALUE_TOO_LARGE``
    """
    if isinstance(value, RawValue):
        data = value.bson
    else:
        try:
            data = bson.encode({"value": value}, codec_options=_OPTIONS)
        except Exception:
            problem = _find_fault(value, field, [], [])
            # The codec's own words would hold the value.
            raise (
                problem or invalid_value(field, (), "it has no form in BSON; convert it")
            ) from None
    if len(data) > MAX_VALUE_BYTES:
        raise value_too_large(field, len(data))
    return data


def _undecodable(data: bytes, error: Exception) -> Exception:
    if not data:
        return broken_answer("holds a key without its value")
    return FailedPreconditionError(
        f"the value cannot be decoded by pymongo ({type(error).__name__}); read it with "
        f"encoding='raw'",
        reason="VALUE_UNDECODABLE",
    )


def _find_fault(
    value: Any, field: str, path: list[PathPart], inside: list[int]
) -> InvalidArgumentError | None:
    """What is wrong with a value that the codec refused; None if the place cannot be found."""
    if isinstance(value, str):
        problem = text_problem(value)
    elif isinstance(value, int):
        problem = (
            None
            if MIN_INT64 <= value <= MAX_INT64
            else "an int needs more than 64 bits; use a Decimal128 or a string"
        )
    elif isinstance(value, (dict, list, tuple)):
        return _find_fault_inside(value, field, path, inside)
    else:
        problem = None if _can_encode(value) else type_problem(value)
    return None if problem is None else invalid_value(field, path, problem)


def _find_fault_inside(
    value: Any, field: str, path: list[PathPart], inside: list[int]
) -> InvalidArgumentError | None:
    if id(value) in inside:
        return invalid_value(field, path, "the container contains itself; break the cycle")
    if len(inside) >= _MAX_LEVELS:
        return invalid_field(
            "VALUE_TOO_DEEP",
            field,
            f"nests deeper than {_MAX_LEVELS} levels of dicts and lists at {path_text(path)}; "
            f"flatten it",
        )
    inside.append(id(value))
    for name, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(value, dict):
            if not isinstance(name, str):
                return invalid_value(field, path, "a dict has a key that is no str; convert it")
            problem = text_problem(name)
            if problem is None and "\0" in name:
                problem = "the name of a field contains a NUL character; remove it"
            if problem is not None:
                return invalid_value(field, path, problem)
        path.append(name)
        fault = _find_fault(item, field, path, inside)
        if fault is not None:
            return fault
        path.pop()
    inside.pop()
    return None


def _can_encode(value: Any) -> bool:
    try:
        bson.encode({"value": value}, codec_options=_OPTIONS)
    except Exception:
        return False
    return True
