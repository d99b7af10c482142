"""Values as JSON, with MongoDB Extended JSON for what JSON has no form for. Needs protobuf only."""

from __future__ import annotations

import base64
import math
import re
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Callable

from google.protobuf.struct_pb2 import NULL_VALUE, ListValue, Struct, Value

from .errors import ResourceExhaustedError, broken_answer, invalid_field
from .limits import MAX_EXACT_INTEGER, MAX_INT64, MAX_REQUEST_BYTES, MIN_INT64
from .values import (
    WIRE_JSON,
    PathPart,
    RawValue,
    invalid_value,
    path_text,
    text_problem,
    type_problem,
)

if TYPE_CHECKING:
    from .v1 import execution_store_pb2 as pb

_MAX_LEVELS = 30
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_ISO_DATE = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})"
    r"(?:\.([0-9]{1,3}))?(?:Z|\+00:00)\Z"
)
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,19}\Z")
_DOUBLE = re.compile(r"(?:NaN|-?Infinity|[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\Z")
_OBJECT_ID = re.compile(r"[0-9a-fA-F]{24}\Z")
_SUBTYPE = re.compile(r"[0-9a-fA-F]{1,2}\Z")
_UUID_SUBTYPE = 4


class JsonCodec:
    """Writes and reads ``value``."""

    name = "json"
    wire = WIRE_JSON

    def put(self, request: Any, value: Any, field: str = "value") -> None:
        """Puts a value into a request."""
        if isinstance(value, RawValue):
            request.value_bson = value.bson
        else:
            _Writer(field).write(value, request.value)
            _check_size(request.value, field)

    def put_expected(self, request: Any, value: Any) -> None:
        """Puts the expected value into a request."""
        if isinstance(value, RawValue):
            request.expected_bson = value.bson
        else:
            _Writer("expected").write(value, request.expected)
            _check_size(request.expected, "expected")

    def get(self, document: pb.KeyDocument) -> Any:
        """Takes the value out of a document; one that is too deep for JSON comes as a RawValue."""
        if document.HasField("value"):
            return from_value(document.value)
        if document.HasField("value_bson"):
            return RawValue(document.value_bson)
        raise broken_answer("holds a key without its value")


def to_struct(metadata: Mapping[str, Any], struct: Struct) -> None:
    """Puts metadata of a store into a request.

    Raises:
        InvalidArgumentError: ``METADATA_INVALID``
    """
    writer = _Writer("metadata", invalid="METADATA_INVALID", too_deep="METADATA_INVALID")
    if not isinstance(metadata, Mapping):
        raise invalid_value("metadata", (), "expected a dict with str keys", "METADATA_INVALID")
    # An empty one is set, too.
    struct.SetInParent()
    writer.members(metadata, struct)


def from_struct(struct: Struct) -> dict[str, Any]:
    """The metadata of a store."""
    return {name: from_value(value) for name, value in struct.fields.items()}


class _Writer:
    """Writes one value, and knows where it is for the sake of errors."""

    def __init__(
        self, field: str, *, invalid: str = "VALUE_INVALID", too_deep: str = "VALUE_TOO_DEEP"
    ) -> None:
        self._field = field
        self._invalid = invalid
        self._too_deep = too_deep
        self._path: list[PathPart] = []
        self._levels = 0

    def write(self, value: Any, out: Value) -> None:
        if value is None:
            out.null_value = NULL_VALUE
        elif isinstance(value, bool):
            out.bool_value = value
        elif isinstance(value, str):
            if type(value).__module__ == "bson.code":
                self._fail(type_problem(value))
            self._check_text(value)
            out.string_value = value
        elif isinstance(value, int):
            self._int(value, out)
        elif isinstance(value, float):
            _float(value, out)
        elif isinstance(value, (list, tuple)):
            self._list(value, out.list_value)
        elif isinstance(value, Mapping):
            out.struct_value.SetInParent()
            self.members(value, out.struct_value)
        else:
            self._extended(value, out)

    def members(self, value: Mapping[Any, Any], out: Struct) -> None:
        self._enter()
        for name, item in value.items():
            if not isinstance(name, str):
                self._fail("a dict has a key that is no str; convert it")
            self._path.append(name)
            if "\0" in name:
                self._fail("the name of a field contains a NUL character; remove it")
            self._check_text(name)
            self.write(item, out.fields[name])
            self._path.pop()
        self._levels -= 1

    def _list(self, value: Any, out: ListValue) -> None:
        self._enter()
        out.SetInParent()
        for index, item in enumerate(value):
            self._path.append(index)
            self.write(item, out.values.add())
            self._path.pop()
        self._levels -= 1

    def _int(self, value: int, out: Value) -> None:
        if not MIN_INT64 <= value <= MAX_INT64:
            self._fail("an int needs more than 64 bits; use a string")
        if abs(value) <= MAX_EXACT_INTEGER:
            out.number_value = value
        else:
            _form(out, "$numberLong", str(value))

    def _extended(self, value: Any, out: Value) -> None:
        if isinstance(value, datetime):
            # A naive time is UTC, as BSON codecs take it.
            aware = value if value.tzinfo is not None else value.replace(tzinfo=timezone.utc)
            form = out.struct_value.fields["$date"].struct_value
            form.fields["$numberLong"].string_value = str(
                (aware - _EPOCH) // timedelta(milliseconds=1)
            )
        elif isinstance(value, (bytes, bytearray, memoryview)):
            # That of bson's Binary, which is bytes, too.
            subtype = getattr(value, "subtype", 0)
            _binary(out, bytes(value), subtype)
        elif isinstance(value, uuid.UUID):
            _binary(out, value.bytes, _UUID_SUBTYPE)
        elif type(value).__name__ == "ObjectId" and type(value).__module__ == "bson.objectid":
            _form(out, "$oid", str(value))
        else:
            self._fail(type_problem(value))

    def _enter(self) -> None:
        self._levels += 1
        if self._levels > _MAX_LEVELS:
            raise invalid_field(
                self._too_deep,
                self._field,
                f"nests deeper than {_MAX_LEVELS} levels of dicts and lists at "
                f"{path_text(self._path)}; flatten it, "
                "or install execution-store[bson] and send it as BSON, which may nest 100 levels",
            )

    def _fail(self, problem: str) -> None:
        raise invalid_value(self._field, self._path, problem, self._invalid)

    def _check_text(self, text: str) -> None:
        problem = text_problem(text)
        if problem is not None:
            self._fail(problem)


def _float(value: float, out: Value) -> None:
    # A whole number would be stored as an integer, and JSON has no form for the others.
    if not math.isfinite(value):
        text = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        _form(out, "$numberDouble", text)
    elif value.is_integer() and abs(value) <= MAX_EXACT_INTEGER:
        _form(out, "$numberDouble", repr(value))
    else:
        out.number_value = value


def _form(out: Value, name: str, text: str) -> None:
    out.struct_value.fields[name].string_value = text


def _binary(out: Value, data: bytes, subtype: int) -> None:
    form = out.struct_value.fields["$binary"].struct_value
    form.fields["base64"].string_value = base64.b64encode(data).decode()
    form.fields["subType"].string_value = f"{subtype:02x}"


def _check_size(value: Value, field: str) -> None:
    size = value.ByteSize()
    if size > MAX_REQUEST_BYTES:
        # As BSON it may be half as large, and be taken.
        raise ResourceExhaustedError(
            f"{field} is {size} bytes as JSON, larger than the {MAX_REQUEST_BYTES} bytes (16 MiB) "
            "that a request may have; split it over several keys, or install "
            "execution-store[bson] and send it as BSON, which takes less room",
            reason="VALUE_TOO_LARGE",
        )


def from_value(value: Value) -> Any:
    """A value of the wire as Python has it.

    Forms without a Python type of the standard library stay dicts.
    """
    kind = value.WhichOneof("kind")
    if kind == "number_value":
        number = value.number_value
        # Of zero with a sign no int can take the place.
        negative_zero = number == 0 and math.copysign(1, number) < 0
        whole = number.is_integer() and abs(number) <= MAX_EXACT_INTEGER and not negative_zero
        return int(number) if whole else number
    if kind == "struct_value":
        return _from_members(value.struct_value)
    if kind == "list_value":
        return [from_value(item) for item in value.list_value.values]
    return None if kind is None or kind == "null_value" else getattr(value, kind)


def _from_members(struct: Struct) -> Any:
    if len(struct.fields) == 1:
        ((name, item),) = struct.fields.items()
        reader = _FORMS.get(name)
        found = None if reader is None else reader(item)
        if found is not None:
            return found
    return {name: from_value(item) for name, item in struct.fields.items()}


# What follows reads well-formed forms alone and answers None for all else: other clients may have
# stored, as BSON, data that only looks like one.


def _text(item: Value, pattern: re.Pattern[str]) -> str | None:
    """The text of a form, if it is one of its kind."""
    text = item.string_value if item.HasField("string_value") else ""
    return text if pattern.match(text) else None


def _read_date(item: Value) -> Any:
    inner = _fields(item, {"$numberLong"})
    if inner is not None:
        number = _read_int64(inner["$numberLong"])
        if number is None:
            return None
        try:
            return _EPOCH + timedelta(milliseconds=number)
        except OverflowError:
            # Beyond the years of a datetime.
            return {"$date": {"$numberLong": str(number)}}
    text = _text(item, _ISO_DATE)
    match = None if text is None else _ISO_DATE.match(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(match.group(at)) for at in range(1, 7))
    micros = int((match.group(7) or "0").ljust(6, "0"))
    try:
        return datetime(year, month, day, hour, minute, second, micros, timezone.utc)
    except ValueError:
        return None


def _read_binary(item: Value) -> Any:
    inner = _fields(item, {"base64", "subType"})
    subtype_text = None if inner is None else _text(inner["subType"], _SUBTYPE)
    if inner is None or subtype_text is None or not inner["base64"].HasField("string_value"):
        return None
    try:
        data = base64.b64decode(inner["base64"].string_value, validate=True)
    except ValueError:
        return None
    subtype = int(subtype_text, 16)
    if subtype == _UUID_SUBTYPE and len(data) == 16:  # noqa: PLR2004
        return uuid.UUID(bytes=data)
    return data if subtype == 0 else None


def _read_double(item: Value) -> float | None:
    text = _text(item, _DOUBLE)
    return None if text is None else float(text)


def _read_int64(item: Value) -> int | None:
    text = _text(item, _WHOLE_NUMBER)
    number = None if text is None else int(text)
    return number if number is not None and MIN_INT64 <= number <= MAX_INT64 else None


def _read_int32(item: Value) -> int | None:
    number = _read_int64(item)
    return number if number is not None and -(2**31) <= number < 2**31 else None


def _read_object_id(item: Value) -> Any:
    text = _text(item, _OBJECT_ID)
    if text is None:
        return None
    try:
        from bson import ObjectId
    except ImportError:
        return None
    return ObjectId(text)


def _fields(item: Value, names: set[str]) -> Mapping[str, Value] | None:
    """The fields of a form, if they are exactly these."""
    if not item.HasField("struct_value"):
        return None
    fields: Mapping[str, Value] = item.struct_value.fields
    return fields if set(fields) == names else None


_FORMS: Mapping[str, Callable[[Value], Any]] = {
    "$date": _read_date,
    "$binary": _read_binary,
    "$numberLong": _read_int64,
    "$numberInt": _read_int32,
    "$numberDouble": _read_double,
    "$oid": _read_object_id,
}
