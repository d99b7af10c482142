"""A server of WatchKeys alone, whose calls a test plays: for what no real server says on demand."""

from __future__ import annotations

import queue
import threading
from concurrent import futures
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from execution_store.v1 import execution_store_pb2 as pb
from execution_store.wire_errors import _DETAIL_CLASSES, _Status
from store_server import until

_PREFIX = "type.googleapis.com/google.rpc."
_METHOD = "/execution_store.v1.StoreService/WatchKeys"
AT = Timestamp(seconds=1_700_000_000)


class ScriptedCall:
    """One WatchKeys call, of which the test is the server."""

    def __init__(self, request: pb.WatchKeysRequest, context: grpc.ServicerContext):
        self.request = request
        self.metadata = dict(context.invocation_metadata())
        self.cancelled = threading.Event()
        # How many messages the gRPC library has asked for, which it does as the client takes them.
        self.taken = 0
        self._context = context
        self._script: queue.Queue[Any] = queue.Queue()
        context.add_callback(self._over)

    def send(self, *messages: pb.WatchKeysResponse) -> None:
        for message in messages:
            self._script.put(message)

    def end(
        self,
        code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE,
        reason: str | None = "SHUTTING_DOWN",
        *,
        text: str = "it is over",
        retry_after: float | None = 0.001,
        **metadata: str,
    ) -> None:
        """Ends the call with an error of ours, or without a reason with a bare status."""
        self._script.put((code, text, reason, retry_after, metadata))

    def finish(self) -> None:
        """Ends the call with OK, which no server of ours does."""
        self._script.put(None)

    def play(self) -> Any:
        while True:
            step = self._script.get()
            if step is None:
                return
            if isinstance(step, tuple):
                code, text, reason, retry_after, metadata = step
                if reason is not None:
                    status = _rich_status(code, text, reason, retry_after, metadata)
                    self._context.set_trailing_metadata((("grpc-status-details-bin", status),))
                self._context.abort(code, text)
            self.taken += 1
            yield step

    def _over(self) -> None:
        self.cancelled.set()
        self._script.put(None)


class ScriptedWatches:
    """Every other method is UNIMPLEMENTED."""

    def __init__(self, address: str = "127.0.0.1:0"):
        self.calls: list[ScriptedCall] = []
        self._server = grpc.server(
            futures.ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)]
        )
        handler = grpc.unary_stream_rpc_method_handler(
            self._play,
            request_deserializer=pb.WatchKeysRequest.FromString,
            response_serializer=pb.WatchKeysResponse.SerializeToString,
        )
        service, method = _METHOD.strip("/").split("/")
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, {method: handler}),)
        )
        port = self._server.add_insecure_port(address)
        self.address = f"127.0.0.1:{port}"
        self._server.start()

    def call(self, index: int) -> ScriptedCall:
        until(lambda: len(self.calls) > index, f"call {index} comes in")
        return self.calls[index]

    def close(self) -> None:
        self._server.stop(0).wait()

    def _play(self, request: pb.WatchKeysRequest, context: grpc.ServicerContext) -> Any:
        call = ScriptedCall(request, context)
        self.calls.append(call)
        return call.play()


def _rich_status(
    code: grpc.StatusCode,
    text: str,
    reason: str,
    retry_after: float | None,
    metadata: dict[str, str],
) -> bytes:
    status = _Status(code=code.value[0], message=text)
    info = _DETAIL_CLASSES[f"{_PREFIX}ErrorInfo"](
        reason=reason, domain="execution-store", metadata=metadata
    )
    details = {"ErrorInfo": info}
    if retry_after is not None:
        retry = _DETAIL_CLASSES[f"{_PREFIX}RetryInfo"]()
        retry.retry_delay.FromNanoseconds(round(retry_after * 1e9))
        details["RetryInfo"] = retry
    for name, detail in details.items():
        status.details.add(type_url=f"{_PREFIX}{name}", value=detail.SerializeToString())
    return bytes(status.SerializeToString())


def started(token: str = "", interval: float = 10.0) -> pb.WatchKeysResponse:
    whole = int(interval)
    return pb.WatchKeysResponse(
        kind=pb.WatchKeysResponse.KIND_STARTED,
        resume_token=token,
        progress_interval=Duration(seconds=whole, nanos=round((interval - whole) * 1e9)),
    )


def snapshot(*events: pb.KeyEvent) -> pb.WatchKeysResponse:
    return pb.WatchKeysResponse(kind=pb.WatchKeysResponse.KIND_SNAPSHOT, events=events)


def complete(token: str) -> pb.WatchKeysResponse:
    return pb.WatchKeysResponse(
        kind=pb.WatchKeysResponse.KIND_SNAPSHOT_COMPLETE, resume_token=token
    )


def events(token: str, *told: pb.KeyEvent) -> pb.WatchKeysResponse:
    return pb.WatchKeysResponse(
        kind=pb.WatchKeysResponse.KIND_EVENTS, resume_token=token, events=told
    )


def progress(token: str) -> pb.WatchKeysResponse:
    return pb.WatchKeysResponse(kind=pb.WatchKeysResponse.KIND_PROGRESS, resume_token=token)


def existing(key: str, value: object = 1, etag: str = "e1") -> pb.KeyEvent:
    return pb.KeyEvent(type=pb.KeyEvent.TYPE_EXISTING, document=document(key, value, etag))


def created(key: str, value: object = 1, etag: str = "e1") -> pb.KeyEvent:
    return pb.KeyEvent(
        type=pb.KeyEvent.TYPE_CREATED, document=document(key, value, etag), commit_time=AT
    )


def updated(key: str, value: object = 1, etag: str = "e2") -> pb.KeyEvent:
    return pb.KeyEvent(
        type=pb.KeyEvent.TYPE_UPDATED, document=document(key, value, etag), commit_time=AT
    )


def deleted(key: str) -> pb.KeyEvent:
    return pb.KeyEvent(
        type=pb.KeyEvent.TYPE_DELETED,
        document=pb.KeyDocument(store_name="jobs", key=key),
        commit_time=AT,
    )


def expired(key: str) -> pb.KeyEvent:
    return pb.KeyEvent(
        type=pb.KeyEvent.TYPE_EXPIRED,
        document=pb.KeyDocument(store_name="jobs", key=key),
        commit_time=AT,
    )


def document(key: str, value: object = 1, etag: str = "e1") -> pb.KeyDocument:
    import bson

    return pb.KeyDocument(
        store_name="jobs",
        key=key,
        value_bson=bson.encode({"value": value}),
        created_at=AT,
        updated_at=AT,
        policy=pb.KEY_POLICY_PERSIST,
        etag=etag,
    )
