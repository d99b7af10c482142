"""Gets that many threads make at once, which travel together."""

from __future__ import annotations

import secrets
import signal
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from execution_store import (
    DeadlineExceededError,
    ExecutionStoreService,
    InvalidArgumentError,
    PermissionDeniedError,
    RetryPolicy,
    joined_reads,
)
from scripted_reads import Reads, get_behind, is_idle, lanes, values
from scripted_server import Failure, ScriptedServer
from store_server import until

MIB = 1024 * 1024


@pytest.fixture
def reads(scripted: ScriptedServer):
    script = Reads(scripted)
    yield script
    script.released.set()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gets wait for the call on its way, and for nothing else, so that a test sees who joins."""
    monkeypatch.setattr(joined_reads, "_PATIENCE", 60.0)
    monkeypatch.setattr(joined_reads, "_GATHERING", 0.0)
    monkeypatch.setattr(joined_reads, "_APART", 60.0)


@pytest.fixture
def pool():
    with ThreadPoolExecutor(40) as threads:
        yield threads


def open_json(scripted: ScriptedServer, **options: Any) -> ExecutionStoreService:
    return ExecutionStoreService(address=scripted.address, encoding="json", **options)


def check_apart(service: ExecutionStoreService, reads: Reads, pool: ThreadPoolExecutor) -> None:
    """For a while, nobody tries again to go with others."""
    reads.released.clear()
    held = pool.submit(service.get_key, "s", "first")
    until(lambda: reads.asked().count("first") == 2, "it is on its way")
    assert values([pool.submit(service.get_key, "s", "alone")]) == ["alone"]
    assert not held.done()
    reads.released.set()


def test_every_get_sees_its_own_key(server, dataset_id):
    with ExecutionStoreService(dataset_id, address=server.address) as service:
        service.batch_set_keys("s", {f"k{n}": {"n": n, "text": "x" * 200} for n in range(500)})

        def work(worker: int) -> None:
            for turn in range(500):
                number = (worker * 31 + turn) % 500
                found = service.get_key("s", f"k{number}")
                assert found is not None
                assert (found.key, found.value["n"]) == (f"k{number}", number)
                if turn % 10 == 0:
                    assert service.get_key("s", f"missing {worker}") is None

        with ThreadPoolExecutor(32) as threads:
            list(threads.map(work, range(32)))
        assert is_idle(service)


def test_values_of_any_size_travel_together(start_server, engine, pool, patient):
    server = start_server(engine)
    with ExecutionStoreService(address=server.address) as service:
        sizes = {"small": 10, "big 1": 2 * MIB, "big 2": 2 * MIB, "huge": 9 * MIB, "last": 20}
        for key, size in sizes.items():
            service.set_key("s", key, key.ljust(size))
        for order in (list(sizes), ["huge", "missing", "last"]):
            server.freeze()
            calls = get_behind(service, pool, "small", [*order, "missing"])
            server.thaw()
            assert values(calls) == [
                key.ljust(sizes[key]) if key in sizes else None
                for key in ["small", *order, "missing"]
            ]
            # Not what lets gets go by themselves for a while after an answer that was cut.
            service._connection._joined_reads._apart_until = 0.0


def test_gets_go_on_after_the_server_was_killed(start_server):
    server = start_server("lmdb")
    patience = RetryPolicy(wait_for_server=60)
    with ExecutionStoreService(address=server.address, retry=patience, timeout=60) as service:
        service.batch_set_keys("s", {f"k{worker}": worker for worker in range(16)})
        ended = threading.Event()
        counts: Counter[int] = Counter()

        def work(worker: int) -> None:
            while not ended.is_set():
                found = service.get_key("s", f"k{worker}")
                assert found is not None
                assert found.value == worker
                assert service.get_key("s", "missing") is None
                counts[worker] += 1

        def all_go_on() -> None:
            before = dict(counts)
            until(lambda: all(counts[n] > before.get(n, 0) + 1 for n in range(16)), "all go on")

        with ThreadPoolExecutor(16) as threads:
            workers = [threads.submit(work, worker) for worker in range(16)]
            try:
                for _ in range(2):
                    all_go_on()
                    server.restart()
                all_go_on()
            finally:
                ended.set()
            for worker in workers:
                worker.result(60)


def test_a_get_sees_what_was_set_before_it_began(server, dataset_id):
    with ExecutionStoreService(dataset_id, address=server.address) as service:
        service.set_key("s", "k", 0)
        acknowledged = 0
        ended = threading.Event()

        def read() -> int:
            count = 0
            while not ended.is_set():
                least = acknowledged
                found = service.get_key("s", "k")
                assert found is not None
                assert found.value >= least
                count += 1
            return count

        with ThreadPoolExecutor(16) as threads:
            readers = [threads.submit(read) for _ in range(16)]
            try:
                for number in range(1, 150):
                    service.set_key("s", "k", number)
                    acknowledged = number
            finally:
                ended.set()
            assert min(reader.result(60) for reader in readers) > 0


def test_one_thread_calls_for_each_key(scripted, reads):
    with open_json(scripted) as service:
        assert [service.get_key("s", f"k{n}").value for n in range(50)] == [
            f"k{n}" for n in range(50)
        ]
        assert service.get_key("s", "missing") is None
    assert set(scripted.names()) == {"GetKey"}


def test_many_threads_make_fewer_calls(scripted, reads, pool):
    with open_json(scripted) as service:
        asked = [f"k{n}" for n in range(1600)]
        documents = pool.map(lambda key: service.get_key("s", key), asked)
        assert [document.value for document in documents] == asked
    assert len(scripted.calls) < 1600 / 4


def test_those_that_wait_go_in_one_call(scripted, reads, pool, patient):
    reads.held = {"first"}
    with open_json(scripted) as service:
        calls = get_behind(service, pool, "first", ["a", "missing", "b", "a"])
        reads.released.set()
        assert values(calls) == ["first", "a", None, "b", "a"]
        # Nobody's document is also another's.
        assert calls[1].result() is not calls[4].result()
    assert reads.asked() == ["first", ["a", "missing", "b", "a"]]


def test_a_slow_call_holds_up_nobody(scripted, reads, pool):
    reads.held = {"slow"}
    with open_json(scripted) as service:
        slow = pool.submit(service.get_key, "s", "slow")
        until(lambda: scripted.calls, "the slow call is on its way")
        assert values([pool.submit(service.get_key, "s", "fast")]) == ["fast"]
        assert not slow.done()
        reads.released.set()
        assert values([slow]) == ["slow"]


def test_what_fails_for_all_fails_for_each_by_itself(scripted, reads, pool, patient):
    reads.held = {"first"}
    reads.failures = {
        "BatchGetKeys": Failure(grpc.StatusCode.UNAVAILABLE, "for all"),
        "denied": Failure(grpc.StatusCode.PERMISSION_DENIED, "for one", "DENIED"),
    }
    with open_json(scripted) as service:
        first, good, denied, missing = get_behind(
            service, pool, "first", ["good", "denied", "missing"]
        )
        reads.released.set()
        assert values([first, good, missing]) == ["first", "good", None]
        with pytest.raises(PermissionDeniedError, match="for one"):
            denied.result(60)
        check_apart(service, reads, pool)
    assert scripted.names().count("BatchGetKeys") == 1


def test_who_is_not_answered_asks_alone(scripted, reads, pool, patient):
    reads.held = {"first"}
    reads.unanswered = {"b"}
    with open_json(scripted) as service:
        calls = get_behind(service, pool, "first", ["a", "b", "missing"])
        reads.released.set()
        assert values(calls) == ["first", "a", "b", None]
        assert reads.asked() == ["first", ["a", "b", "missing"], "b"]
        check_apart(service, reads, pool)


def test_a_caller_that_fails_leaves_nobody_behind(scripted, reads, pool, patient, monkeypatch):
    def end(*_: object) -> None:
        raise RuntimeError("the thread ends here")

    monkeypatch.setattr(joined_reads.JoinedReads, "_call_for_all", end)
    reads.held = {"first"}
    with open_json(scripted) as service:
        first, leader, *others = get_behind(service, pool, "first", ["a", "b", "c"])
        reads.released.set()
        with pytest.raises(RuntimeError, match="ends here"):
            leader.result(60)
        assert values([first, *others]) == ["first", "b", "c"]
        assert is_idle(service)


def test_every_get_has_its_own_time(scripted, reads, pool, patient):
    reads.held = {"first", "early", "BatchGetKeys"}
    with open_json(scripted, timeout=1.5) as service:
        first, early = get_behind(service, pool, "first", ["early"])
        began = time.monotonic()
        until(lambda: time.monotonic() > began + 0.75, "half of their time is over")
        late = [pool.submit(service.get_key, "s", key) for key in ("late 1", "late 2")]
        texts = set()
        for call in (first, early):
            with pytest.raises(DeadlineExceededError) as raised:
                call.result(60)
            texts.add(raised.value.message)
        assert len(texts) == 1
        assert values(late) == ["late 1", "late 2"]
        reads.released.set()


def test_who_joins_has_its_own_time_too(scripted, reads, pool, patient):
    reads.held = {"first"}
    with open_json(scripted, timeout=3.0) as service:
        calls = [pool.submit(service.get_key, "s", "first")]
        until(lambda: scripted.calls, "the first get calls")

        def lead() -> None:
            until(lambda: lanes(service)[0].waiting, "the main thread waits")
            began = time.monotonic()
            until(lambda: time.monotonic() > began + 1.5, "half of its time is over")
            calls.append(pool.submit(service.get_key, "s", "leader"))
            until(lambda: len(lanes(service)[0].waiting) == 2, "both wait")
            # From here on, others are held back.
            first, reads.released = reads.released, threading.Event()
            reads.held = {"BatchGetKeys", "main"}
            first.set()

        leading = pool.submit(lead)
        with pytest.raises(DeadlineExceededError):
            service.get_key("s", "main")
        leading.result(60)
        # The thread that calls for it came later, and has time left.
        assert not calls[1].done()
        reads.released.set()
        assert values(calls[1:]) == ["leader"]
        assert reads.asked()[1] == ["leader", "main"]


@pytest.mark.parametrize("key", ["", "__store__", "x" * 2000])
def test_keys_that_may_be_refused_are_nobody_elses_matter(scripted, reads, pool, patient, key):
    reads.held = {"first"}
    reads.failures = {key: Failure(grpc.StatusCode.INVALID_ARGUMENT, "bad", "KEY_INVALID")}
    with open_json(scripted) as service:
        calls = get_behind(service, pool, "first", ["good"])
        with pytest.raises(InvalidArgumentError, match="bad"):
            service.get_key("s", key)
        with pytest.raises(InvalidArgumentError, match="surrogate"):
            service.get_key("s", "\ud800")
        reads.released.set()
        assert values(calls) == ["first", "good"]


def test_only_those_who_ask_alike_travel_together(scripted, reads, pool, patient):
    reads.held = {"first"}
    headers = {"who": "one"}
    with open_json(scripted, headers=lambda: dict(headers)) as service:
        calls = get_behind(service, pool, "first", ["a", "b"])
        assert service.get_key("other", "c").value == "c"
        assert service.with_context(secrets.token_hex(12)).get_key("s", "d").value == "d"
        assert service.get_key("s", "e", timeout=30).value == "e"
        assert service.get_key("s", "f", encoding="none").value is None
        headers["who"] = "two"
        assert service.get_key("s", "g").value == "g"
        reads.released.set()
        assert values(calls) == ["first", "a", "b"]
    who = [metadata["who"] for _, _, metadata in scripted.calls]
    # The first one may arrive after those that do not wait for it.
    assert sorted(map(str, zip(reads.asked(), who))) == sorted(
        map(str, [*((key, "one") for key in ["first", *"cdef", ["a", "b"]]), ("g", "two")])
    )


def test_close_waits_for_gets_that_wait(scripted, reads, pool, patient):
    reads.held = {"first"}
    service = open_json(scripted)
    calls = get_behind(service, pool, "first", ["a", "b"])
    closing = pool.submit(service.close)
    until(lambda: service._connection.closed, "the service closes")
    assert not closing.done()
    reads.released.set()
    closing.result(60)
    assert values(calls) == ["first", "a", "b"]


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="this system has no such signals")
def test_an_interrupt_of_a_get_that_waits_is_its_own_matter(scripted, reads, pool, patient):
    reads.held = {"first"}
    main = threading.main_thread().ident
    with open_json(scripted) as service:
        calls = get_behind(service, pool, "first", ["a"])

        def interrupt() -> None:
            until(lambda: len(lanes(service)[0].waiting) == 2, "the main thread waits")
            signal.pthread_kill(main, signal.SIGINT)

        interrupting = pool.submit(interrupt)
        with pytest.raises(KeyboardInterrupt):
            service.get_key("s", "interrupted")
        interrupting.result(60)
        calls.append(pool.submit(service.get_key, "s", "b"))
        until(lambda: len(lanes(service)[0].waiting) == 2, "another get waits")
        reads.released.set()
        assert values(calls) == ["first", "a", "b"]
    assert reads.asked() == ["first", ["a", "b"]]


def test_the_thread_that_interrupts_come_to_calls_for_nobody_else(scripted, reads, pool, patient):
    reads.held = {"first"}
    with open_json(scripted) as service:
        first = get_behind(service, pool, "first", [])

        def join() -> list[Future[Any]]:
            until(lambda: len(lanes(service)[0].waiting) == 1, "the main thread waits")
            others = []
            for number, key in enumerate("ab", 2):
                others.append(pool.submit(service.get_key, "s", key))
                until(lambda n=number: len(lanes(service)[0].waiting) == n, "a get waits")
            callers = next(iter(lanes(service))).waiting
            assert [caller.may_lead for caller in callers] == [False, True, True]
            reads.released.set()
            return others

        joining = pool.submit(join)
        assert service.get_key("s", "main").value == "main"
        assert values([*first, *joining.result(60)]) == ["first", "a", "b"]
    assert reads.asked() == ["first", ["a", "main", "b"]]
