"""The methods of the service, as its protocol describes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from google.protobuf.descriptor_pb2 import MethodOptions

from .v1 import execution_store_pb2 as pb


@dataclass(frozen=True)
class Method:
    """What matters about a method when it is called.

    Attributes:
        name: the name of the RPC
        repeatable: whether it may be sent again when its outcome is unknown
        writes: whether it may write
    """

    name: str
    repeatable: bool
    writes: bool


METHODS: Mapping[str, Method] = {
    method.name: Method(
        method.name,
        repeatable=method.GetOptions().idempotency_level != MethodOptions.IDEMPOTENCY_UNKNOWN,
        writes=not method.server_streaming
        and method.GetOptions().idempotency_level != MethodOptions.NO_SIDE_EFFECTS,
    )
    for method in pb.DESCRIPTOR.services_by_name["StoreService"].methods
}
