"""Values go in and come out as they were, in both forms."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path

import bson
import pytest
from bson import Binary, Decimal128, Int64, ObjectId, Regex

from execution_store import (
    ExecutionStoreService,
    InvalidArgumentError,
    RawValue,
    ResourceExhaustedError,
    StoreError,
)

NOW = datetime(2024, 2, 29, 12, 30, 59, 123000, tzinfo=timezone.utc)
EQUAL_IN_BOTH = [
    None,
    True,
    False,
    0,
    -1,
    2**31,
    2**53,
    2**53 + 1,
    2**63 - 1,
    -(2**63),
    0.5,
    1e300,
    5e-324,
    "",
    "text with ünïcödé 🐍 and \0",
    [],
    {},
    [1, [2, [3, {}]]],
    {"a": {"b": [None, True]}, "": 1, "$x": 2, "a.b": 3, "__proto__": 4},
    NOW,
    datetime(1900, 1, 1, tzinfo=timezone.utc),
    datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=timezone.utc),
    b"",
    b"\0\xff" * 100,
    uuid.UUID("12345678-1234-5678-1234-567812345678"),
    math.inf,
    -math.inf,
    ObjectId("65f0c1d2e3a4b5c6d7e8f901"),
]


@pytest.fixture
def json_service(server, dataset_id, open_service):
    return open_service(dataset_id, address=server.address, encoding="json")


@pytest.mark.parametrize("value", EQUAL_IN_BOTH, ids=repr)
def test_values_are_the_same_in_both_forms(service, json_service, value):
    for writer in (service, json_service):
        writer.set_key("s", "k", value)
        for reader in (service, json_service):
            found = reader.get_key("s", "k").value
            assert found == value
            assert isinstance(found, type(value))
            assert isinstance(found, bool) == isinstance(value, bool)


def test_json_field_names_with_nul_are_refused_as_in_bson(service, json_service):
    for each in (service, json_service):
        with pytest.raises(InvalidArgumentError) as raised:
            each.set_key("s", "k", {"a\0b": 1})
        assert raised.value.reason == "VALUE_INVALID"


def test_bson_keeps_every_type_and_the_order(service):
    value = {
        "z": 3.0,
        "a": -0.0,
        "decimal": Decimal128("1.50"),
        "long": Int64(7),
        "regex": Regex("^a", "i"),
        "binary": Binary(b"x", 128),
        "tuple": (1, 2),
    }
    service.set_key("s", "k", value)
    found = service.get_key("s", "k").value
    assert list(found) == list(value)
    assert isinstance(found["z"], float)
    assert math.copysign(1, found["a"]) == -1
    assert found["tuple"] == [1, 2]
    del found["tuple"], value["tuple"]
    assert found == value
    assert isinstance(found["long"], Int64)
    assert math.isnan(service.set_key("s", "nan", math.nan).value)
    assert math.isnan(service.get_key("s", "nan").value)


def test_json_writes_floats_as_floats_and_reads_whole_ones_as_ints(service, json_service):
    json_service.set_key("s", "k", [3.0, -0.0, 2.0**60, math.nan])
    exact = service.get_key("s", "k").value
    assert [type(each) for each in exact] == [float] * 4
    found = json_service.get_key("s", "k").value
    assert [type(each) for each in found] == [int, float, float, float]
    assert found[:3] == [3, 0, 2.0**60]


def test_json_leaves_other_forms_as_dicts_that_can_be_written_back(service, json_service):
    value = [Decimal128("1.5"), Regex("^a"), Binary(b"x", 128)]
    service.set_key("s", "k", value)
    found = json_service.get_key("s", "k").value
    assert found[0] == {"$numberDecimal": "1.5"}
    json_service.set_key("s", "copy", found)
    assert service.get_key("s", "copy").value == value


def test_times_are_milliseconds_in_utc(service, json_service):
    naive = datetime(2024, 1, 2, 3, 4, 5, 678999)
    zoned = datetime(2024, 1, 2, 5, 4, 5, 678999, tzinfo=timezone(timedelta(hours=2)))
    for each in (service, json_service):
        each.set_key("s", "k", [naive, zoned])
        expected = datetime(2024, 1, 2, 3, 4, 5, 678000, tzinfo=timezone.utc)
        found = each.get_key("s", "k").value
        assert found == [expected, expected]
        assert [time.tzinfo for time in found] == [timezone.utc] * 2


def test_times_beyond_datetime_do_not_make_a_value_unreadable(service, json_service):
    far = RawValue(bson.encode({"value": bson.datetime_ms.DatetimeMS(2**60)}))
    service.set_key("s", "k", far)
    assert int(service.get_key("s", "k").value) == 2**60
    assert json_service.get_key("s", "k").value == {"$date": {"$numberLong": str(2**60)}}


@pytest.mark.parametrize("millis", [253_402_300_800_000, -(2**62)], ids=str)
def test_times_beyond_datetime_can_be_written_back(service, json_service, millis):
    service.set_key("s", "k", bson.datetime_ms.DatetimeMS(millis))
    json_service.set_key("s", "copy", json_service.get_key("s", "k").value)
    found = service.get_key("s", "copy").value
    assert (type(found), int(found)) == (bson.datetime_ms.DatetimeMS, millis)


LOOK_ALIKES = [
    {"$numberLong": "abc"},
    {"$numberLong": " 1_0 "},
    {"$numberLong": str(2**63)},
    {"$numberLong": "9" * 5000},
    {"$numberLong": 5},
    {"$numberInt": str(2**31)},
    {"$numberDouble": "x"},
    {"$numberDouble": "1_0"},
    {"$oid": "zz"},
    {"$oid": "abcdefghijkl"},
    {"$oid": 5},
    {"$date": 5},
    {"$date": True},
    {"$date": "2020-13-45T00:00:00Z"},
    {"$date": {"$numberLong": "x"}},
    {"$date": {"$numberLong": "1", "more": 1}},
    {"$binary": {"base64": "!", "subType": "zz"}},
    {"$binary": {"base64": "a", "subType": "00"}},
    {"$binary": {"base64": 5, "subType": "00"}},
    {"$binary": {"base64": [1], "subType": {}}},
    {"$binary": "x"},
]


def test_data_that_looks_like_a_form_is_read_as_data(service, json_service):
    service.set_key("s", "k", {"list": LOOK_ALIKES})
    assert json_service.get_key("s", "k").value == {"list": LOOK_ALIKES}
    assert json_service.list_values("s")[0].value == {"list": LOOK_ALIKES}


def test_json_keeps_what_bson_adds_to_bytes_and_text(service, json_service):
    value = [Binary(b"x", 5), Binary(b"abc", 2), b"y"]
    json_service.set_key("s", "k", value)
    found = service.get_key("s", "k").value
    assert found == value
    assert [getattr(each, "subtype", 0) for each in found] == [5, 2, 0]
    with pytest.raises(InvalidArgumentError, match=r"bson\.code\.Code cannot be stored"):
        json_service.set_key("s", "k", bson.Code("f()"))


def test_deep_values_need_bson(service, json_service):
    value: object = 1
    for _ in range(60):
        value = [value]
    service.set_key("s", "k", value)
    assert service.get_key("s", "k").value == value
    with pytest.raises(StoreError) as raised:
        json_service.get_key("s", "k")
    assert raised.value.reason == "VALUE_TOO_DEEP_FOR_JSON"
    (listed,) = json_service.list_values("s")
    assert listed.value == RawValue(bson.encode({"value": value}))
    with pytest.raises(InvalidArgumentError) as raised:
        json_service.set_key("s", "k", value)
    assert raised.value.reason == "VALUE_TOO_DEEP"


class Strange:
    def __repr__(self):
        return "secret"


def _circle() -> list:
    circle: list = []
    circle.append({"again": circle})
    return circle


def _deep() -> list:
    deep: list = []
    for _ in range(2_000):
        deep = [deep]
    return deep


@pytest.mark.parametrize(
    ("value", "reason", "message"),
    [
        ({"a": [1, {"b": Strange()}]}, "VALUE_INVALID", "at a[1].b: a test_values.Strange cannot"),
        ({"a": {1: "secret"}}, "VALUE_INVALID", "at a: a dict has a key that is no str"),
        ([2**63], "VALUE_INVALID", "at [0]: an int needs more than 64 bits"),
        ({"a": "secret\ud800"}, "VALUE_INVALID", "at a: a str holds half of a surrogate pair"),
        ({"\ud800": 1}, "VALUE_INVALID", "half of a surrogate pair"),
        ({"x" * 80: {1}}, "VALUE_INVALID", "x" * 40 + "\\u2026"),
        ({1, 2}, "VALUE_INVALID", " is invalid: a builtins.set cannot be stored"),
        (_deep(), "VALUE_TOO_DEEP", "levels of dicts and lists"),
    ],
    ids=["class", "key", "int", "text", "name", "long name", "set", "deep"],
)
@pytest.mark.parametrize("encoding", ["bson", "json"])
def test_what_cannot_be_stored_is_named_by_its_place(
    open_service, encoding, value, reason, message
):
    # No server is there: the value does not get that far.
    service = open_service(address="127.0.0.1:1", encoding=encoding)
    for write in (
        lambda: service.set_key("s", "k", value),
        lambda: service.compare_and_set_key("s", "k", value, 1),
    ):
        with pytest.raises(InvalidArgumentError) as raised:
            write()
        assert raised.value.reason == reason
        assert raised.value.outcome == "NOT_APPLIED"
        assert message in raised.value.message
        assert "secret" not in raised.value.message
        assert raised.value.__cause__ is None
        assert raised.value.__suppress_context__ or raised.value.__context__ is None


def test_a_container_in_itself_is_refused(open_service):
    service = open_service(address="127.0.0.1:1", encoding="bson")
    with pytest.raises(InvalidArgumentError, match="contains itself"):
        service.set_key("s", "k", _circle())


def test_metadata_has_the_rules_of_json_values(service):
    for bad in ({"a": object()}, {1: 2}, [1]):
        with pytest.raises(InvalidArgumentError) as raised:
            service.create_store("s", bad)
        assert raised.value.reason == "METADATA_INVALID"
        assert raised.value.outcome == "NOT_APPLIED"


def test_values_have_a_largest_size(service):
    just = b"x" * (15 * 1024 * 1024 - 17)
    service.set_key("s", "k", just)
    assert service.get_key("s", "k").value == just
    for write in (
        lambda: service.set_key("s", "k", just + b"x"),
        lambda: service.compare_and_set_key("s", "k", just, 1),
        lambda: service.batch_set_keys("s", {"k": just + b"x"}),
    ):
        with pytest.raises(ResourceExhaustedError) as raised:
            write()
        assert raised.value.reason == "VALUE_TOO_LARGE"
        assert raised.value.outcome == "NOT_APPLIED"


def test_json_says_where_bson_would_have_room(service, json_service):
    floats = [1.0] * 700_000
    with pytest.raises(ResourceExhaustedError, match=r"bytes as JSON.*execution-store\[bson\]"):
        json_service.set_key("s", "k", floats)
    service.set_key("s", "k", floats)
    assert service.get_key("s", "k").value == floats


def test_raw_values_are_bytes(service):
    with pytest.raises(InvalidArgumentError):
        RawValue("text")
    assert "secret" not in repr(RawValue(b"secret"))
    with pytest.raises(InvalidArgumentError) as raised:
        service.set_key("s", "k", RawValue(b"secret"))
    assert raised.value.reason == "VALUE_INVALID"


WITHOUT_BSON = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("bson", "pymongo"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Hidden())
from datetime import datetime, timezone
from execution_store import ExecutionStoreService, InvalidArgumentError, RawValue

with ExecutionStoreService(sys.argv[2], address=sys.argv[1]) as service:
    assert service.get_key("s", "python").value == {"a": 1, "b": [True, None]}
    oid = service.get_key("s", "oid").value
    assert oid == {"$oid": "65f0c1d2e3a4b5c6d7e8f901"}, oid
    value = {"n": [2**60, 1.5, 2.0], "at": datetime(2024, 1, 2, tzinfo=timezone.utc), "b": b"x"}
    service.set_key("s", "json", value)
    assert service.get_key("s", "json").value == value
    service.set_key("s", "oid copy", oid)
    raw = service.get_key("s", "json", encoding="raw").value
    assert isinstance(raw, RawValue)
    service.set_key("s", "raw", raw)
    try:
        ExecutionStoreService(encoding="bson")
    except InvalidArgumentError as error:
        assert "execution-store[bson]" in error.message
    else:
        raise AssertionError("bson was found")
assert "bson" not in sys.modules
print("done")
"""


def test_the_client_works_without_pymongo(lmdb_server, dataset_id):
    with ExecutionStoreService(dataset_id, address=lmdb_server.address) as service:
        service.set_key("s", "python", {"a": 1, "b": [True, None]})
        oid = ObjectId("65f0c1d2e3a4b5c6d7e8f901")
        service.set_key("s", "oid", oid)
        source = Path(__file__).parents[1] / "src"
        run = subprocess.run(
            [sys.executable, "-c", WITHOUT_BSON, lmdb_server.address, dataset_id],
            env={**os.environ, "PYTHONPATH": str(source)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert run.stdout.strip() == "done", run.stderr
        assert service.get_key("s", "oid copy").value == oid
        expected = {
            "n": [2**60, 1.5, 2.0],
            "at": datetime(2024, 1, 2, tzinfo=timezone.utc),
            "b": b"x",
        }
        assert service.get_key("s", "json").value == expected
        assert service.get_key("s", "raw").value == expected
