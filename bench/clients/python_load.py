"""Loads servers by the Python client, or by its generated stub alone: see load-plan.ts.

The first argument is `threads` or `asyncio`, the second a file of JSON with the plan.
"""

import asyncio
import itertools
import json
import math
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "clients/python/src"), str(ROOT / "bench")]

# pylint: disable=wrong-import-position
from fiftyone_child import serve
from python_callers import AsyncClient, AsyncStub, Client, Stub


def quantile(times, share):
    """The smallest of the sorted times that so many of all are not above, in milliseconds."""
    return 1000 * times[max(1, math.ceil(share * len(times))) - 1]


def answer(calls, seconds, times):
    times.sort()
    return {
        "calls": calls,
        "ms": 1000 * seconds,
        "p50": quantile(times, 0.5),
        "p99": quantile(times, 0.99),
    }


class Threads:
    """Makes calls from threads."""

    callers = {"client": Client, "stub": Stub}

    def load(self, call, at_once, seconds):
        """Calls again and again from so many threads, until the time is over."""
        counts = [0] * at_once
        times = [[] for _ in range(at_once)]
        faults = []
        start = time.perf_counter()
        until = start + seconds

        def work(worker):
            now = start
            mine = times[worker]
            try:
                while now < until:
                    counts[worker] += call(next(turns))
                    then, now = now, time.perf_counter()
                    mine.append(now - then)
            except Exception as error:  # pylint: disable=broad-except
                faults.append(error)

        if at_once == 1:
            work(0)
        else:
            workers = [threading.Thread(target=work, args=(index,)) for index in range(at_once)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
        if faults:
            raise faults[0]
        passed = time.perf_counter() - start
        return answer(sum(counts), passed, list(itertools.chain(*times)))


class Tasks:
    """Makes calls from tasks of asyncio."""

    callers = {"client": AsyncClient, "stub": AsyncStub}

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        # Channels of asyncio belong to the loop that is there when they are made.
        asyncio.set_event_loop(self.loop)

    def load(self, call, at_once, seconds):
        """Calls again and again from so many tasks, until the time is over."""
        return self.loop.run_until_complete(self._load(call, at_once, seconds))

    async def _load(self, call, at_once, seconds):
        times = []
        start = time.perf_counter()
        until = start + seconds

        async def work():
            calls = 0
            now = start
            while now < until:
                calls += await call(next(turns))
                then, now = now, time.perf_counter()
                times.append(now - then)
            return calls

        counts = await asyncio.gather(*(work() for _ in range(at_once)))
        return answer(sum(counts), time.perf_counter() - start, times)


manner = {"threads": Threads, "asyncio": Tasks}[sys.argv[1]]()
plan = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
turns = itertools.count()
made = {}


def load(request):
    """Does what a POST asks for."""
    whom = (request["by"], request["server"], request["values"])
    if whom not in made:
        made[whom] = manner.callers[request["by"]](request["server"], plan, request["values"])
    call = getattr(made[whom], request["call"].replace("-", "_"))
    return manner.load(call, request["atOnce"], request["ms"] / 1000)


serve(load)
