"""The forms in which values travel, and the choice between them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Protocol, Union

from .errors import InvalidArgumentError, ResourceExhaustedError, invalid_field
from .limits import MAX_VALUE_BYTES

if TYPE_CHECKING:
    from .v1 import execution_store_pb2 as pb

__all__ = ["RawValue"]

# The numbers of the enumeration ValueEncoding.
WIRE_JSON = 1
WIRE_BSON = 2
WIRE_NONE = 3

PathPart = Union[str, int]
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")
_MAX_NAME = 40
_MAX_PARTS = 8


@dataclass(frozen=True)
class RawValue:
    """A value as the bytes that are stored: a BSON document with the one field ``value``.

    Reads with ``encoding="raw"`` give it, and every method that writes takes it, so that a value
    can be copied in all its types without being decoded. The bytes are not checked here; the server
    checks them.

    Attributes:
        bson: the BSON document ``{value: …}``
    """

    bson: bytes

    def __post_init__(self) -> None:
        """Refuses what are no bytes."""
        if not isinstance(self.bson, bytes):
            raise invalid_field(
                "VALUE_INVALID",
                "value",
                "is a RawValue without bytes; expected a BSON document with the one field `value`",
            )

    def __repr__(self) -> str:
        """The size alone: a value has no place in a log."""
        return f"RawValue({len(self.bson)} bytes)"


class Codec(Protocol):
    """How a service writes values and, unless a call asks for another form, reads them."""

    name: str
    wire: int

    def put(self, request: Any, value: Any, field: str = "value") -> None:
        """Puts a value into the field `value` or `value_bson` of a request."""

    def put_expected(self, request: Any, value: Any) -> None:
        """Puts a value into the field `expected` or `expected_bson` of a request."""

    def get(self, document: pb.KeyDocument) -> Any:
        """Takes the value out of a document."""


@dataclass(frozen=True)
class Reader:
    """How the answers of a call are read.

    Attributes:
        wire: the number of the encoding to ask for
        get: takes the value out of a document
    """

    wire: int
    get: Callable[[pb.KeyDocument], Any]


def codec_named(encoding: str) -> Codec:
    """The codec of a service.

    ``"bson"``, ``"json"``, or ``"auto"`` for the first one that can be had.
    """
    if encoding not in ("auto", "bson", "json"):
        raise invalid_field(
            "CLIENT_OPTION_INVALID",
            "encoding",
            'is none of "auto", "bson" and "json"; expected one of these',
        )
    if encoding != "json":
        try:
            from .bson_values import BsonCodec
        except ImportError as error:
            if encoding == "bson":
                raise invalid_field(
                    "CLIENT_OPTION_INVALID",
                    "encoding",
                    'is "bson", which needs the package pymongo; install execution-store[bson]',
                ) from error
        else:
            return BsonCodec()
    from .json_values import JsonCodec

    return JsonCodec()


def reader_for(encoding: str, codec: Codec) -> Reader:
    """How a call reads values.

    Args:
        encoding: ``"auto"`` for the codec of the service, else ``"bson"``, ``"json"``, ``"raw"`` or
            ``"none"``
        codec: the codec of the service

    Raises:
        InvalidArgumentError: ``ENCODING_INVALID``, or ``CLIENT_OPTION_INVALID`` if "bson" cannot be
            had
    """
    if encoding in ("auto", codec.name):
        return Reader(codec.wire, codec.get)
    if encoding == "raw":
        return Reader(WIRE_BSON, _get_raw)
    if encoding == "none":
        return Reader(WIRE_NONE, _get_none)
    if encoding not in ("bson", "json"):
        raise invalid_field(
            "ENCODING_INVALID",
            "encoding",
            'is none of "auto", "bson", "json", "raw" and "none"; expected one of these',
        )
    other = codec_named(encoding)
    return Reader(other.wire, other.get)


def _get_raw(document: pb.KeyDocument) -> RawValue:
    return RawValue(document.value_bson)


def _get_none(_document: pb.KeyDocument) -> None:
    return None


def path_text(parts: Sequence[PathPart]) -> str:
    """A place in a value for a message, such as ``items[2].id``.

    Long names and long paths are cut.
    """
    if len(parts) <= _MAX_PARTS:
        return _parts_text(parts)
    half = _MAX_PARTS // 2
    return f"{_parts_text(parts[:half])}.….{_parts_text(parts[-half:]).lstrip('.')}"


def _parts_text(parts: Sequence[PathPart]) -> str:
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        elif len(part) <= _MAX_NAME and _PLAIN_NAME.match(part):
            text += f".{part}" if text else part
        else:
            text += f"[{json.dumps(part if len(part) <= _MAX_NAME else part[:_MAX_NAME] + '…')}]"
    return text


def invalid_value(
    field: str, path: Sequence[PathPart], problem: str, reason: str = "VALUE_INVALID"
) -> InvalidArgumentError:
    """An error about a place inside a value; it never holds the value itself."""
    place = f" at {path_text(path)}" if path else ""
    return invalid_field(reason, field, f"is invalid{place}: {problem}")


def value_too_large(field: str, size: int) -> ResourceExhaustedError:
    """A value over the limit; `size` in bytes of BSON."""
    return ResourceExhaustedError(
        f"{field} is {size} bytes of BSON, larger than the {MAX_VALUE_BYTES} bytes (15 MiB) that "
        f"a value may take as "
        "BSON; split it over several keys, or keep it elsewhere and store where",
        reason="VALUE_TOO_LARGE",
    )


def type_problem(value: object) -> str:
    """What to say of a value of a type that cannot be stored."""
    cls = type(value)
    return (
        f"a {cls.__module__}.{cls.__qualname__} cannot be stored; convert it, or store data instead"
    )


def text_problem(text: str) -> str | None:
    """What is wrong with a text; None if it can be sent."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return "a str holds half of a surrogate pair, which UTF-8 has no form for; correct it"
    return None
