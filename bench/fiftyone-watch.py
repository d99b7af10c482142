"""Subscribes to FiftyOne's notification service and takes the time of every call.

Its first argument is a file of JSON with the plan, and a POST asks for the rest: see
fiftyone-watchers.ts. It ends when its standard input does.
"""

import os
import time
from fiftyone_child import read_plan, serve

plan = read_plan()

# pylint: disable=wrong-import-position
import fiftyone.core.odm as foo
import fiftyone.operators.store.notification_service as notification_service
from bson import ObjectId
from fiftyone.factory.repos.execution_store import MongoExecutionStoreRepo
from fiftyone.operators.store import ExecutionStoreService
from fiftyone.operators.store.subscription_registry import (
    InLocalMemorySubscriptionRegistry,
)

READY_LIMIT_SECONDS = 60
PROBE_STORE = "probe"
STAMP_PREFIX = "sent@"

notifications = notification_service.MongoChangeStreamNotificationService(
    collection_name="execution_store",
    registry=InLocalMemorySubscriptionRegistry(),
)
notification_service.MongoChangeStreamNotificationServiceLifecycleManager(
    notifications
).start_in_dedicated_thread()
dataset_id = ObjectId(plan["datasetId"])
service = ExecutionStoreService(
    repo=MongoExecutionStoreRepo(
        collection=foo.get_db_conn()["execution_store"],
        dataset_id=dataset_id,
        notification_service=notifications,
    ),
    dataset_id=dataset_id,
)
subscriptions = []
delays = []
probes = set()


def told(message):
    now = time.monotonic_ns() // 1000
    if message.metadata.operation_type != "initial":
        delays.append(now - int(message.value["sent"][len(STAMP_PREFIX) :]))


service.subscribe(PROBE_STORE, lambda message: probes.add(message.value))


def wait_until_current():
    """Only what it tells says that its change stream is open, and has come past all that was written before."""
    begin = time.monotonic()
    while not any(probe >= begin for probe in probes):
        if time.monotonic() > begin + READY_LIMIT_SECONDS:
            raise TimeoutError("FiftyOne's notification service tells nothing")
        service.set_key(PROBE_STORE, "key", time.monotonic())
        time.sleep(0.1)
    probes.clear()


def answer(order):
    if order["do"] == "open":
        wait_until_current()
        subscriptions.extend(
            service.subscribe(store, told) for store in order["stores"]
        )
    elif order["do"] == "reset":
        delays.clear()
    elif order["do"] == "close":
        for subscription in subscriptions:
            service.unsubscribe(subscription)
        subscriptions.clear()
    elif order["do"] == "read":
        return {"events": len(delays), "values": list(delays)}
    return {"events": len(delays)}


serve(answer)
