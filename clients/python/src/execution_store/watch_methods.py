"""The methods of the synchronous service that are about watching keys."""

from __future__ import annotations

from collections.abc import Iterable

from .retry import RetryPolicy
from .service_base import ServiceBase
from .subscription import ErrorHandler, StoreCallback
from .watch import Watch
from .watch_events import KeyEventType
from .watch_options import (
    BUFFER_BYTES,
    BUFFER_EVENTS,
    DEFAULT_WATCH_RETRY,
    Interval,
    OnHistoryLost,
    OnInterruption,
    watch_settings,
)


class WatchMethods(ServiceBase):
    """Watching and subscribing."""

    def watch_keys(
        self,
        store_name: str | None = None,
        *,
        key: str | None = None,
        key_prefix: str = "",
        all_contexts: bool = False,
        snapshot: bool = False,
        resume_token: str | None = None,
        event_types: Iterable[KeyEventType] | None = None,
        encoding: str = "auto",
        include_previous: bool = False,
        progress_interval: Interval | None = None,
        buffer_events: int = BUFFER_EVENTS,
        buffer_bytes: int = BUFFER_BYTES,
        on_history_lost: OnHistoryLost = "raise",
        on_interruption: OnInterruption | None = None,
        retry: RetryPolicy | None = DEFAULT_WATCH_RETRY,
    ) -> Watch:
        """Watches keys: every change from now on, or what is there first, or after a token.

        Args:
            store_name: only keys of this store; None for those of every store of the context
            key: only this key; excludes `key_prefix`
            key_prefix: only keys that start with it
            all_contexts: the keys of all contexts, for a service tied to no dataset
            snapshot: first tell what is there now, as "existing" events up to "snapshot_complete",
                then changes
            resume_token: go on behind the event that had this token, of a watch of the same keys;
                excludes `snapshot`
            event_types: only events of these types, such as ``["created", "updated"]``, "existing"
                of a snapshot included; None for all
            encoding: the form of the values, as in ``get_key``
            include_previous: tell what the key held just before each change, too
            progress_interval: seconds, or a timedelta, between two signs of life where nothing
                matches; None for 10 s. The server raises it to its minimum; "started" says the one
                in force. A connection that is silent for three times as long, and for a second, is
                given up for a new one.
            buffer_events: events that wait for the consumer before no more are taken from the
                connection, at least 1
            buffer_bytes: bytes, as they travel, that wait for the consumer likewise, at least 1
            on_history_lost: what to do where the changes since the last event cannot be told any
                more: "raise" HistoryLostError, or tell it by a "reset" event and go on with a new
                "snapshot", also if none was asked for at first
            on_interruption: hears of each lost connection, with its StoreError and the seconds
                until the next is tried: for logs. What it raises ends the watch.
            retry: how it connects again when the connection is lost; None for never

        Returns:
            an iterator of events, which connects when it is first read; see :class:`Watch`

        Raises:
            InvalidArgumentError: if an argument cannot be used; what only the server can tell comes
                when the watch is read
        """
        settings = watch_settings(
            self._calls,
            store_name=store_name,
            key=key,
            key_prefix=key_prefix,
            all_contexts=all_contexts,
            snapshot=snapshot,
            resume_token=resume_token,
            event_types=event_types,
            encoding=encoding,
            include_previous=include_previous,
            progress_interval=progress_interval,
            buffer_events=buffer_events,
            buffer_bytes=buffer_bytes,
            on_history_lost=on_history_lost,
            on_interruption=on_interruption,
            retry=retry,
        )
        return Watch(self._connection, settings)

    def subscribe(
        self,
        store_name: str,
        callback: StoreCallback,
        *,
        prefix: str = "",
        on_error: ErrorHandler | None = None,
        on_interruption: OnInterruption | None = None,
        retry: RetryPolicy | None = DEFAULT_WATCH_RETRY,
    ) -> str:
        """Calls back with a store's current state, a message for each key, then with every change.

        Each change is told once and in order, until ``unsubscribe`` or ``close``, with messages of
        FiftyOne's shape. Where changes cannot be told one by one any more (see :class:`Watch`),
        those that are left are told as one per key. A subscription does not cross a fork: the
        child hears nothing, and may subscribe anew.

        Args:
            store_name: the store
            callback: is called with one StoreMessage after the other, in a thread of its own; other
                subscriptions do not wait for it
            prefix: only keys that start with it
            on_error: hears, in the same thread, what the callback raises, and of each value that
                cannot be read, after which the subscription goes on; and the StoreError that ends
                it, if the store cannot be watched. None logs them.
            on_interruption: as in ``watch_keys``
            retry: as in ``watch_keys``

        Returns:
            an id for ``unsubscribe``

        Raises:
            InvalidArgumentError: if an argument cannot be used
            FailedPreconditionError: ``CLIENT_CLOSED``
        """
        watch = self.watch_keys(
            store_name,
            key_prefix=prefix,
            snapshot=True,
            on_history_lost="snapshot",
            on_interruption=on_interruption,
            retry=retry,
        )
        return self._subscriptions.add(watch, self.dataset_id, callback, on_error)

    def unsubscribe(self, subscription_id: str) -> bool:
        """Ends a subscription: its callback is not called again, unless it is being called now.

        Args:
            subscription_id: what ``subscribe`` of this service has returned

        Returns:
            whether there was one
        """
        return self._subscriptions.remove(subscription_id)
