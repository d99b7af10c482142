"""Options that cannot be used are refused before anything is sent, and errors are whole."""

from __future__ import annotations

import copy
import math
import pickle

import grpc
import pytest

import execution_store
from execution_store import (
    ExecutionStore,
    ExecutionStoreService,
    FieldViolation,
    HistoryLostError,
    InvalidArgumentError,
    KeyNotFoundError,
    KeyPolicy,
    Resource,
    StoreError,
    TlsOptions,
    aio,
)
from execution_store.options import parse_address


@pytest.mark.parametrize(
    ("text", "target", "local"),
    [
        ("127.0.0.1:50051", "dns:127.0.0.1:50051", True),
        ("localhost:1", "dns:localhost:1", True),
        ("[::1]:80", "dns:[::1]:80", True),
        ("store.example:443", "dns:store.example:443", False),
        ("dns:///a.example:1", "dns:///a.example:1", False),
        ("ipv4:1.2.3.4:5", "ipv4:1.2.3.4:5", False),
        ("unix:/run/s.sock", "unix:/run/s.sock", True),
        ("unix:///run/s.sock", "unix:/run/s.sock", True),
        ("unix:s.sock", "unix:s.sock", True),
    ],
)
def test_addresses(text, target, local):
    address = parse_address(text)
    assert (address.label, address.target, address.local) == (text, target, local)


@pytest.mark.parametrize(
    "text", ["host", "host:0", "host:65536", ":1", "a b:1", "http://host:1", "unix:", "unix://h/p"]
)
def test_addresses_that_are_none(text):
    with pytest.raises(InvalidArgumentError) as raised:
        parse_address(text)
    assert raised.value.violations[0].field == "address"


@pytest.mark.parametrize("cls", [ExecutionStoreService, aio.ExecutionStoreService])
@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"address": "nowhere"}, "address"),
        ({"address": 7}, "address"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": math.nan}, "timeout"),
        ({"timeout": "30"}, "timeout"),
        ({"timeout": True}, "timeout"),
        ({"headers": {"Authorization": "x"}}, "headers['Authorization']"),
        ({"headers": {"a": "x\ny"}}, "headers['a']"),
        ({"headers": {"a": b"x"}}, "headers['a']"),
        ({"headers": {"a-bin": "x"}}, "headers['a-bin']"),
        ({"headers": [("a", "x")]}, "headers"),
        ({"tls": "yes"}, "tls"),
        ({"tls": TlsOptions(private_key="-----BEGIN KEY")}, "tls"),
        ({"tls": TlsOptions(root_certificates="file.pem")}, "tls.root_certificates"),
        ({"encoding": "xml"}, "encoding"),
        ({"collection_name": 7}, "collection_name"),
        ({"collection_name": 0}, "collection_name"),
        ({"collection_name": "\ud800"}, "collection_name"),
    ],
)
def test_options_that_cannot_be_used(cls, options, field):
    with pytest.raises(InvalidArgumentError) as raised:
        cls(**options)
    assert raised.value.reason == "CLIENT_OPTION_INVALID"
    assert raised.value.violations[0].field == field


def test_timeouts_of_calls_are_checked(open_service):
    service = open_service(address="127.0.0.1:1")
    for timeout in (0, -1, math.nan, "1"):
        with pytest.raises(InvalidArgumentError) as raised:
            service.set_key("s", "k", 1, timeout=timeout)
        assert raised.value.outcome == "NOT_APPLIED"


@pytest.mark.parametrize("cls", [ExecutionStore, aio.ExecutionStore])
def test_default_policies_are_checked(cls):
    for policy in ("keep", None, 1):
        with pytest.raises(InvalidArgumentError) as raised:
            cls.create("s", default_policy=policy)
        assert raised.value.violations[0].field == "default_policy"
    assert cls.create("s", default_policy="evict").default_policy is KeyPolicy.EVICT


def test_errors_are_whole_after_a_journey():
    error = KeyNotFoundError(
        "key is not there",
        reason="KEY_NOT_FOUND",
        outcome="NOT_APPLIED",
        violations=(FieldViolation("key", "is not there"),),
        resource=Resource("key", "s/k"),
        retry_after=0.5,
        resume_token="t",
        error_id="i",
    )
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(other) is KeyNotFoundError
        assert str(other) == "key is not there"
        assert vars(other) == vars(error)
    assert error.code is grpc.StatusCode.NOT_FOUND
    assert HistoryLostError("").reason == "OUT_OF_RANGE"


def test_every_error_class_is_a_store_error_and_can_be_raised():
    classes = [
        getattr(execution_store, name) for name in execution_store.__all__ if name.endswith("Error")
    ]
    assert len(classes) > 10
    for cls in classes:
        with pytest.raises(StoreError, match="words"):
            raise cls("words")
    for cls, builtin in (
        (execution_store.InvalidArgumentError, ValueError),
        (execution_store.NotFoundError, LookupError),
        (execution_store.PermissionDeniedError, PermissionError),
        (execution_store.UnavailableError, ConnectionError),
        (execution_store.DeadlineExceededError, TimeoutError),
    ):
        assert issubclass(cls, builtin)


def test_policies_are_their_names():
    assert KeyPolicy.EVICT == "evict"
    assert f"{KeyPolicy.EVICT}" == str(KeyPolicy.EVICT) == "evict"
    assert KeyPolicy("persist") is KeyPolicy.PERSIST
