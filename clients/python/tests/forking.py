"""Programs that fork, each run by test_forks.py in a process of its own.

gRPC does not survive a fork from a process whose other threads wait in it, as those of other tests
do.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from execution_store import ExecutionStoreService, joined_reads
from execution_store.v1 import execution_store_pb2 as pb
from scripted_server import ScriptedServer
from store_server import until

ROUNDS = 5


def exit_code(pid: int) -> int:
    deadline = time.monotonic() + 45
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            raise AssertionError("the forked process hangs")
        time.sleep(0.01)


def children(service: ExecutionStoreService) -> None:
    service.set_key("s", "parent", 0)
    for round_number in range(ROUNDS):
        pid = os.fork()
        if pid == 0:
            try:
                assert service.get_key("s", "parent").value == round_number
                service.set_key("s", f"child {round_number}", os.getpid())
                service.close()
                os._exit(0)
            except BaseException:
                sys.excepthook(*sys.exc_info())
                os._exit(1)
        assert exit_code(pid) == 0
        # The child's close has not touched this one.
        assert service.get_key("s", f"child {round_number}").value == pid
        service.set_key("s", "parent", round_number + 1)


SERVICE: ExecutionStoreService | None = None


def _pooled(number: int) -> object:
    assert SERVICE is not None
    SERVICE.set_key("s", f"p{number}", number)
    return SERVICE.get_key("s", f"p{number}").value


def pool_of_processes(service: ExecutionStoreService) -> None:
    global SERVICE  # noqa: PLW0603
    SERVICE = service
    service.set_key("s", "parent", 0)
    with multiprocessing.get_context("fork").Pool(3) as pool:
        assert pool.map_async(_pooled, range(30)).get(60) == list(range(30))
    assert service.count_keys("s") == 31


def close_beside_a_call(_service: ExecutionStoreService) -> None:
    entered = threading.Event()
    released = threading.Event()

    def slow(_request: object, _context: object) -> pb.HasKeyResponse:
        entered.set()
        released.wait(60)
        return pb.HasKeyResponse(exists=True)

    server = ScriptedServer()
    server.answers.append(slow)
    with ExecutionStoreService(address=server.address) as service, ThreadPoolExecutor(1) as pool:
        call = pool.submit(service.has_key, "s", "k")
        assert entered.wait(20)
        pid = os.fork()
        if pid == 0:
            # The parent's call, which no thread of this process will end, is not waited for.
            service.close()
            os._exit(0)
        assert exit_code(pid) == 0
        released.set()
        assert call.result(20)
    server.stop()


def beside_waiting_gets(_service: ExecutionStoreService) -> None:
    entered = threading.Event()
    released = threading.Event()
    document = pb.KeyDocument(key="k", store_name="s", policy=1)

    def slow(_request: object, _context: object) -> pb.GetKeyResponse:
        entered.set()
        released.wait(60)
        return pb.GetKeyResponse(document=document)

    joined_reads._PATIENCE = 60.0
    server = ScriptedServer()
    server.answers += [slow, pb.GetKeyResponse(document=document)]
    with ExecutionStoreService(address=server.address) as service, ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(service.get_key, "s", "k")]
        assert entered.wait(20)
        calls.append(pool.submit(service.get_key, "s", "k"))
        (lane,) = service._connection._joined_reads._lanes.values()
        until(lambda: lane.waiting, "a get waits")
        pid = os.fork()
        if pid == 0:
            # The gets of threads that this process does not have hold up none of its own.
            os._exit(1 if service._connection._joined_reads._lanes else 0)
        assert exit_code(pid) == 0
        released.set()
        assert all(call.result(20) is not None for call in calls)
    server.stop()


if __name__ == "__main__":
    name, address, dataset_id = sys.argv[1:]
    with ExecutionStoreService(dataset_id, address=address) as opened:
        globals()[name](opened)
    print("done")
