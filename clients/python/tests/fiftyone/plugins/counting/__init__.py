"""Operators as their authors write them: nothing here knows of the service."""

import os

import fiftyone.operators as foo
from fiftyone.operators import SseOperator, SseOperatorConfig, execution_cache


class CountInStore(foo.Operator):
    """Counts its own runs in the store of the dataset."""

    @property
    def config(self):
        return foo.OperatorConfig(
            name="count_in_store",
            label="Count in store",
            allow_immediate_execution=True,
            allow_delegated_execution=True,
        )

    def execute(self, ctx):
        store = ctx.store("runs")
        count = (store.get("count") or 0) + 1
        store.set("count", count)
        store.set_cache("last", {"params": ctx.params.get("note"), "pid": os.getpid()}, ttl=600)
        return {"count": count, "samples": len(ctx.dataset)}


@execution_cache(residency="transient", store_name="computed", ttl=600)
def compute(ctx, factor):
    return {"samples": len(ctx.dataset) * factor, "ran_in": os.getpid(), "tuple": (1, b"2")}


class CachedCount(foo.Operator):
    """Answers what a cached function computes."""

    @property
    def config(self):
        return foo.OperatorConfig(name="cached_count", label="Cached count")

    def execute(self, ctx):
        return compute(ctx, ctx.params["factor"])


class FollowStore(SseOperator):
    """Streams the changes of a store to the browser."""

    @property
    def subscription_config(self):
        return SseOperatorConfig(name="follow_store", label="Follow store", store_name="followed")


def register(plugin):
    plugin.register(CountInStore)
    plugin.register(CachedCount)
    plugin.register(FollowStore)
