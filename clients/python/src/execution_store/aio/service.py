"""The asyncio client: a method per RPC."""

from __future__ import annotations

from .key_methods import KeyMethods
from .list_methods import ListMethods
from .store_methods import StoreMethods
from .watch_methods import WatchMethods

__all__ = ["ExecutionStoreService"]


class ExecutionStoreService(KeyMethods, ListMethods, StoreMethods, WatchMethods):
    """A client of the service: a method per RPC, with FiftyOne's names and plain values.

    None, bools, ints of 64 bits, floats, strs, lists, tuples, dicts with str keys, datetimes,
    bytes, UUIDs and, with pymongo installed, the classes of its package ``bson`` are values. With
    pymongo they travel as BSON, exact in every type; without it as JSON, where a whole float comes
    back as an int. Datetimes are in UTC, in whole milliseconds; naive ones are taken for UTC.

    A service sees the stores of one context: of a dataset, or of none. Methods ending in
    ``_global`` see all. It connects at the first call, and again by itself when the connection is
    lost.

    **Errors.** Every method raises :class:`StoreError` only; tell errors apart by class or by
    `reason`. On errors of writes, `outcome` says whether anything was written. A missing key or
    store is None for ``get_key`` and ``get_store``; ``update_ttl`` and ``update_policy`` raise
    :class:`KeyNotFoundError`.

    **Repetition.** A server that cannot be reached is tried again for ten seconds
    (``RetryPolicy.wait_for_server``). Calls that fail as UNAVAILABLE after they were sent are
    repeated a few times within their time, if that is safe: reads; writes that were certainly not
    applied; and of unknown outcome those that may be applied twice. ``set_key_if_absent``,
    ``compare_and_set_key`` and ``create_store`` of unknown outcome raise instead: read what is
    there first, then decide. Where a repetition happened, the answer is that of the last attempt:
    deletions and counts leave out what an attempt before it did, and a ttl counts from the last
    attempt.

    **Event loops and processes.** A service belongs to the event loop of its first call, whose
    tasks may share it; when that loop is closed, the loop of the next call takes its place. A task
    that is cancelled cancels its call, whose outcome is then unknown. It does not cross a fork:
    start processes by "spawn", or fork before the first call.

    Example:
        ::

            async with ExecutionStoreService(address="127.0.0.1:50051") as service:
                await service.set_key("results", "image-17", {"width": 640}, ttl=3600)
                document = await service.get_key("results", "image-17")
                if document is not None:
                    print(document.value, document.expires_at)
                async for key in service.iter_keys("results", prefix="image-"):
                    print(key)
    """
