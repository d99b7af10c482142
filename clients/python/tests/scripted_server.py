"""A gRPC server that answers by a script, for failures that no real server makes at will."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from execution_store.v1 import execution_store_pb2

PACKAGE = Path(execution_store_pb2.__file__).parent


@dataclass
class Failure:
    """How a call ends."""

    code: grpc.StatusCode
    message: str = "scripted"
    reason: str | None = None
    outcome: str | None = None
    retry_after: float | None = None
    metadata: dict[str, str] | None = None


class ScriptedServer:
    """Takes answers from a queue: messages, Failures, or functions of request and context."""

    def __init__(self, credentials: grpc.ServerCredentials | None = None):
        self.answers: deque[Any] = deque()
        self.calls: list[tuple[str, Any, dict[str, Any]]] = []
        self._server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
        handlers = {
            method.name: grpc.unary_unary_rpc_method_handler(
                self._handler(method.name),
                getattr(execution_store_pb2, method.input_type.name).FromString,
                lambda message: message.SerializeToString(),
            )
            for method in execution_store_pb2.DESCRIPTOR.services_by_name["StoreService"].methods
            if not method.server_streaming
        }
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("execution_store.v1.StoreService", handlers),)
        )
        if credentials is None:
            self.port = self._server.add_insecure_port("127.0.0.1:0")
        else:
            self.port = self._server.add_secure_port("127.0.0.1:0", credentials)
        self._server.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def names(self) -> list[str]:
        return [name for name, _, _ in self.calls]

    def stop(self) -> None:
        self._server.stop(None).wait()

    def _handler(self, name: str) -> Any:
        def handle(request: Any, context: grpc.ServicerContext) -> Any:
            self.calls.append((name, request, dict(context.invocation_metadata())))
            answer = self.answers.popleft()
            if callable(answer):
                answer = answer(request, context)
            if isinstance(answer, Failure):
                fail(context, answer)
            return answer

        return handle


def fail(context: grpc.ServicerContext, failure: Failure) -> None:
    if failure.reason is not None:
        context.set_trailing_metadata((("grpc-status-details-bin", details_of(failure)),))
    context.abort(failure.code, failure.message)


def details_of(failure: Failure) -> bytes:
    pool = descriptor_pool.DescriptorPool()
    files = (PACKAGE / "error_details.binpb").read_bytes()
    for file in descriptor_pb2.FileDescriptorSet.FromString(files).file:
        pool.Add(file)

    def cls(name: str) -> Any:
        return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"google.rpc.{name}"))

    metadata = dict(failure.metadata or {})
    if failure.outcome is not None:
        metadata["outcome"] = failure.outcome
    details = [cls("ErrorInfo")(domain="execution-store", reason=failure.reason, metadata=metadata)]
    if failure.retry_after is not None:
        info = cls("RetryInfo")()
        info.retry_delay.seconds = int(failure.retry_after)
        info.retry_delay.nanos = round(failure.retry_after % 1 * 1e9)
        details.append(info)
    status = cls("Status")(code=failure.code.value[0], message=failure.message)
    for detail in details:
        packed = status.details.add()
        packed.type_url = f"type.googleapis.com/{detail.DESCRIPTOR.full_name}"
        packed.value = detail.SerializeToString()
    return bytes(status.SerializeToString())
