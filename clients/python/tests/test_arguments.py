"""Arguments that cannot be sent are refused with a StoreError that names them."""

from __future__ import annotations

import gc
from datetime import timedelta

import pytest

from blocking import Blocking
from execution_store import ExecutionStoreService, InvalidArgumentError, SetEntry

HALF = "\ud800"
# More than one request takes: of too many keys, and of too many bytes.
MANY = [f"k{number}" for number in range(1500)]
LONG = [f"{number}".rjust(900, "k") for number in range(999)]


@pytest.mark.parametrize("keys", [[], MANY, LONG], ids=["one", "many", "long"])
@pytest.mark.parametrize("bad", [HALF, b"bytes", 7, None], ids=["half", "bytes", "int", "none"])
def test_keys_of_batches(service, keys, bad):
    for place in (0, len(keys)):
        batch = [*keys[:place], bad, *keys[place:]]
        for call, field in (
            (service.batch_get_keys, f"keys[{place}]"),
            (service.batch_delete_keys, f"keys[{place}]"),
            (
                lambda store, batch: service.batch_set_keys(
                    store, [SetEntry(key, 1) for key in batch]
                ),
                f"entries[{place}].key",
            ),
        ):
            with pytest.raises(InvalidArgumentError) as raised:
                call("s", batch)
            assert raised.value.reason == "KEY_INVALID"
            assert raised.value.violations[0].field == field
    assert service.count_stores() == 0


def test_bytes_are_no_text(service):
    for call in (
        lambda: service.set_key("s", b"k", 1),
        lambda: service.set_key(b"s", "k", 1),
        lambda: service.get_key("s", b"k"),
        lambda: service.delete_key("s", "k", etag=b"e"),
        lambda: service.list_keys("s", prefix=b"k"),
        lambda: service.delete_store(b"s"),
    ):
        with pytest.raises(InvalidArgumentError, match="is of type bytes"):
            call()
    assert service.count_stores() == 0


@pytest.mark.parametrize(
    "ttl",
    [10**400, float("inf"), timedelta.max, 36_525 * 86_400 + 1],
    ids=["no float", "inf", "timedelta", "just over"],
)
def test_ttls_that_are_too_long(service, ttl):
    for call in (
        lambda: service.set_key("s", "k", 1, ttl=ttl),
        lambda: service.batch_set_keys("s", [SetEntry("k", 1, ttl)]),
        lambda: service.update_ttl("s", "k", ttl),
    ):
        with pytest.raises(InvalidArgumentError) as raised:
            call()
        assert (raised.value.reason, raised.value.outcome) == ("TTL_TOO_LONG", "NOT_APPLIED")


def test_services_share_a_connection(service, dataset_id):
    service.set_key("s", "k", 2.0)
    cls = type(service._target) if isinstance(service, Blocking) else type(service)
    other = cls(dataset_id, encoding="json", connection=service.connection)
    assert other.address == service.address
    if isinstance(service, Blocking):
        other = Blocking(other, service._loop)
    assert type(other.get_key("s", "k").value) is int


def test_a_missed_key_leaves_no_cycle_behind(lmdb_server, dataset_id):
    with ExecutionStoreService(dataset_id, address=lmdb_server.address) as service:
        assert service.get_key("s", "k") is None
        gc.collect()
        gc.disable()
        try:
            for _ in range(20):
                assert service.get_key("s", "k") is None
            assert gc.collect() < 20
        finally:
            gc.enable()
