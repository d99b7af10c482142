"""Values of every kind that FiftyOne's execution store takes, as Python writes and reads them."""

import math
from datetime import datetime, timedelta, timezone

from bson import (
    Binary,
    Code,
    DBRef,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
)

OBJECT_ID = ObjectId("65f0c1d2e3a4b5c6d7e8f901")


def nested(steps):
    """Lists and dicts within each other, three levels for every two steps."""
    value = "innermost"
    for level in range(steps):
        value = {"level": level, "inner": [value]} if level % 2 else [value]
    return value


VALUES = {
    "none": None,
    "true": True,
    "false": False,
    "zero": 0,
    "int": 42,
    "int_negative": -7,
    "int_32_max": 2**31 - 1,
    "int_over_32": 2**31,
    "int_53": 2**53,
    "int_over_53": 2**53 + 1,
    "int_64_max": 2**63 - 1,
    "int_64_min": -(2**63),
    "int64_small": Int64(5),
    "float": 1.5,
    "float_whole": 3.0,
    "float_negative_zero": -0.0,
    "float_large": 1e300,
    "float_over_53": float(2**60),
    "float_smallest": 5e-324,
    "nan": math.nan,
    "infinity": math.inf,
    "infinity_negative": -math.inf,
    "string": "some text",
    "string_empty": "",
    "string_unicode": "Grüße, 世界 \U0001f600 e\u0301",
    "string_nul": "a\x00b",
    "string_long": "ä0123456789" * 100_000,
    "bytes": b"\x00\x01\xfe\xff",
    "bytes_empty": b"",
    "bytes_large": bytes(range(256)) * 64,
    "binary_user": Binary(b"\x01\x02", 128),
    "datetime": datetime(2024, 2, 29, 12, 30, 15, 123000),
    "datetime_microseconds": datetime(2024, 2, 29, 12, 30, 15, 123999),
    "datetime_zone": datetime(
        2024, 2, 29, 12, 30, 15, tzinfo=timezone(timedelta(hours=2))
    ),
    "datetime_before_1970": datetime(1901, 1, 1),
    "object_id": OBJECT_ID,
    "list": [1, 2.0, "three", None, True],
    "list_empty": [],
    "list_of_lists": [[], [[]], [1, [2, [3]]]],
    "tuple": (1, (2, 3)),
    "dict": {"b": 1, "a": 2},
    "dict_empty": {},
    "dict_of_empties": {"list": [], "dict": {}, "string": "", "none": None},
    "dict_order": {str(n): n for n in (10, 2, 33, 1)},
    "dict_odd_names": {
        "": "empty",
        "a.b": "dot",
        "$set": "dollar",
        "__proto__": {"x": 1},
        "_cls": "class",
        "ключ": "unicode",
    },
    "dict_like_extended_json": {"$oid": "65f0c1d2e3a4b5c6d7e8f901"},
    # pymongo takes strings as names only; FiftyOne's cache turns the others into them.
    "dict_number_names": {"1": "one", "2.5": "float", "None": "none"},
    "mixed": {
        "when": datetime(2020, 1, 2, 3, 4, 5, 678000),
        "who": OBJECT_ID,
        "raw": b"raw",
        "scores": [0.5, 1.0, math.nan, -math.inf],
        "big": 2**62,
        "inner": {"none": None, "deep": [{"x": [{}]}]},
    },
    "deep_24": nested(16),
    "deep_90": nested(60),
    "decimal": Decimal128("1.10"),
    "regex": Regex("^a.*b$", "im"),
    "timestamp": Timestamp(1700000000, 7),
    "min_key": MinKey(),
    "max_key": MaxKey(),
    "code": Code("return 1"),
    "dbref": DBRef("samples", OBJECT_ID),
}

# Where Python itself reads something else than it wrote.
READ_AS = {
    "tuple": [1, [2, 3]],
    "datetime_microseconds": datetime(2024, 2, 29, 12, 30, 15, 123000),
    "datetime_zone": datetime(2024, 2, 29, 10, 30, 15),
}


def as_read(name):
    """What Python reads of a sample that it wrote."""
    return READ_AS.get(name, VALUES[name])


def kind(value):
    # An Int64 is how Python reads an int that was stored in 64 bits.
    return int if isinstance(value, Int64) else type(value)


def difference(expected, actual, path="value"):
    """Where two values differ, by type, content and order of names; None if they do not."""
    if kind(expected) is not kind(actual):
        return f"{path} is {type(actual).__name__}, expected {type(expected).__name__}"
    if isinstance(expected, dict):
        if list(expected) != list(actual):
            return f"{path} has the names {list(actual)}, expected {list(expected)}"
        pairs = [(f"{path}.{n}", expected[n], actual[n]) for n in expected]
    elif isinstance(expected, (list, tuple)):
        if len(expected) != len(actual):
            return f"{path} has {len(actual)} items, expected {len(expected)}"
        pairs = [
            (f"{path}[{n}]", *items)
            for n, items in enumerate(zip(expected, actual))
        ]
    elif isinstance(expected, float):
        same = repr(expected) == repr(actual)
        return None if same else f"{path} is {actual!r}, expected {expected!r}"
    else:
        same = expected == actual
        return None if same else f"{path} is {str(actual)[:80]!r}"
    for place, left, right in pairs:
        found = difference(left, right, place)
        if found is not None:
            return found
    return None
