"""Writes values in Python's own types, or reads what other clients wrote, and reports on it.

The Python side of a test in which every client reads every other one's values:

    cross_language.py bson|json write ADDRESS STORE
    cross_language.py bson|json read ADDRESS STORE...

With ``json`` the package pymongo is not there, as on a machine without it.
"""

from __future__ import annotations

import json
import sys
import uuid
from datetime import datetime, timezone
from typing import Any

if sys.argv[1] == "json":
    # The name is known to be of no module, so that importing it fails.
    sys.modules["bson"] = None  # type: ignore[assignment]

from execution_store import ExecutionStoreService
from neutral import to_neutral

_DATE = datetime(2030, 1, 2, 3, 4, 5, 678000, timezone.utc)
_UUID = uuid.UUID(bytes=bytes(range(16)))

# By the names of values.json: what Python has for each. The second one's key ends in /1, and so on.
NATIVES: dict[str, list[Any]] = {
    "null": [None],
    "boolean": [True],
    "int32": [5],
    "int64": [2**40],
    "int64 beyond 2^53": [2**63 - 1],
    "double": [0.5],
    "whole double": [1.0],
    "NaN": [float("nan")],
    "string": ["a\0ß€😀"],
    "date": [_DATE],
    "binary": [b"\x00\xff"],
    "uuid": [_UUID],
    "array": [[1, "a", None], (1, "a", None)],
    "object": [{"b": {"a": True}}],
}


def with_bson() -> dict[str, list[Any]]:
    """What there is besides with the classes of pymongo."""
    import re

    import bson
    from bson.code import Code
    from bson.max_key import MaxKey
    from bson.min_key import MinKey

    more: dict[str, list[Any]] = {
        "int64": [bson.Int64(2**40)],
        "date": [bson.DatetimeMS(_DATE)],
        "binary": [bson.Binary(b"\x00\xff")],
        "uuid": [bson.Binary(_UUID.bytes, 4)],
        "object": [bson.SON(b={"a": True})],
        "objectid": [bson.ObjectId("65f0c1d2e3a4b5c6d7e8f901")],
        "decimal128": [bson.Decimal128("0.10")],
        "regex": [bson.Regex("^a", "i"), re.compile(b"^a", re.IGNORECASE)],
        "timestamp": [bson.Timestamp(1, 2)],
        "code": [Code("f()")],
        "minkey": [MinKey()],
        "maxkey": [MaxKey()],
    }
    return {name: NATIVES.get(name, []) + more.get(name, []) for name in {**NATIVES, **more}}


def write(service: ExecutionStoreService, store: str, natives: dict[str, list[Any]]) -> Any:
    """Writes everything and answers the type of each key."""
    written = {}
    for name, values in natives.items():
        for index, value in enumerate(values):
            key = f"{name}/{index}" if index else name
            service.set_key(store, key, value)
            written[key] = type_name(value)
    return written


def read(service: ExecutionStoreService, stores: list[str]) -> Any:
    """Reads every key and answers its type and its value."""
    return {
        store: {
            document.key: {
                "type": type_name(document.value),
                "value": to_neutral(document.value),
            }
            for document in service.iter_values(store)
        }
        for store in stores
    }


def type_name(value: Any) -> str:
    """As people write it."""
    if value is None:
        return "None"
    cls = type(value)
    module = cls.__module__.split(".")[0]
    return cls.__name__ if module in ("builtins", "datetime") else f"{module}.{cls.__name__}"


def main() -> None:
    encoding, mode, address, *stores = sys.argv[1:]
    with ExecutionStoreService(address=address) as service:
        if mode == "write":
            natives = with_bson() if encoding == "bson" else NATIVES
            report = write(service, stores[0], natives)
        else:
            report = read(service, stores)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
