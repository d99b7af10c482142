"""Calls of the Python client, and the same calls of its generated stub alone.

Each method makes one call, which `turn` counts, and answers how many it counts for.
"""

import base64

import bson
import grpc

from execution_store import ExecutionStore, ExecutionStoreService, RawValue
from execution_store import aio
from execution_store.v1 import execution_store_pb2 as pb
from execution_store.v1 import execution_store_pb2_grpc as pb_grpc

# So many that asking for the time between them does not count.
MIRROR_READS = 1000
CHANGES = ("created", "updated")
CHANNEL = [("grpc.max_receive_message_length", 33 << 20)]


class Plan:
    """What to call with."""

    def __init__(self, plan):
        self.dataset_id = plan["datasetId"]
        self.stores = plan["stores"]
        self.entries = [
            (entry["key"], entry["value"], base64.b64decode(entry["bson"]))
            for entry in plan["entries"]
        ]
        self.batch = plan["batch"]
        self.changes = plan["changes"]
        self.resume_token = plan["resumeToken"]

    def entry(self, turn):
        return self.entries[turn % len(self.entries)]


def check(holds, otherwise="a key is missing"):
    if not holds:
        raise LookupError(otherwise)


class Values(Plan):
    """What to call a client with: values, or their bytes."""

    def __init__(self, plan, values):
        super().__init__(plan)
        self.encoding = "auto" if values else "raw"
        self.written = [
            (key, value if values else RawValue(encoded)) for key, value, encoded in self.entries
        ]

    def pair(self, turn):
        return self.written[turn % len(self.written)]


class Client:
    """The client."""

    def __init__(self, server, plan, values):
        self.plan = Values(plan, values)
        self.service = ExecutionStoreService(self.plan.dataset_id, address=server)
        self.read = ExecutionStore(self.plan.stores["read"], self.service)
        self.reflected = None
        self.awaited = None

    def get(self, turn):
        key, _, _ = self.plan.entry(turn)
        document = self.service.get_key(
            self.plan.stores["read"], key, encoding=self.plan.encoding
        )
        check(document is not None)
        return 1

    def set(self, turn):
        key, value = self.plan.pair(turn)
        self.service.set_key(self.plan.stores["write"], key, value)
        return 1

    def batch_get(self, _turn):
        found = self.service.batch_get_keys(
            self.plan.stores["read"], self.plan.batch, encoding=self.plan.encoding
        )
        check(len(found) == len(self.plan.batch))
        return 1

    def mirror(self, turn):
        if self.reflected is None:
            self.reflected = self.read.mirror()
            self.reflected.wait_ready()
        mirror = self.reflected
        for step in range(turn, turn + MIRROR_READS):
            check(mirror[self.plan.entry(step)[0]] is not None)
        return MIRROR_READS

    def catch_up(self, _turn):
        events = 0
        with self.service.watch_keys(
            self.plan.stores["changed"],
            resume_token=self.plan.resume_token,
            encoding=self.plan.encoding,
        ) as watch:
            for event in watch:
                if event.type in CHANGES:
                    events += 1
                    if events == self.plan.changes:
                        break
        return events

    def round_trip(self, turn):
        store = self.plan.stores["awaited"]
        if self.awaited is None:
            self.awaited = self.service.watch_keys(store, encoding=self.plan.encoding)
            next(self.awaited)
        key, value = self.plan.pair(turn)
        self.service.set_key(store, key, value)
        while next(self.awaited).type not in CHANGES:
            pass
        return 1


class Requests:
    """Requests and answers of a stub: with values or, bare, with ready bytes that nothing looks into."""

    def __init__(self, plan, values):
        self.plan = Plan(plan)
        self.stores = self.plan.stores
        self.values = values

    def look(self, documents):
        """Decodes the values, if there are to be values."""
        if self.values:
            for document in documents:
                bson.decode(document.value_bson)

    def get_request(self, turn):
        return pb.GetKeyRequest(
            dataset_id=self.plan.dataset_id,
            store_name=self.stores["read"],
            key=self.plan.entry(turn)[0],
            encoding=pb.VALUE_ENCODING_BSON,
        )

    def set_request(self, store, turn):
        key, value, encoded = self.plan.entry(turn)
        return pb.SetKeyRequest(
            dataset_id=self.plan.dataset_id,
            store_name=store,
            key=key,
            value_bson=bson.encode({"value": value}) if self.values else encoded,
            policy=pb.KEY_POLICY_PERSIST,
        )

    def batch_request(self):
        return pb.BatchGetKeysRequest(
            dataset_id=self.plan.dataset_id,
            store_name=self.stores["read"],
            keys=self.plan.batch,
            encoding=pb.VALUE_ENCODING_BSON,
        )

    def watch_request(self, store, resume_token=""):
        return pb.WatchKeysRequest(
            dataset_id=self.plan.dataset_id,
            store_name=store,
            resume_token=resume_token,
            encoding=pb.VALUE_ENCODING_BSON,
        )


class Stub(Requests):
    """The generated stub alone; nothing looks into the answers."""

    def __init__(self, server, plan, values):
        super().__init__(plan, values)
        self.stub = pb_grpc.StoreServiceStub(grpc.insecure_channel(server, options=CHANNEL))
        self.awaited = None

    def get(self, turn):
        answer = self.stub.GetKey(self.get_request(turn))
        check(answer.HasField("document"))
        self.look([answer.document])
        return 1

    def set(self, turn):
        self.stub.SetKey(self.set_request(self.stores["write"], turn))
        return 1

    def batch_get(self, _turn):
        answer = self.stub.BatchGetKeys(self.batch_request())
        check(len(answer.documents) == len(self.plan.batch))
        self.look(answer.documents)
        return 1

    def catch_up(self, _turn):
        stream = self.stub.WatchKeys(
            self.watch_request(self.stores["changed"], self.plan.resume_token)
        )
        events = 0
        for message in stream:
            events += len(message.events)
            self.look([event.document for event in message.events])
            if events >= self.plan.changes:
                break
        stream.cancel()
        return events

    def round_trip(self, turn):
        store = self.stores["awaited"]
        if self.awaited is None:
            self.awaited = self.stub.WatchKeys(self.watch_request(store))
            next(self.awaited)
        self.stub.SetKey(self.set_request(store, turn))
        while True:
            message = next(self.awaited)
            self.look([event.document for event in message.events])
            if message.events:
                return 1


class AsyncClient:
    """The client for asyncio."""

    def __init__(self, server, plan, values):
        self.plan = Values(plan, values)
        self.service = aio.ExecutionStoreService(self.plan.dataset_id, address=server)

    async def get(self, turn):
        key, _, _ = self.plan.entry(turn)
        document = await self.service.get_key(
            self.plan.stores["read"], key, encoding=self.plan.encoding
        )
        check(document is not None)
        return 1

    async def set(self, turn):
        key, value = self.plan.pair(turn)
        await self.service.set_key(self.plan.stores["write"], key, value)
        return 1

    async def batch_get(self, _turn):
        found = await self.service.batch_get_keys(
            self.plan.stores["read"], self.plan.batch, encoding=self.plan.encoding
        )
        check(len(found) == len(self.plan.batch))
        return 1


class AsyncStub(Requests):
    """The generated stub alone, on a channel of asyncio."""

    def __init__(self, server, plan, values):
        super().__init__(plan, values)
        channel = grpc.aio.insecure_channel(server, options=CHANNEL)
        self.stub = pb_grpc.StoreServiceStub(channel)

    async def get(self, turn):
        answer = await self.stub.GetKey(self.get_request(turn))
        check(answer.HasField("document"))
        self.look([answer.document])
        return 1

    async def set(self, turn):
        await self.stub.SetKey(self.set_request(self.stores["write"], turn))
        return 1

    async def batch_get(self, _turn):
        answer = await self.stub.BatchGetKeys(self.batch_request())
        check(len(answer.documents) == len(self.plan.batch))
        self.look(answer.documents)
        return 1
