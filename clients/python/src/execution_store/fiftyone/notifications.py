"""FiftyOne's notifications, fed by the service: what the App's server tells browsers."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from typing import Any, Callable

from fiftyone.operators.store.notification_service import (
    POLL_INTERVAL_SECONDS,
    MongoChangeStreamNotificationService,
)

from ..errors import HistoryLostError, StoreError
from ..service import ExecutionStoreService
from ..watch import Watch
from ..watch_events import KeyRemovedEvent, KeySetEvent, WatchEvent
from .changes import Identity, Poller, StoreMessage, store_message
from .conversion import Conversion, in_dataset
from .subscriptions import NO_WATCHES, subscriptions

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
# How FiftyOne writes the context of stores tied to no dataset.
_NO_DATASET = "None"


class GrpcNotificationService(MongoChangeStreamNotificationService):  # type: ignore[misc]
    """Tells subscribers and, once it is started, server-sent events of the changes of all contexts.

    Args:
        service: whose connection and collection are used
        remote_notifier: FiftyOne's notifier of server-sent events, if any
    """

    _service: ExecutionStoreService

    def __init__(self, service: ExecutionStoreService, remote_notifier: Any = None) -> None:
        """Tells nobody of anything yet."""
        super().__init__(
            collection_name=service.collection_name or "execution_store",
            remote_notifier=remote_notifier,
        )
        self._service = in_dataset(service, None)

    def subscribe(
        self,
        store_name: str,
        callback: Callable[[Any], None],
        dataset_id: str | None = None,
    ) -> str:
        """Tells a callback what a store has, and each change; of all contexts without a dataset."""
        return subscriptions.subscribe(
            self._context(dataset_id), store_name, callback, all_contexts=dataset_id is None
        )

    def unsubscribe(self, subscription_id: str) -> bool:
        """Ends a subscription of this process; whether there was one."""
        return subscriptions.unsubscribe(subscription_id)

    def unsubscribe_all(self, store_name: str) -> None:
        """Ends the subscriptions to stores of a name, of all contexts."""
        subscriptions.unsubscribe_all(store_name)

    async def start(self, dedicated_event_loop: asyncio.AbstractEventLoop) -> None:
        """Tells of changes until stop()."""
        self.dedicated_event_loop = dedicated_event_loop
        self._stop_event = asyncio.Event()
        self._task = asyncio.create_task(self._run())
        try:
            await self._task
        except asyncio.CancelledError:
            logger.debug("Stopped telling of changes")

    async def stop(self) -> None:
        """Tells of nothing any more, subscribers of this process neither."""
        subscriptions.unsubscribe_all()
        await super().stop()

    async def _run(self) -> None:
        feed = _Feed(self, asyncio.get_running_loop())
        try:
            await self._stop_event.wait()
        finally:
            feed.close()

    async def _broadcast_current_state_for_store(
        self,
        store_name: str,
        dataset_id: str | None = None,
        callback: Callable[[Any], None] | None = None,
    ) -> None:
        if callback is None:
            return
        poller = Poller(self._context(dataset_id), store_name, all_contexts=dataset_id is None)
        loop = asyncio.get_running_loop()
        try:
            state = await loop.run_in_executor(None, lambda: list(poller.poll()))
            for _, message in state:
                callback(message)
        except Exception as error:
            logger.warning("Telling the state of store '%s' failed: %s", store_name, error)

    def _context(self, dataset_id: str | None) -> ExecutionStoreService:
        known = dataset_id not in (None, _NO_DATASET)
        return in_dataset(self._service, dataset_id if known else None)


class _Feed:
    """The thread that brings changes from the service to the loop of the notifications."""

    def __init__(
        self, notifications: GrpcNotificationService, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._notifications = notifications
        self._loop = loop
        self._conversion = Conversion.of_fiftyone()
        self._closed = threading.Event()
        self._watch: Watch | None = None
        threading.Thread(
            target=self._run, name="execution-store-notifications", daemon=True
        ).start()

    def close(self) -> None:
        """Ends it."""
        self._closed.set()
        watch = self._watch
        if watch is not None:
            watch.close()

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._follow()
            except HistoryLostError:
                # What was missed is not known; who listens gets the state as it is.
                self._tell_state()
            except StoreError as error:
                if error.reason == NO_WATCHES:
                    return self._poll()
                logger.warning("Watching the execution store failed: %s", error)
                self._closed.wait(_LOOK_SECONDS)
        return None

    def _follow(self) -> None:
        watch = self._notifications._service.watch_keys(all_contexts=True, encoding="raw")
        self._watch = watch
        with watch:
            while not self._closed.is_set():
                event = watch.next_event()
                if event is None:
                    return
                self._take(event)

    def _take(self, event: WatchEvent) -> None:
        if event.type == "started":
            # Only now: what a client is told as the state misses no change that follows.
            self._notifications.is_running = True
        if not isinstance(event, (KeySetEvent, KeyRemovedEvent)):
            return
        identity = event.dataset_id, event.store_name, event.key
        if isinstance(event, KeyRemovedEvent):
            self._tell(identity, store_message("delete", identity, time=event.commit_time))
            return
        operation = "insert" if event.type == "created" else "update"
        try:
            value = self._conversion.decode(event.document.value)
        except Exception as error:
            logger.warning("A value of '%s' cannot be read: %s", event.store_name, error)
            return
        self._tell(identity, store_message(operation, identity, value, event.commit_time))

    def _poll(self) -> None:
        logger.warning("This MongoDB is no replica set: looking for changes every few seconds")
        poller = Poller(self._notifications._service, "", all_contexts=True)
        while not self._closed.is_set():
            try:
                for identity, message in poller.poll():
                    if message.metadata.operation_type != "initial":
                        self._tell(identity, message)
                self._notifications.is_running = True
            except StoreError as error:
                logger.warning("Looking for changes failed: %s", error)
            self._closed.wait(POLL_INTERVAL_SECONDS)

    def _tell_state(self) -> None:
        notifier = self._notifications._remote_notifier
        for store_name in list(getattr(notifier, "store_queues", ())):
            poller = Poller(self._notifications._service, store_name, all_contexts=True)
            try:
                for identity, message in poller.poll():
                    self._tell(identity, message)
            except StoreError as error:
                logger.warning("Telling the state of store '%s' failed: %s", store_name, error)

    def _tell(self, identity: Identity, message: StoreMessage) -> None:
        """Hands a message to the loop, and waits: a slow loop holds the watch back."""
        try:
            told = asyncio.run_coroutine_threadsafe(
                self._notifications.notify(identity[1], message), self._loop
            )
        except RuntimeError:
            # The loop has ended, and this with it.
            self._closed.set()
            return
        while not self._closed.is_set():
            try:
                told.result(_LOOK_SECONDS)
                return
            except concurrent.futures.TimeoutError:
                continue
            except Exception as error:
                logger.warning("Telling of a change of '%s' failed: %s", identity[1], error)
                return
