"""Calls FiftyOne's own execution store, as its users do, for as long as it is asked to.

Its first argument is a file of JSON with the plan, and a POST asks for some load:
see direct-load.ts. It ends when its standard input does.
"""

import itertools
import threading
import time
from fiftyone_child import read_plan, serve

plan = read_plan()

# pylint: disable=wrong-import-position
from bson import ObjectId
from fiftyone.operators.store import ExecutionStoreService

service = ExecutionStoreService(dataset_id=ObjectId(plan["datasetId"]))
stores = plan["stores"]
entries = itertools.cycle(plan["entries"])
turn = threading.Lock()


def get(entry):
    if service.get_key(stores["get"], entry["key"]) is None:
        raise LookupError(f"{entry['key']} is missing")


def set_key(entry):
    service.set_key(stores["set"], entry["key"], entry["value"])


def set_with_ttl(entry):
    service.set_key(
        stores["set-ttl"], entry["key"], entry["value"], ttl=plan["ttlSeconds"]
    )


calls = {"get": get, "set": set_key, "set-ttl": set_with_ttl}


def load(call, threads, seconds):
    run = calls[call]
    counts = [0] * threads
    faults = []
    start = time.monotonic()

    def caller(index):
        try:
            while True:
                with turn:
                    entry = next(entries)
                run(entry)
                counts[index] += 1
                if time.monotonic() - start >= seconds:
                    return
        except Exception as error:  # pylint: disable=broad-except
            faults.append(f"FiftyOne failed: {type(error).__name__}: {error}")

    working = [
        threading.Thread(target=caller, args=(index,)) for index in range(threads)
    ]
    for thread in working:
        thread.start()
    for thread in working:
        thread.join()
    if faults:
        return {"error": faults[0]}
    return {"calls": sum(counts), "ms": 1000 * (time.monotonic() - start)}


serve(
    lambda request: load(request["call"], request["atOnce"], request["ms"] / 1000)
)
