"""Reads that many threads make at once, and a script of the scripted server for them."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import grpc

from execution_store import ExecutionStoreService
from execution_store.v1 import execution_store_pb2 as pb
from scripted_server import Failure, ScriptedServer, fail
from store_server import until


class Reads:
    """Any number of reads: the value of a key is its name, "missing" is missing."""

    def __init__(self, server: ScriptedServer):
        self._server = server
        self.released = threading.Event()
        # What waits until it is released, and what fails: by the method or the key.
        self.held: set[str] = set()
        self.failures: dict[str, Failure] = {}
        # Keys of which joined reads hear nothing.
        self.unanswered: set[str] = set()
        server.answers = self  # type: ignore[assignment]

    def popleft(self) -> Any:
        return self._answer

    def _answer(self, request: Any, context: grpc.ServicerContext) -> Any:
        joined = isinstance(request, pb.BatchGetKeysRequest)
        for name in ["BatchGetKeys"] if joined else ["GetKey", request.key]:
            if name in self.held:
                assert self.released.wait(60)
            if name in self.failures:
                fail(context, self.failures[name])
        if joined:
            missing = [key for key in request.keys if key == "missing"]
            there = dict.fromkeys(request.keys).keys() - {"missing", *self.unanswered}
            return pb.BatchGetKeysResponse(documents=map(document, there), missing_keys=missing)
        if request.key == "missing":
            fail(context, Failure(grpc.StatusCode.NOT_FOUND, reason="KEY_NOT_FOUND"))
        return pb.GetKeyResponse(document=document(request.key))

    def asked(self) -> list[Any]:
        """The keys of each call, in the order of the calls; those of joined ones as a list."""
        return [
            list(request.keys) if name == "BatchGetKeys" else request.key
            for name, request, _ in self._server.calls
        ]


def document(key: str) -> pb.KeyDocument:
    return pb.KeyDocument(key=key, store_name="s", value={"string_value": key}, policy=1)


def lanes(service: ExecutionStoreService) -> list[Any]:
    return list(service._connection._joined_reads._lanes.values())


def is_idle(service: ExecutionStoreService) -> bool:
    return not any(lane.calling or lane.waiting or lane.gate for lane in lanes(service))


def get_behind(
    service: ExecutionStoreService, pool: ThreadPoolExecutor, first: str, keys: list[str]
) -> list[Future[Any]]:
    """Gets a key, whose answer is held back, and then others, until all of these wait."""
    calls = [pool.submit(service.get_key, "s", first)]
    until(lambda: any(lane.calling for lane in lanes(service)), "the first get calls")
    for number, key in enumerate(keys, 1):
        calls.append(pool.submit(service.get_key, "s", key))
        until(lambda n=number: [len(lane.waiting) for lane in lanes(service)] == [n], "a get waits")
    return calls


def values(calls: list[Future[Any]]) -> list[Any]:
    documents = [call.result(60) for call in calls]
    return [None if each is None else each.value for each in documents]
