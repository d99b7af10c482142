"""A script of the scripted server for reads, of which many threads make many."""

from __future__ import annotations

import threading
from typing import Any

import grpc

from execution_store.v1 import execution_store_pb2 as pb
from scripted_server import Failure, ScriptedServer, fail


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
