"""What is repeated, what is not, and what the caller is told."""

from __future__ import annotations

import math
import threading
import time

import grpc
import pytest

from execution_store import (
    DeadlineExceededError,
    InternalError,
    InvalidArgumentError,
    RetryPolicy,
    StoreError,
    UnauthenticatedError,
    UnavailableError,
)
from execution_store.retry import Attempts, retry_delay
from execution_store.v1 import execution_store_pb2 as pb
from scripted_server import Failure

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
SOON = RetryPolicy(initial_backoff=0.01, max_backoff=0.05)
UNKNOWN = Failure(UNAVAILABLE, reason="DATABASE_UNREACHABLE", outcome="UNKNOWN")
NOT_APPLIED = Failure(UNAVAILABLE, reason="DATABASE_CONFLICT", outcome="NOT_APPLIED")


def document() -> pb.KeyDocument:
    message = pb.KeyDocument(store_name="s", key="k", etag="e", policy="KEY_POLICY_PERSIST")
    message.created_at.seconds = message.updated_at.seconds = 1
    return message


SET = pb.SetKeyResponse(document=document(), created=True)
SET_IF_ABSENT = pb.SetKeyIfAbsentResponse(document=document(), set=True)
GOT = pb.HasKeyResponse(exists=True)


def test_reads_and_repeatable_writes_are_repeated(scripted, open_service):
    service = open_service(address=scripted.address, retry=SOON)
    scripted.answers += [Failure(UNAVAILABLE)] * 5 + [GOT]
    assert service.has_key("s", "k")
    scripted.answers += [UNKNOWN, Failure(UNAVAILABLE), SET]
    service.set_key("s", "k", 1)
    assert scripted.names() == ["HasKey"] * 6 + ["SetKey"] * 3


def test_attempts_end(scripted, open_service):
    service = open_service(address=scripted.address, retry=SOON)
    scripted.answers += [UNKNOWN] * 6
    with pytest.raises(UnavailableError) as raised:
        service.set_key("s", "k", 1)
    error = raised.value
    assert (error.reason, error.outcome) == ("DATABASE_UNREACHABLE", "UNKNOWN")
    assert isinstance(error, ConnectionError)
    assert len(scripted.calls) == 6


@pytest.mark.parametrize("failure", [UNKNOWN, Failure(UNAVAILABLE)], ids=["said", "bare"])
def test_conditional_writes_of_unknown_outcome_are_not_repeated(scripted, open_service, failure):
    service = open_service(address=scripted.address, retry=SOON)
    for write in (
        lambda: service.set_key_if_absent("s", "k", 1),
        lambda: service.compare_and_set_key("s", "k", 1, 2),
        lambda: service.create_store("s"),
    ):
        scripted.calls.clear()
        scripted.answers.append(failure)
        with pytest.raises(UnavailableError) as raised:
            write()
        assert raised.value.outcome == "UNKNOWN"
        assert len(scripted.calls) == 1


def test_conditional_writes_that_were_not_applied_are_repeated(scripted, open_service):
    service = open_service(address=scripted.address, retry=SOON)
    scripted.answers += [NOT_APPLIED, NOT_APPLIED, SET_IF_ABSENT]
    assert service.set_key_if_absent("s", "k", 1)
    scripted.answers += [NOT_APPLIED, UNKNOWN]
    with pytest.raises(UnavailableError):
        service.set_key_if_absent("s", "k", 1)
    assert len(scripted.calls) == 5


def test_one_doubtful_attempt_makes_the_outcome_unknown(scripted, open_service):
    service = open_service(address=scripted.address, retry=SOON)
    refused = Failure(grpc.StatusCode.INVALID_ARGUMENT, reason="KEY_INVALID", outcome="NOT_APPLIED")
    scripted.answers += [UNKNOWN, refused]
    with pytest.raises(InvalidArgumentError) as raised:
        service.set_key("s", "k", 1)
    assert raised.value.outcome == "UNKNOWN"


def test_other_failures_are_not_repeated(scripted, open_service):
    service = open_service(address=scripted.address, retry=SOON)
    for code, reason in (
        (grpc.StatusCode.INTERNAL, "INTERNAL"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "DATABASE_BUSY"),
        (grpc.StatusCode.ABORTED, None),
        (grpc.StatusCode.DEADLINE_EXCEEDED, None),
    ):
        scripted.calls.clear()
        scripted.answers.append(Failure(code, reason=reason))
        with pytest.raises(StoreError):
            service.has_key("s", "k")
        assert len(scripted.calls) == 1


def test_no_retry_means_once(scripted, open_service):
    service = open_service(address=scripted.address, retry=None)
    scripted.answers.append(NOT_APPLIED)
    with pytest.raises(UnavailableError):
        service.set_key("s", "k", 1)
    assert len(scripted.calls) == 1


def test_the_server_says_when_to_come_back(scripted, open_service):
    service = open_service(address=scripted.address, retry=SOON)
    later = Failure(UNAVAILABLE, reason="SHUTTING_DOWN", retry_after=0.3)
    scripted.answers += [later, GOT]
    started = time.monotonic()
    assert service.has_key("s", "k")
    assert time.monotonic() - started >= 0.3
    scripted.answers += [Failure(UNAVAILABLE, reason="SHUTTING_DOWN", retry_after=100)]
    started = time.monotonic()
    with pytest.raises(UnavailableError) as raised:
        service.has_key("s", "k", timeout=5)
    assert raised.value.retry_after == 100
    assert time.monotonic() - started < 4


def test_errors_of_the_server_carry_their_details(scripted, open_service):
    service = open_service(address=scripted.address)
    scripted.answers.append(
        Failure(
            grpc.StatusCode.INTERNAL,
            "a fault; quote abc",
            reason="INTERNAL",
            outcome="UNKNOWN",
            metadata={"error_id": "abc"},
        )
    )
    with pytest.raises(InternalError) as raised:
        service.set_key("s", "k", 1)
    error = raised.value
    assert error.message == "a fault; quote abc"
    assert (error.error_id, error.outcome, error.code) == (
        "abc",
        "UNKNOWN",
        grpc.StatusCode.INTERNAL,
    )
    assert isinstance(error.__cause__, grpc.RpcError)


def test_broken_details_leave_the_status(scripted, open_service):
    def answer(_request, context):
        context.set_trailing_metadata((("grpc-status-details-bin", b"\xff\xff"),))
        context.abort(grpc.StatusCode.PERMISSION_DENIED, "no")

    scripted.answers.append(answer)
    with pytest.raises(PermissionError, match="PERMISSION_DENIED: no"):
        open_service(address=scripted.address).has_key("s", "k")


def test_a_server_that_is_no_execution_store_is_named(open_service):
    from concurrent.futures import ThreadPoolExecutor

    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with pytest.raises(StoreError, match="is it an execution store") as raised:
        open_service(address=f"127.0.0.1:{port}").has_key("s", "k")
    assert raised.value.code is grpc.StatusCode.UNIMPLEMENTED
    server.stop(None).wait()


def test_answers_that_break_the_contract_are_named(scripted, open_service):
    service = open_service(address=scripted.address)
    scripted.answers.append(pb.GetKeyResponse())
    with pytest.raises(InternalError, match="holds no document") as raised:
        service.get_key("s", "k")
    assert raised.value.outcome is None
    scripted.answers.append(pb.SetKeyResponse())
    with pytest.raises(InternalError, match="holds no document") as raised:
        service.set_key("s", "k", 1)
    assert raised.value.outcome == "UNKNOWN"
    scripted.answers.append(pb.BatchGetKeysResponse(unprocessed_keys=["k"]))
    with pytest.raises(InternalError, match="unprocessed"):
        service.batch_get_keys("s", ["k"])
    scripted.answers.append(pb.BatchSetKeysResponse())
    with pytest.raises(InternalError, match="not as long as the batch"):
        service.batch_set_keys("s", {"k": 1})


def test_an_error_within_a_batch_says_what_is_done(scripted, open_service):
    service = open_service(address=scripted.address, retry=None)
    result = pb.BatchSetKeysResponse.Result(document=document(), created=True)
    scripted.answers += [pb.BatchSetKeysResponse(results=[result] * 1000), NOT_APPLIED]
    with pytest.raises(UnavailableError, match="the first 1000 of 1500 are done") as raised:
        service.batch_set_keys("s", {f"k{number}": 1 for number in range(1500)})
    assert raised.value.outcome == "UNKNOWN"
    scripted.answers += [pb.BatchDeleteKeysResponse(deleted_count=3), NOT_APPLIED]
    with pytest.raises(UnavailableError, match="the first 1000 of 1500 are done"):
        service.batch_delete_keys("s", [f"k{number}" for number in range(1500)])


def test_deadlines_cover_the_call(scripted, open_service):
    released = threading.Event()

    def slow(_request, context):
        remaining.append(context.time_remaining())
        released.wait(20)
        return GOT

    remaining: list[float] = []
    scripted.answers.append(slow)
    service = open_service(address=scripted.address)
    started = time.monotonic()
    with pytest.raises(DeadlineExceededError, match=r"within 0\.3 s") as raised:
        service.has_key("s", "k", timeout=0.3)
    released.set()
    assert 0.2 < time.monotonic() - started < 5
    assert 0 < remaining[0] <= 0.3
    assert isinstance(raised.value, TimeoutError)
    assert raised.value.outcome is None


def test_deadlines_cover_repetitions(scripted, open_service):
    service = open_service(
        address=scripted.address, retry=RetryPolicy(max_attempts=math.inf, initial_backoff=0.01)
    )
    scripted.answers += [Failure(UNAVAILABLE)] * 1000
    started = time.monotonic()
    with pytest.raises(UnavailableError):
        service.has_key("s", "k", timeout=0.5)
    assert time.monotonic() - started < 5
    assert len(scripted.calls) > 2


def test_no_deadline_sends_none(scripted, open_service):
    seen: list[object] = []

    def answer(_request, context):
        seen.append(context.time_remaining())
        return GOT

    scripted.answers += [answer, answer, answer]
    service = open_service(address=scripted.address, timeout=math.inf)
    service.has_key("s", "k")
    service.has_key("s", "k", timeout=1e9)
    service.has_key("s", "k", timeout=7)
    assert [each is None or each > 1e6 for each in seen] == [True, True, False]
    assert 5 < seen[2] < 8


def test_an_unreachable_server_is_named(open_service):
    service = open_service(address="127.0.0.1:1", retry=RetryPolicy(wait_for_server=0))
    with pytest.raises(UnavailableError) as raised:
        service.set_key("s", "k", 1)
    error = raised.value
    assert (error.reason, error.outcome) == ("SERVER_UNREACHABLE", "NOT_APPLIED")
    assert "127.0.0.1:1 cannot be reached" in error.message
    assert "npx execution-store serve" in error.message


def test_an_unreachable_server_is_waited_for_as_long_as_told(open_service):
    service = open_service(address="127.0.0.1:1", retry=RetryPolicy(wait_for_server=0.8))
    started = time.monotonic()
    with pytest.raises(UnavailableError):
        service.set_key_if_absent("s", "k", 1)
    assert 0.2 < time.monotonic() - started < 5


def test_headers_are_sent_with_every_attempt(scripted, open_service):
    service = open_service(
        address=scripted.address, retry=SOON, headers={"authorization": "Bearer x", "a-bin": b"\0"}
    )
    scripted.answers += [Failure(UNAVAILABLE), GOT]
    service.has_key("s", "k")
    for _, _, metadata in scripted.calls:
        assert metadata["authorization"] == "Bearer x"
        assert metadata["a-bin"] == b"\0"


def test_a_headers_function_is_asked_before_each_attempt(scripted, open_service):
    tokens = iter(["1", "2", "3"])
    service = open_service(
        address=scripted.address, retry=SOON, headers=lambda: {"authorization": next(tokens)}
    )
    scripted.answers += [Failure(UNAVAILABLE), GOT, GOT]
    service.has_key("s", "k")
    service.has_key("s", "k")
    assert [metadata["authorization"] for _, _, metadata in scripted.calls] == ["1", "2", "3"]


def test_a_headers_function_that_fails_is_told_without_its_secret(scripted, open_service):
    def headers():
        raise RuntimeError("secret")

    with pytest.raises(UnauthenticatedError) as raised:
        open_service(address=scripted.address, headers=headers).set_key("s", "k", 1)
    assert "secret" not in raised.value.message
    assert raised.value.outcome == "NOT_APPLIED"
    assert isinstance(raised.value.__cause__, RuntimeError)

    broken = open_service(address=scripted.address, headers=lambda: {"a": "secret\n"})
    with pytest.raises(InvalidArgumentError) as refused:
        broken.has_key("s", "k")
    assert "secret" not in refused.value.message


def test_an_error_of_the_headers_says_nothing_of_other_calls(scripted, open_service):
    def headers():
        raise UnavailableError("the store of tokens", outcome="UNKNOWN")

    service = open_service(address=scripted.address, headers=headers)
    for call, outcome in (
        (lambda: service.set_key("s", "k", 1), "NOT_APPLIED"),
        (lambda: service.has_key("s", "k"), None),
    ):
        with pytest.raises(UnavailableError, match="the store of tokens") as raised:
            call()
        assert raised.value.outcome == outcome
    assert not scripted.calls


def attempts(repeatable: bool = True, deadline: float = 100.0, **policy: float) -> Attempts:
    return Attempts(RetryPolicy(**policy), repeatable=repeatable, started=0, deadline=deadline)


def test_attempts_that_find_no_server_do_not_count():
    unsent = UnavailableError("", outcome="NOT_APPLIED")
    call = attempts(repeatable=False)
    now = 0.0
    for _ in range(20):
        delay = call.failed(unsent, sent=False, now=now, random=1)
        if delay is None:
            break
        now += delay
    assert 8 < now < 10


def test_a_call_does_not_wait_beyond_its_deadline():
    assert attempts(deadline=0.05).failed(UnavailableError(""), sent=True, now=0, random=0) is None


def test_backoff_doubles_up_to_its_limit_and_heeds_the_server():
    policy = RetryPolicy()
    error = UnavailableError("")
    delays = [retry_delay(policy, attempt, error, 0) for attempt in (1, 2, 3, 9, 10_000)]
    assert delays == [0.1, 0.2, 0.4, 2.0, 2.0]
    assert retry_delay(policy, 1, error, 1) == 0.05
    asks = UnavailableError("", retry_after=5)
    assert retry_delay(policy, 1, asks, 0) == 5
    assert retry_delay(policy, 1, asks, 1) == 6


@pytest.mark.parametrize(
    "options",
    [
        {"max_attempts": 0},
        {"max_attempts": 1.5},
        {"max_attempts": math.nan},
        {"max_attempts": "3"},
        {"wait_for_server": -1},
        {"initial_backoff": math.inf},
        {"max_backoff": -0.1},
        {"max_backoff": True},
        {"max_attempts": 10**400},
        {"wait_for_server": 10**400},
    ],
)
def test_policies_out_of_range_are_refused(options):
    with pytest.raises(InvalidArgumentError) as raised:
        RetryPolicy(**options)
    assert raised.value.reason == "CLIENT_OPTION_INVALID"
    assert raised.value.violations[0].field == f"retry.{next(iter(options))}"
