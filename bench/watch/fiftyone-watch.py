"""Subscribes to FiftyOne's notification service and takes the time of every call.

Its first argument is a file of JSON with the plan, and a POST asks for the rest: see
fiftyone-watchers.ts. It ends when its standard input does.
"""

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

with open(sys.argv[1], encoding="utf-8") as file:
    plan = json.load(file)
os.environ["FIFTYONE_DATABASE_URI"] = plan["uri"]
os.environ["FIFTYONE_DATABASE_NAME"] = plan["database"]
os.environ["FIFTYONE_DO_NOT_TRACK"] = "true"

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


class Handler(BaseHTTPRequestHandler):
    """Answers a POST."""

    def do_POST(self):  # pylint: disable=invalid-name
        length = int(self.headers["Content-Length"])
        try:
            result = answer(json.loads(self.rfile.read(length)))
        except Exception as error:  # pylint: disable=broad-except
            result = {"error": f"FiftyOne failed: {type(error).__name__}: {error}"}
        body = json.dumps(result).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def end_with_input():
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=end_with_input, daemon=True).start()
server = HTTPServer(("127.0.0.1", 0), Handler)
address = f"127.0.0.1:{server.server_port}"
print(
    json.dumps({"msg": "serving", "addresses": [address]}), file=sys.stderr, flush=True
)
server.serve_forever()
