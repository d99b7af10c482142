"""Connections to real servers that come and go, by threads."""

from __future__ import annotations

import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from execution_store import ExecutionStoreService, RetryPolicy, StoreError, TlsOptions
from execution_store.v1 import execution_store_pb2 as pb
from scripted_server import ScriptedServer
from store_server import StoreServer, free_port, until


def test_a_client_may_start_before_its_server(start_server, open_service):
    address = f"127.0.0.1:{free_port()}"
    # As long as a loaded machine may take to start one.
    service = open_service(address=address, retry=RetryPolicy(wait_for_server=60), timeout=60)
    with ThreadPoolExecutor(1) as pool:
        server = pool.submit(start_server, "lmdb", listen=address)
        assert service.set_key_if_absent("s", "k", 1)
        server.result()


@pytest.mark.parametrize("scheme", ["tcp", "unix"])
def test_a_client_goes_on_after_a_restart(start_server, open_service, tmp_path, scheme):
    listen = "127.0.0.1:0" if scheme == "tcp" else f"unix:{tmp_path / 's'}"
    server = start_server("lmdb", listen=listen)
    service = open_service(address=server.address, retry=RetryPolicy(wait_for_server=60))
    for round_number in range(3):
        service.set_key("s", "k", round_number)
        server.restart()
        assert service.get_key("s", "k").value == round_number


def test_a_call_that_waits_for_its_server_notices_it_soon(start_server, open_service):
    server = start_server("lmdb")
    patient = RetryPolicy(wait_for_server=60)
    service = open_service(address=server.address, retry=patient, timeout=60)
    service.set_key("s", "k", 1)
    server.kill()
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(service.get_key, "s", "k")
        server.start()
        started = time.monotonic()
        assert call.result(60).value == 1
    # The library looks after a channel that nobody waits for every five seconds only.
    assert time.monotonic() - started < 3


def test_calls_under_way_survive_a_kill(start_server):
    server = start_server("lmdb")
    ended = threading.Event()
    acknowledged: dict[int, int] = {}

    with ExecutionStoreService(
        address=server.address, retry=RetryPolicy(wait_for_server=60), timeout=60
    ) as service:

        def write(worker: int) -> None:
            number = 0
            while not ended.is_set():
                number += 1
                service.set_key("s", f"w{worker}", number)
                acknowledged[worker] = number

        with ThreadPoolExecutor(4) as pool:
            writers = [pool.submit(write, worker) for worker in range(4)]
            until(lambda: len(acknowledged) == 4, "every thread wrote")
            server.restart()
            before = dict(acknowledged)
            until(
                lambda: all(acknowledged[worker] > before[worker] for worker in range(4)),
                "every thread goes on",
            )
            ended.set()
            for writer in writers:
                writer.result()
        for worker, number in acknowledged.items():
            assert service.get_key("s", f"w{worker}").value == number


def test_threads_share_a_service(lmdb_server, dataset_id):
    with ExecutionStoreService(dataset_id, address=lmdb_server.address) as service:

        def work(worker: int) -> int:
            wins = 0
            for number in range(50):
                key = f"k{worker}-{number}"
                service.set_key("s", key, {"worker": worker, "number": number})
                document = service.get_key("s", key)
                assert document is not None
                assert document.value == {"worker": worker, "number": number}
                assert document.key == key
                wins += service.set_key_if_absent("locks", str(number), worker).set
            return wins

        with ThreadPoolExecutor(16) as pool:
            assert sum(pool.map(work, range(16))) == 50
        assert service.count_keys("s") == 800


def test_a_document_is_read_by_many_threads_at_once(lmdb_server, dataset_id):
    with ExecutionStoreService(dataset_id, address=lmdb_server.address) as service:
        service.batch_set_keys("s", {f"k{number}": number for number in range(200)})
        barrier = threading.Barrier(8)

        def read(documents: list) -> list:
            barrier.wait()
            return [(each.value, each.key, each.updated_at, each.etag) for each in documents]

        documents = service.list_values("s")
        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(read, [documents] * 8))
        assert all(result == results[0] for result in results)


def test_close_waits_for_calls_and_ends_waiting_ones(scripted):
    released = threading.Event()
    entered = threading.Event()

    def slow(_request, _context):
        entered.set()
        released.wait(20)
        return pb.HasKeyResponse(exists=True)

    scripted.answers.append(slow)
    service = ExecutionStoreService(address=scripted.address)
    waiting = ExecutionStoreService(
        address="127.0.0.1:1", retry=RetryPolicy(wait_for_server=1000, initial_backoff=100)
    )
    with ThreadPoolExecutor(4) as pool:
        call = pool.submit(service.has_key, "s", "k")
        hopeless = pool.submit(waiting.has_key, "s", "k")
        assert entered.wait(20)
        closing = pool.submit(service.close)
        until(lambda: service._connection.closed, "the service closes")
        with pytest.raises(StoreError, match="after close"):
            service.has_key("s", "k")
        assert not closing.done()
        released.set()
        closing.result(20)
        assert call.result(20)
        started = time.monotonic()
        waiting.close()
        with pytest.raises(StoreError):
            hopeless.result(20)
        assert time.monotonic() - started < 20


def test_close_leaves_no_channel_to_a_watch_that_begins(lmdb_server, dataset_id):
    entered = threading.Event()
    released = threading.Event()

    def headers() -> dict[str, str]:
        entered.set()
        released.wait(20)
        return {}

    service = ExecutionStoreService(dataset_id, address=lmdb_server.address, headers=headers)
    with ThreadPoolExecutor(2) as pool:
        reading = pool.submit(service.watch_keys("s").next_event)
        assert entered.wait(20)
        closing = pool.submit(service.close)
        assert reading.result(20) is None
        released.set()
        closing.result(20)
    until(
        lambda: not any(thread.name == "execution-store-watch" for thread in threading.enumerate()),
        "the watch ends",
    )
    assert service._connection._channel is None


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    directory: Path = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-keyout",
            "key.pem",
            "-out",
            "cert.pem",
            "-subj",
            "/CN=store.test",
            "-addext",
            "subjectAltName=DNS:store.test",
        ],
        cwd=directory,
        check=True,
        capture_output=True,
    )
    return (directory / "key.pem").read_bytes(), (directory / "cert.pem").read_bytes()


def test_tls(certificate, open_service):
    key, cert = certificate
    server = ScriptedServer(grpc.ssl_server_credentials([(key, cert)]))
    server.answers += [pb.HasKeyResponse(exists=True)]
    trusting = TlsOptions(root_certificates=cert, server_name="store.test")
    assert open_service(address=server.address, tls=trusting).has_key("s", "k")
    assert key.decode() not in repr(TlsOptions(private_key=key, certificate_chain=cert))
    for tls in (True, TlsOptions(root_certificates=cert.decode()), False):
        service = open_service(address=server.address, tls=tls, retry=None, timeout=10)
        with pytest.raises(StoreError):
            service.has_key("s", "k")
    assert len(server.calls) == 1
    server.stop()


def test_the_environment_names_the_server(lmdb_server, dataset_id, open_service, monkeypatch):
    monkeypatch.setenv("EXECUTION_STORE_ADDRESS", lmdb_server.address)
    service = open_service(dataset_id)
    assert service.address == lmdb_server.address
    service.set_key("s", "k", 1)


def test_a_proxy_of_the_environment_is_not_for_this_machine(
    lmdb_server, dataset_id, open_service, monkeypatch
):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    assert isinstance(lmdb_server, StoreServer)
    service = open_service(dataset_id, address=lmdb_server.address, retry=None)
    assert not service.has_key("s", "k")
