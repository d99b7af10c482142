"""The synchronous client: a method per RPC."""

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

    **Threads and processes.** Any number of threads may use one service. A process that is forked
    makes a connection of its own at its first call and leaves that of its parent alone; watches,
    mirrors and subscriptions stay with the parent. gRPC itself does not survive a fork from a
    process whose other threads wait in it, as they do during a call and while a watch, a mirror or
    a subscription is open: calls of the child may then hang until their deadline. Fork before that,
    or start processes by "spawn".

    Example:
        ::

            with ExecutionStoreService(address="127.0.0.1:50051") as service:
                service.set_key("results", "image-17", {"width": 640}, ttl=3600)
                document = service.get_key("results", "image-17")
                if document is not None:
                    print(document.value, document.expires_at)
                for key in service.iter_keys("results", prefix="image-"):
                    print(key)
    """
