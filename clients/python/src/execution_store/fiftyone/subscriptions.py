"""Subscriptions to stores: each is told what is there, and then every change, in order."""

from __future__ import annotations

import logging
import os
import threading
import uuid
from typing import Callable

from fiftyone.operators.message import MessageData
from fiftyone.operators.store.notification_service import POLL_INTERVAL_SECONDS

from ..errors import StoreError
from ..service import ExecutionStoreService
from ..watch import Watch
from ..watch_events import KeyExistingEvent, KeyRemovedEvent, KeySetEvent, WatchEvent
from .changes import Ledger, Poller, store_message
from .conversion import Conversion

logger = logging.getLogger(__name__)

Callback = Callable[[MessageData], None]

# Of a MongoDB that belongs to no replica set, and so has no change streams.
NO_WATCHES = "REPLICA_SET_REQUIRED"


class Subscription:
    """One callback, and the thread that calls it.

    Args:
        service: of the context of the store
        store_name: the store
        callback: hears of what is there and of each change; its errors are logged
        all_contexts: whether stores of this name in every context are meant
    """

    def __init__(
        self,
        service: ExecutionStoreService,
        store_name: str,
        callback: Callback,
        all_contexts: bool,
    ) -> None:
        """Begins at once."""
        self.service = service
        self.store_name = store_name
        self.all_contexts = all_contexts
        self._callback = callback
        self._conversion = Conversion.of_fiftyone()
        self._ledger = Ledger()
        self._closed = threading.Event()
        self._watch: Watch = service.watch_keys(
            store_name,
            all_contexts=all_contexts,
            snapshot=True,
            encoding="raw",
            on_history_lost="snapshot",
        )
        threading.Thread(target=self._run, name="execution-store-subscription", daemon=True).start()

    def close(self) -> None:
        """Ends it: the callback is not called any more. Idempotent."""
        self._closed.set()
        self._watch.close()

    def _run(self) -> None:
        try:
            for event in self._watch:
                self._tell_of(event)
        except StoreError as error:
            if error.reason == NO_WATCHES:
                self._poll()
            else:
                logger.warning("The subscription to store '%s' ended: %s", self.store_name, error)

    def _poll(self) -> None:
        poller = Poller(self.service, self.store_name, self.all_contexts)
        while not self._closed.is_set():
            try:
                for _, message in poller.poll():
                    self._tell(message)
            except StoreError as error:
                logger.warning("Looking for changes of '%s' failed: %s", self.store_name, error)
            self._closed.wait(POLL_INTERVAL_SECONDS)

    def _tell_of(self, event: WatchEvent) -> None:
        if isinstance(event, KeyExistingEvent):
            operation = self._ledger.exists(event.document)
            if operation is not None:
                self._tell_value(operation, event)
        elif isinstance(event, KeySetEvent):
            self._ledger.set(event.document)
            self._tell_value("insert" if event.type == "created" else "update", event)
        elif isinstance(event, KeyRemovedEvent):
            identity = event.dataset_id, event.store_name, event.key
            if self._ledger.remove(identity):
                # FiftyOne has no word for an expiry.
                self._tell(store_message("delete", identity, time=event.commit_time))
        elif event.type == "reset":
            self._ledger.begin_snapshot()
        elif event.type == "snapshot_complete":
            for identity in self._ledger.complete_snapshot():
                self._tell(store_message("delete", identity))

    def _tell_value(self, operation: str, event: KeyExistingEvent | KeySetEvent) -> None:
        identity = event.dataset_id, event.store_name, event.key
        try:
            value = self._conversion.decode(event.document.value)
        except Exception as error:
            logger.warning("A value of '%s' cannot be read: %s", event.store_name, error)
            return
        time = event.commit_time if isinstance(event, KeySetEvent) else event.document.updated_at
        self._tell(store_message(operation, identity, value, time))

    def _tell(self, message: MessageData) -> None:
        if self._closed.is_set():
            return
        try:
            self._callback(message)
        except Exception:
            logger.warning("A subscriber of store '%s' failed", self.store_name, exc_info=True)


class Subscriptions:
    """The subscriptions of this process, by id: whoever has the id may end one, as in FiftyOne.

    They do not cross a fork: a child has none.
    """

    def __init__(self) -> None:
        """There are none yet."""
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def subscribe(
        self,
        service: ExecutionStoreService,
        store_name: str,
        callback: Callback,
        all_contexts: bool = False,
    ) -> str:
        """Begins one; its id."""
        subscription = Subscription(service, store_name, callback, all_contexts)
        subscription_id = str(uuid.uuid4())
        with self._lock:
            self._by_id[subscription_id] = subscription
        return subscription_id

    def unsubscribe(self, subscription_id: str) -> bool:
        """Ends one; whether there was one."""
        with self._lock:
            subscription = self._by_id.pop(subscription_id, None)
        if subscription is not None:
            subscription.close()
        return subscription is not None

    def unsubscribe_all(
        self, store_name: str | None = None, service: ExecutionStoreService | None = None
    ) -> None:
        """Ends those of a store, or of all; with a service, those of its context."""
        with self._lock:
            ended = [
                subscription_id
                for subscription_id, each in self._by_id.items()
                if store_name in (None, each.store_name)
                and (service is None or _in_context(each, service))
            ]
        for subscription_id in ended:
            self.unsubscribe(subscription_id)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._by_id: dict[str, Subscription] = {}


def _in_context(subscription: Subscription, service: ExecutionStoreService) -> bool:
    mine = subscription.service
    return not subscription.all_contexts and (mine.dataset_id, mine.collection_name) == (
        service.dataset_id,
        service.collection_name,
    )


subscriptions = Subscriptions()
