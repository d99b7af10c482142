"""Values in the notation of the scenarios: canonical Extended JSON, plain where it can be."""

from __future__ import annotations

import base64
import math
import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

from execution_store import RawValue

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_UUID_SUBTYPE = 4


def to_native(node: Any) -> Any:
    """The Python value that a neutral one stands for: that which is stored in exactly this type."""
    if isinstance(node, list):
        return [to_native(item) for item in node]
    if not isinstance(node, dict):
        return node
    form = _FORMS.get(next(iter(node), ""))
    if form is not None:
        return form(node)
    return {name: to_native(member) for name, member in node.items()}


def _date(node: Any) -> datetime:
    return _EPOCH + timedelta(milliseconds=int(node["$date"]["$numberLong"]))


def _binary(node: Any) -> Any:
    data, subtype = base64.b64decode(node["$binary"]["base64"]), int(node["$binary"]["subType"], 16)
    if subtype == 0:
        return data
    if subtype == _UUID_SUBTYPE:
        return uuid.UUID(bytes=data)
    from bson import Binary

    return Binary(data, subtype)


def _bson(node: Any) -> Any:
    """Of a type that the package bson has a class for."""
    from bson import json_util

    return json_util.object_hook(node, json_util.CANONICAL_JSON_OPTIONS)


_FORMS = {
    "$numberInt": lambda node: int(node["$numberInt"]),
    # pymongo writes an int of up to 32 bits as int32; what is larger needs no class.
    "$numberLong": lambda node: int(node["$numberLong"]),
    "$numberDouble": lambda node: float(node["$numberDouble"]),
    "$date": _date,
    "$binary": _binary,
    "$bson": lambda node: RawValue(bytes.fromhex(node["$bson"])),
    "$numberDecimal": _bson,
    "$oid": _bson,
    "$regularExpression": _bson,
    "$timestamp": _bson,
    "$code": _bson,
    "$minKey": _bson,
    "$maxKey": _bson,
}


def to_neutral(value: Any) -> Any:  # noqa: PLR0911 - one for each type
    """The neutral form of a value that was read."""
    if value is None or type(value) in (bool, str):
        return value
    if isinstance(value, int):
        return {"$numberLong": str(int(value))}
    if isinstance(value, float):
        return {"$numberDouble": _double_text(value)}
    if isinstance(value, list):
        return [to_neutral(item) for item in value]
    if isinstance(value, dict):
        return {name: to_neutral(member) for name, member in value.items()}
    if isinstance(value, datetime):
        return {"$date": {"$numberLong": str((value - _EPOCH) // timedelta(milliseconds=1))}}
    if isinstance(value, RawValue):
        return {"$bson": value.bson.hex()}
    if isinstance(value, uuid.UUID):
        return _neutral_binary(value.bytes, _UUID_SUBTYPE)
    if isinstance(value, bytes):
        return _neutral_binary(value, getattr(value, "subtype", 0))
    from bson import json_util

    neutral: Any = json_util.default(value, json_util.CANONICAL_JSON_OPTIONS)
    return neutral


def _double_text(value: float) -> str:
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return "NaN" if math.isnan(value) else repr(value)


def _neutral_binary(data: bytes, subtype: int) -> Any:
    return {"$binary": {"base64": base64.b64encode(data).decode(), "subType": f"{subtype:02x}"}}


def same(left: Any, right: Any) -> bool:
    """Whether two are the same: numbers by what they are worth, fields in any order."""
    left_number, right_number = _worth(left), _worth(right)
    if left_number is not None or right_number is not None:
        return left_number is not None and left_number == right_number
    if isinstance(left, list):
        return (
            isinstance(right, list)
            and len(left) == len(right)
            and all(same(one, other) for one, other in zip(left, right))
        )
    if isinstance(left, dict):
        return (
            isinstance(right, dict)
            and left.keys() == right.keys()
            and all(same(member, right[name]) for name, member in left.items())
        )
    return type(left) is type(right) and bool(left == right)


def _worth(node: Any) -> Any:
    """What a number is worth, in a form in which NaN equals itself; None for what is no number."""
    if isinstance(node, (int, float)) and not isinstance(node, bool):
        return "NaN" if node != node else node  # noqa: PLR0124
    if not isinstance(node, dict) or len(node) != 1:
        return None
    ((name, text),) = node.items()
    if name in ("$numberInt", "$numberLong"):
        return int(text)
    return _worth(float(text)) if name == "$numberDouble" else None
