"""Lets tests in another language call FiftyOne's own execution store.

Reads commands from standard input and answers on standard output, one line of
canonical MongoDB Extended JSON each, and ends when its input ends. The database
is the one of FIFTYONE_DATABASE_URI and FIFTYONE_DATABASE_NAME.
"""

import dataclasses
import os
import sys
import threading

# What FiftyOne prints must not mix with the answers.
answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)

# pylint: disable=wrong-import-position
import fiftyone as fo
import fiftyone.core.odm as foo
import fiftyone.operators.store.clone as clone
import fiftyone.operators.store.notification_service as notification_service
from bson import json_util
from fiftyone.operators import ExecutionContext, execution_cache
from fiftyone.operators.store import (
    ExecutionStore,
    ExecutionStoreService,
    TransientJobCoordinator,
)
from fiftyone.operators.store.subscription_registry import (
    InLocalMemorySubscriptionRegistry,
)

import load
import samples


def service_for(dataset_id=None, collection_name=None):
    return ExecutionStoreService(
        dataset_id=dataset_id, collection_name=collection_name
    )


def service(method, args=(), kwargs=None, **context):
    """Calls a method of ExecutionStoreService."""
    return getattr(service_for(**context), method)(*args, **(kwargs or {}))


def store(store_name, method, args=(), kwargs=None, **context):
    """Calls a method of ExecutionStore."""
    facade = ExecutionStore.create(store_name, **context)
    return getattr(facade, method)(*args, **(kwargs or {}))


def set_sample(store_name, key, sample, **context):
    """Sets a key to one of the values that samples.py names."""
    service_for(**context).set_key(store_name, key, samples.VALUES[sample])


def check_sample(store_name, key, sample, **context):
    """Says how a key's value differs from what Python reads of such a sample; None if it does not."""
    document = service_for(**context).get_key(store_name, key)
    if document is None:
        return "there is no such key"
    return samples.difference(samples.as_read(sample), document.value)


def set_number_names(store_name, key, **context):
    """Sets a key to a dict with a name that is no string, which JSON could not say."""
    service_for(**context).set_key(store_name, key, {1: "one"})


def set_nested(store_name, key, steps, **context):
    """Sets a key to a value of one and a half times as many levels."""
    service_for(**context).set_key(store_name, key, samples.nested(steps))


def sample_names():
    return list(samples.VALUES)


def method_names():
    """The public methods of FiftyOne's two classes."""
    return {
        name: [method for method in dir(cls) if not method.startswith("_")]
        for name, cls in (
            ("service", ExecutionStoreService),
            ("store", ExecutionStore),
        )
    }


#
# The execution cache
#

runs = []


@execution_cache(residency="transient", store_name="cached_of_dataset")
def cached_of_dataset(ctx, *args):
    runs.append(args)
    return computed(args)


@execution_cache(
    residency="transient",
    store_name="cached_of_none",
    link_to_dataset=False,
    ttl=600,
)
def cached_of_none(ctx, *args):
    runs.append(args)
    return computed(args)


@execution_cache(residency="hybrid", store_name="cached_in_memory")
def cached_in_memory(ctx, *args):
    runs.append(args)
    return computed(args)


CACHED = {
    "cached_in_memory": cached_in_memory,
    "cached_of_dataset": cached_of_dataset,
    "cached_of_none": cached_of_none,
}


def computed(args):
    """A result with everything that the cache turns into JSON types."""
    return {
        "args": list(args),
        "tuple": (1, 2.0, None),
        "bytes": b"\x00\xff",
        1: "a number as key",
        "nested": {"empty": {}, "none": []},
    }


def from_cache(args):
    """The same result, read from the cache: names are strings there."""
    return {str(name): value for name, value in computed(args).items()}


def cached(function, dataset_id, args, attribute=None):
    """Calls a cached function, or its clear_cache or set_cache.

    Says how often it really ran, and how its result differs from what it computes.
    """
    ctx = ExecutionContext(request_params={"dataset_id": str(dataset_id)})
    called = CACHED[function]
    if attribute is not None:
        called = getattr(called, attribute)
    del runs[:]
    result = called(ctx, *args)
    if attribute is not None:
        return None
    expected = computed(tuple(args)) if runs else from_cache(args)
    return {
        "runs": len(runs),
        "difference": samples.difference(expected, result),
    }


def clear_all_caches(function, dataset_id=None):
    CACHED[function].clear_all_caches(dataset_id=dataset_id)


#
# Datasets
#


def create_dataset():
    return fo.Dataset()._doc.id


def delete_dataset(dataset_id):
    fo.delete_dataset(foo.DatasetDocument.objects.get(id=dataset_id).name)


def clone_dataset(dataset_id, store_name):
    """Clones a dataset, with this execution store."""
    clone.register_cloneable_store(store_name)
    name = foo.DatasetDocument.objects.get(id=dataset_id).name
    return fo.load_dataset(name).clone()._doc.id


#
# Notifications
#


class Notifications:
    """FiftyOne's notification service, and what it told."""

    def __init__(self):
        self.service = notification_service.MongoChangeStreamNotificationService(
            collection_name="execution_store",
            registry=InLocalMemorySubscriptionRegistry(),
        )
        notification_service.MongoChangeStreamNotificationServiceLifecycleManager(
            self.service
        ).start_in_dedicated_thread()
        self.lock = threading.Lock()
        self.told = []

    def callback(self, store_name):
        def callback(message):
            told = {
                "store_name": store_name,
                "key": message.key,
                "value": message.value,
                "operation": message.metadata.operation_type,
                "dataset_id": message.metadata.dataset_id,
            }
            with self.lock:
                self.told.append(told)

        return callback


notifications = None


def notifications_start():
    global notifications
    notifications = Notifications()


def notifications_ready():
    return notifications.service.is_running


def subscribe(store_name, dataset_id=None):
    """As ExecutionStoreService.subscribe, with the collected callback."""
    service = ExecutionStoreService(
        repo=repo_with_notifications(dataset_id), dataset_id=dataset_id
    )
    return service.subscribe(store_name, notifications.callback(store_name))


def unsubscribe(subscription_id):
    service = ExecutionStoreService(repo=repo_with_notifications(None))
    return service.unsubscribe(subscription_id)


def repo_with_notifications(dataset_id):
    from fiftyone.factory.repos.execution_store import MongoExecutionStoreRepo

    return MongoExecutionStoreRepo(
        collection=foo.get_db_conn()["execution_store"],
        dataset_id=dataset_id,
        notification_service=notifications.service,
    )


def told():
    """What the subscriptions were told so far."""
    with notifications.lock:
        return list(notifications.told)


#
# Jobs and load
#


def job(store_name, method, args=(), kwargs=None, **context):
    """Calls a method of TransientJobCoordinator."""
    coordinator = TransientJobCoordinator(
        ExecutionStore.create(store_name, **context)
    )
    return getattr(coordinator, method)(*args, **(kwargs or {}))


def run_load(store_name, seconds, dataset_id=None, collection_name=None):
    return load.run(
        service_for(dataset_id, collection_name), store_name, seconds
    )


COMMANDS = {
    command.__name__: command
    for command in (
        service,
        store,
        set_sample,
        check_sample,
        set_number_names,
        set_nested,
        sample_names,
        method_names,
        cached,
        clear_all_caches,
        create_dataset,
        delete_dataset,
        clone_dataset,
        notifications_start,
        notifications_ready,
        subscribe,
        unsubscribe,
        told,
        job,
        run_load,
    )
}


def plain(result):
    """What Extended JSON can say of a result."""
    if dataclasses.is_dataclass(result):
        return dataclasses.asdict(result)
    if isinstance(result, list):
        return [plain(each) for each in result]
    return result


def answer(line):
    try:
        request = json_util.loads(line)
        command = COMMANDS[request.pop("command")]
        return {"result": plain(command(**request))}
    except Exception as error:  # pylint: disable=broad-except
        return {"error": {"type": type(error).__name__, "message": str(error)}}


def main():
    for line in sys.stdin:
        print(
            json_util.dumps(
                answer(line), json_options=json_util.CANONICAL_JSON_OPTIONS
            ),
            file=answers,
            flush=True,
        )
    # Threads of the notification service may be waiting for the database.
    os._exit(0)


if __name__ == "__main__":
    main()
