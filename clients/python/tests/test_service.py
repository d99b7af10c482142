"""Every method of the service, of both clients, on both engines."""

from __future__ import annotations

import math
import secrets
from datetime import datetime, timedelta, timezone

import pytest

from execution_store import (
    AlreadyExistsError,
    InvalidArgumentError,
    KeyDocument,
    KeyNotFoundError,
    KeyPolicy,
    PermissionDeniedError,
    RawValue,
    SetEntry,
    StoreError,
)


def near(time: datetime, seconds: float = 0.0) -> bool:
    return abs((time - datetime.now(timezone.utc)).total_seconds() - seconds) < 30


def test_set_key_creates_and_replaces_all_of_a_document(service):
    first = service.set_key("s", "k", {"a": [1, None]}, ttl=3600)
    assert (first.store_name, first.key, first.value) == ("s", "k", {"a": [1, None]})
    assert first.dataset_id == service.dataset_id
    assert first.policy is KeyPolicy.EVICT
    assert first.expires_at == first.updated_at + timedelta(hours=1)
    assert near(first.created_at)
    assert first.created_at.utcoffset() == timedelta(0)

    second = service.set_key("s", "k", 2)
    assert second.created_at == first.created_at
    assert second.updated_at > first.updated_at
    assert second.expires_at is None
    assert second.policy == "persist"
    assert second.etag != first.etag
    assert service.get_key("s", "k") == second


def test_get_key_answers_by_encoding(service):
    document = service.set_key("s", "k", [1, 2.5])
    assert service.get_key("s", "k") == document
    assert service.get_key("s", "k", encoding="json").value == [1, 2.5]
    assert service.get_key("s", "k", encoding="none").value is None
    raw = service.get_key("s", "k", encoding="raw").value
    assert isinstance(raw, RawValue)
    service.set_key("s", "copy", raw)
    assert service.get_key("s", "copy").value == [1, 2.5]
    assert service.get_key("s", "missing") is None


def test_has_and_delete_key(service):
    etag = service.set_key("s", "k", None).etag
    assert service.has_key("s", "k")
    assert not service.delete_key("s", "k", etag="another")
    with pytest.raises(InvalidArgumentError) as raised:
        service.delete_key("s", "k", etag="")
    assert raised.value.reason == "ETAG_EMPTY"
    assert raised.value.outcome == "NOT_APPLIED"
    assert service.delete_key("s", "k", etag=etag)
    assert not service.has_key("s", "k")
    assert not service.delete_key("s", "k")


def test_set_cache_key_is_evicted_by_clear_cache(service):
    assert service.set_cache_key("s", "cached", 1).policy == "evict"
    assert service.set_cache_key("s", "timed", 1, ttl=timedelta(minutes=1)).expires_at is not None
    service.set_key("s", "kept", 1)
    service.set_key("t", "cached", 1, policy=KeyPolicy.EVICT)
    assert service.clear_cache("s") == 2
    assert service.list_keys("s") == ["kept"]
    assert service.clear_cache() == 1
    with pytest.raises(InvalidArgumentError):
        service.clear_cache("")


def test_set_key_if_absent_has_one_winner(service):
    won = service.set_key_if_absent("s", "lock", "a", ttl=60)
    assert won
    assert won.document.value == "a"
    lost = service.set_key_if_absent("s", "lock", "b")
    assert not lost
    assert lost.document.etag == won.document.etag
    assert lost.document.value is None
    assert service.get_key("s", "lock").value == "a"


def test_compare_and_set_key_by_value_and_by_version(service):
    service.set_key("s", "k", {"n": 1, "m": True}, ttl=3600)
    result = service.compare_and_set_key("s", "k", {"m": True, "n": 1.0}, {"n": 2})
    assert result
    assert result.document.expires_at is not None
    assert not service.compare_and_set_key("s", "k", {"n": 1}, {"n": 3})
    assert not service.compare_and_set_key("s", "k", {"n": True}, {"n": 3})
    by_version = service.compare_and_set_key(
        "s", "k", value=None, etag=result.document.etag, policy="persist"
    )
    assert by_version.set
    assert by_version.document.expires_at is None
    assert service.compare_and_set_key("s", "k", None, 4)
    missing = service.compare_and_set_key("s", "missing", None, 4)
    assert not missing
    assert missing.document is None


def test_compare_and_set_key_needs_one_expectation(service):
    for arguments, reason in (
        ({"value": 1}, "EXPECTED_MISSING"),
        ({"expected": 1, "etag": "e", "value": 1}, "EXPECTED_AMBIGUOUS"),
        ({"expected": 1}, "VALUE_MISSING"),
        ({"etag": "", "value": 1}, "ETAG_EMPTY"),
    ):
        with pytest.raises(InvalidArgumentError) as raised:
            service.compare_and_set_key("s", "k", **arguments)
        assert raised.value.reason == reason
        assert raised.value.outcome == "NOT_APPLIED"


def test_update_ttl_and_policy(service):
    service.set_key("s", "k", 1)
    timed = service.update_ttl("s", "k", 0.5 + 3600)
    assert timed.policy == "evict"
    assert near(timed.expires_at, 3600)
    assert service.update_policy("s", "k", "persist").expires_at is None
    assert service.update_policy("s", "k", KeyPolicy.EVICT).policy is KeyPolicy.EVICT
    assert service.get_key("s", "k").value == 1
    for update in (
        lambda: service.update_ttl("s", "missing", 1),
        lambda: service.update_policy("s", "missing", "evict"),
    ):
        with pytest.raises(KeyNotFoundError) as raised:
            update()
        assert raised.value.resource.name == "s/missing"
        assert raised.value.outcome == "NOT_APPLIED"
    with pytest.raises(InvalidArgumentError):
        service.update_policy("s", "k", None)


def test_lists_hide_their_pages(service):
    names = [f"k{number:03}" for number in range(25)]
    service.batch_set_keys("s", {name: {"name": name} for name in reversed(names)})
    assert service.list_keys("s") == names
    assert list(service.iter_keys("s", page_size=3)) == names
    assert service.list_keys("s", prefix="k01") == names[10:20]
    assert service.count_keys("s") == 25
    assert service.count_keys("s", prefix="k02") == 5
    assert [each.value["name"] for each in service.list_values("s")] == names
    some = list(service.iter_values("s", prefix="k00", encoding="none", page_size=4))
    assert [(each.key, each.value) for each in some] == [(name, None) for name in names[:10]]
    assert service.list_keys("empty") == []
    with pytest.raises(InvalidArgumentError) as raised:
        list(service.iter_keys("s", page_size=10_001))
    assert raised.value.reason == "PAGE_SIZE_INVALID"


def test_batches_hide_their_limits(service):
    values = {f"k{number}": number for number in range(2_300)}
    documents = service.batch_set_keys("s", values)
    assert [(each.key, each.value) for each in documents] == list(values.items())
    asked = ["missing", *reversed(values), "k1", "k1"]
    found = service.batch_get_keys("s", asked)
    assert list(found) == list(reversed(values))
    assert {key: each.value for key, each in found.items()} == values
    assert service.batch_delete_keys("s", [*values, "missing"]) == 2_300
    assert service.batch_get_keys("s", iter(())) == {}
    assert service.batch_set_keys("s", {}) == []
    assert service.batch_delete_keys("s", []) == 0


def test_batch_get_asks_again_for_what_did_not_fit(service):
    big = b"x" * (1024 * 1024)
    service.batch_set_keys("s", {f"k{number}": big for number in range(7)})
    found = service.batch_get_keys("s", [f"k{number}" for number in range(7)])
    assert [each.value for each in found.values()] == [big] * 7


def test_batch_set_splits_by_size(service):
    big = b"x" * (6 * 1024 * 1024)
    service.batch_set_keys("s", {f"k{number}": big for number in range(5)})
    assert service.count_keys("s") == 5


def test_batch_set_takes_entries_and_refuses_bad_ones_before_it_writes(service):
    documents = service.batch_set_keys(
        "s", [SetEntry("a", 1), SetEntry("b", 2, 60), SetEntry("c", 3, policy="evict")]
    )
    assert [each.policy for each in documents] == ["persist", "evict", "evict"]
    bad = [
        ([SetEntry("x", 1), SetEntry("x", 2)], "KEY_REPEATED", "entries[1].key"),
        ([SetEntry("x", 1), SetEntry("__store__", 2)], "KEY_RESERVED", "entries[1].key"),
        ([SetEntry("x", 1), SetEntry("", 2)], "KEY_INVALID", "entries[1].key"),
        ([SetEntry("x", 1), SetEntry("y" * 1025, 2)], "KEY_INVALID", "entries[1].key"),
        ([SetEntry("x", 1), SetEntry("y", object())], "VALUE_INVALID", "entries[1].value"),
        ([SetEntry("x", 1, -1)], "TTL_NOT_POSITIVE", "entries[0].ttl"),
        ([SetEntry("x", 1, None, "never")], "POLICY_INVALID", "entries[0].policy"),
        ([("x", 1)], "CLIENT_OPTION_INVALID", "entries[0]"),
        ("xy", "CLIENT_OPTION_INVALID", "entries"),
    ]
    for entries, reason, field in bad:
        with pytest.raises(InvalidArgumentError) as raised:
            service.batch_set_keys("s", entries)
        assert (raised.value.reason, raised.value.violations[0].field) == (reason, field)
        assert raised.value.outcome == "NOT_APPLIED"
    assert service.list_keys("s") == ["a", "b", "c"]


def test_stores_have_documents(service):
    metadata = {"owner": "me", "sizes": [1, 2.5], "at": datetime(2024, 1, 2, tzinfo=timezone.utc)}
    created = service.create_store("s", metadata, "evict")
    assert created.metadata == metadata
    assert created.policy is KeyPolicy.EVICT
    assert created.dataset_id == service.dataset_id
    assert service.get_store("s") == created
    assert service.create_store("empty", {}).metadata == {}
    assert service.create_store("plain").metadata is None
    with pytest.raises(AlreadyExistsError) as raised:
        service.create_store("s")
    assert raised.value.reason == "STORE_ALREADY_EXISTS"
    assert raised.value.resource.type == "store"
    assert service.get_store("missing") is None

    service.set_key("keyed", "k", 1)
    keyed = service.get_store("keyed")
    assert (keyed.metadata, keyed.created_at, keyed.policy, keyed.etag) == (None,) * 4
    assert service.has_store("keyed")
    assert not service.has_store("missing")
    assert service.list_stores() == ["empty", "keyed", "plain", "s"]
    assert service.list_stores(prefix="e") == ["empty"]
    assert list(service.iter_stores(page_size=1)) == ["empty", "keyed", "plain", "s"]
    assert service.count_stores() == 4
    assert service.delete_store("s") == 1
    assert service.delete_store("s") == 0
    assert service.cleanup() == 3
    assert service.count_stores() == 0


def test_global_methods_see_every_context(service):
    name = f"shared-{secrets.token_hex(6)}"
    other = service.with_context(secrets.token_hex(12))
    service.set_key(name, "k", 1)
    other.create_store(name, {"a": 1})
    assert other.dataset_id != service.dataset_id
    assert service.has_store_global(name)
    assert not service.has_store_global("missing" + name)
    stores = service.list_stores_global(prefix=name)
    assert sorted(each.dataset_id for each in stores) == sorted(
        [service.dataset_id, other.dataset_id]
    )
    assert [each.metadata for each in stores] == [None, None]
    assert list(service.iter_stores_global(prefix=name, page_size=1)) == stores
    assert service.count_stores_global() >= 2
    deletion = service.delete_store_global(name)
    assert (deletion.stores, deletion.documents) == (2, 2)
    assert service.get_key(name, "k") is None


def test_contexts_are_apart(service):
    service.set_key("s", "k", "mine")
    free = service.with_context(None, "other")
    assert (free.dataset_id, free.collection_name) == (None, "other")
    name = f"s-{secrets.token_hex(6)}"
    free.set_key(name, "k", "theirs")
    assert service.get_key(name, "k") is None
    assert free.get_key(name, "k").dataset_id is None
    assert free.get_key("s", "k") is None
    assert free.delete_store(name) == 1
    with pytest.raises(PermissionDeniedError) as raised:
        service.with_context(None, "unknown").list_stores()
    assert raised.value.reason == "COLLECTION_NOT_ALLOWED"
    assert isinstance(raised.value, PermissionError)


def test_dataset_ids_are_object_ids(service):
    from bson import ObjectId

    given = ObjectId()
    assert service.with_context(given).dataset_id == str(given)
    assert service.with_context(str(given).upper()).dataset_id == str(given)
    for bad in ("x", "0" * 23, 17):
        with pytest.raises(InvalidArgumentError) as raised:
            service.with_context(bad)
        assert raised.value.reason == "DATASET_ID_INVALID"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("", "k", 1), "STORE_NAME_INVALID"),
        ((None, "k", 1), "STORE_NAME_INVALID"),
        ((7, "k", 1), "STORE_NAME_INVALID"),
        (("s", "", 1), "KEY_INVALID"),
        (("s", 7, 1), "KEY_INVALID"),
        (("s", "\ud800", 1), "KEY_INVALID"),
        (("s", "__store__", 1), "KEY_RESERVED"),
        (("s", "k", 1, 0), "TTL_NOT_POSITIVE"),
        (("s", "k", 1, timedelta(0)), "TTL_NOT_POSITIVE"),
        (("s", "k", 1, -math.inf), "TTL_NOT_POSITIVE"),
        (("s", "k", 1, math.inf), "TTL_TOO_LONG"),
        (("s", "k", 1, timedelta(days=36_526)), "TTL_TOO_LONG"),
        (("s", "k", 1, math.nan), "TTL_INVALID"),
        (("s", "k", 1, "60"), "TTL_INVALID"),
        (("s", "k", 1, True), "TTL_INVALID"),
        (("s", "k", 1, None, "keep"), "POLICY_INVALID"),
        (("s", "k", 1, None, ["evict"]), "POLICY_INVALID"),
    ],
)
def test_arguments_that_cannot_be_used_are_named(service, arguments, reason):
    with pytest.raises(InvalidArgumentError) as raised:
        service.set_key(*arguments)
    error = raised.value
    assert error.reason == reason
    assert error.outcome == "NOT_APPLIED"
    assert error.message.startswith(error.violations[0].field)
    assert isinstance(error, ValueError)


def test_keys_of_reads_are_checked_too(service):
    for read in (
        lambda: service.get_key("s", 7),
        lambda: service.has_key("s", "\ud800"),
        lambda: service.batch_get_keys("s", ["a", 7]),
        lambda: service.batch_get_keys("s", [["a"]]),
        lambda: service.batch_get_keys("s", "abc"),
        lambda: service.batch_delete_keys("s", [b"a"]),
        lambda: service.list_keys("s", prefix=7),
        lambda: service.count_keys("s", prefix="\ud800"),
        lambda: service.get_key("s", "k", encoding="xml"),
    ):
        with pytest.raises(InvalidArgumentError):
            read()


@pytest.mark.parametrize("ttl", [0.001, 0.0000001, 1.1, 3600, timedelta(milliseconds=1500)])
def test_ttls_are_exact(service, ttl):
    document = service.set_key("s", "k", 1, ttl)
    seconds = ttl.total_seconds() if isinstance(ttl, timedelta) else ttl
    exact = max(1, math.ceil(round(seconds * 1000, 6)))
    assert document.expires_at - document.updated_at == timedelta(milliseconds=exact)


def test_expired_keys_are_gone(service):
    service.set_key("s", "k", 1, ttl=0.001)
    deadline = datetime.now(timezone.utc) + timedelta(seconds=20)
    while service.has_key("s", "k"):
        assert datetime.now(timezone.utc) < deadline
    assert service.set_key_if_absent("s", "k", 2)


def test_documents_are_dataclasses(service):
    import copy
    import dataclasses
    import pickle

    document = service.set_key("s", "k", {"a": 1})
    read = service.get_key("s", "k")
    assert dataclasses.asdict(service.get_key("s", "k")) == dataclasses.asdict(document)
    assert pickle.loads(pickle.dumps(service.get_key("s", "k"))) == document
    assert copy.deepcopy(service.get_key("s", "k")) == document
    assert dataclasses.replace(read, value=2).value == 2
    assert isinstance(read, KeyDocument)
    with pytest.raises(AttributeError, match="nothing"):
        _ = read.nothing
    assert "key='k'" in repr(read)


def test_a_closed_service_says_so(service):
    service.set_key("s", "k", 1)
    service.close()
    service.close()
    with pytest.raises(StoreError) as raised:
        service.get_key("s", "k")
    assert raised.value.reason == "CLIENT_CLOSED"
    with pytest.raises(StoreError) as raised:
        service.set_key("s", "k", 1)
    assert raised.value.outcome == "NOT_APPLIED"
