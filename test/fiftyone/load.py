"""Writers of FiftyOne's side that work on the same keys as others do, at the same time."""

import random
import threading
import time

THREADS = 4
COUNTERS = 12
CHURNED = 8
CLAIMS = 1000


def run(service, store_name, seconds):
    """Works until the key "stop" is set, at most some seconds, and counts what this side did and saw."""
    deadline = time.monotonic() + seconds
    totals = {"increments": 0, "claims": 0, "churns": 0}
    faults = []
    lock = threading.Lock()

    def work(index):
        rng = random.Random(index)
        done = dict.fromkeys(totals, 0)
        try:
            while time.monotonic() < deadline and not service.has_key(
                store_name, "stop"
            ):
                done["increments"] += increment(service, store_name, rng)
                done["claims"] += claim(service, store_name, rng)
                churn(service, store_name, rng, f"python-{index}")
                done["churns"] += 1
        except Exception as error:  # pylint: disable=broad-except
            with lock:
                faults.append(f"{type(error).__name__}: {error}")
        with lock:
            for name, count in done.items():
                totals[name] += count

    threads = [
        threading.Thread(target=work, args=(index,)) for index in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {**totals, "faults": faults}


def increment(service, store_name, rng):
    """Adds one to a counter by compare-and-set; 1 if it did, 0 if another was faster."""
    key = f"counter-{rng.randrange(COUNTERS)}"
    document = service.get_key(store_name, key)
    if document is None:
        return int(service.set_key_if_absent(store_name, key, 1))
    count = document.value
    return int(service.compare_and_set_key(store_name, key, count, count + 1))


def claim(service, store_name, rng):
    """Claims a key that only one may have; 1 if it did."""
    key = f"claim-{rng.randrange(CLAIMS)}"
    return int(service.set_key_if_absent(store_name, key, "python"))


def churn(service, store_name, rng, writer):
    """Does any one thing to a key that all work on, and checks what it reads there."""
    key = f"churned-{rng.randrange(CHURNED)}"
    number = rng.randrange(1000)
    value = {"writer": writer, "number": number, "text": f"{writer} {number}"}
    action = rng.randrange(8)
    if action == 0:
        service.delete_key(store_name, key)
    elif action == 1:
        service.set_key(store_name, key, value, ttl=1)
    elif action == 2:
        service.update_ttl(store_name, key, 60)
    elif action == 3:
        service.set_cache_key(store_name, key, value)
    elif action == 4:
        service.set_key_if_absent(store_name, key, value, policy="evict")
    elif action == 5:
        service.list_keys(store_name)
    else:
        service.set_key(store_name, key, value)
    document = service.get_key(store_name, key)
    if document is not None:
        read = document.value
        if read["text"] != f"{read['writer']} {read['number']}":
            raise AssertionError(f"{key} holds a mixture of two values")
