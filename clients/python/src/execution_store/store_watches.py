"""What ExecutionStore knows of watching."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .mirror import Mirror
from .retry import RetryPolicy
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
)

if TYPE_CHECKING:
    from .service import ExecutionStoreService


class StoreWatches:
    """Watching, mirroring and subscribing to one store."""

    store_name: str
    _service: ExecutionStoreService
    # Ids of the subscriptions that were made here.
    _subscription_ids: set[str]

    def watch(
        self,
        *,
        key: str | None = None,
        key_prefix: str = "",
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
        """Watches the store: every change from now on, or what is there first, or after a token.

        The arguments, and what is raised, are those of ``ExecutionStoreService.watch_keys``.

        Example:
            >>> with store.watch(key="progress", snapshot=True) as watch:
            ...     for event in watch:
            ...         if isinstance(event, KeyEvent) and event.document is not None:
            ...             print(event.document.value)
        """
        return self._service.watch_keys(
            self.store_name,
            key=key,
            key_prefix=key_prefix,
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

    def mirror(
        self,
        prefix: str = "",
        *,
        progress_interval: Interval | None = None,
        buffer_events: int = BUFFER_EVENTS,
        buffer_bytes: int = BUFFER_BYTES,
        on_interruption: OnInterruption | None = None,
        retry: RetryPolicy | None = DEFAULT_WATCH_RETRY,
    ) -> Mirror:
        """Opens a map of the store in this process's memory that a watch keeps current.

        Close it after use. See :class:`Mirror`.

        Args:
            prefix: only keys that start with it
            progress_interval: as in ``watch``
            buffer_events: as in ``watch``
            buffer_bytes: as in ``watch``
            on_interruption: as in ``watch``
            retry: as in ``watch``

        Raises:
            InvalidArgumentError: if an argument cannot be used
            FailedPreconditionError: ``CLIENT_CLOSED``
        """
        return Mirror(
            self.watch(
                key_prefix=prefix,
                snapshot=True,
                progress_interval=progress_interval,
                buffer_events=buffer_events,
                buffer_bytes=buffer_bytes,
                on_history_lost="snapshot",
                on_interruption=on_interruption,
                retry=retry,
            )
        )

    def subscribe(
        self,
        callback: StoreCallback,
        *,
        prefix: str = "",
        on_error: ErrorHandler | None = None,
        on_interruption: OnInterruption | None = None,
        retry: RetryPolicy | None = DEFAULT_WATCH_RETRY,
    ) -> str:
        """Calls back with the current state, a message for each key, then with every change.

        As ``ExecutionStoreService.subscribe``, of this store.

        Returns:
            an id for ``unsubscribe``
        """
        subscription_id = self._service.subscribe(
            self.store_name,
            callback,
            prefix=prefix,
            on_error=on_error,
            on_interruption=on_interruption,
            retry=retry,
        )
        self._subscription_ids.add(subscription_id)
        return subscription_id

    def unsubscribe(self, subscription_id: str) -> bool:
        """Ends a subscription: its callback is not called again, unless it is being called now.

        Args:
            subscription_id: what ``subscribe`` has returned

        Returns:
            whether there was one
        """
        self._subscription_ids.discard(subscription_id)
        return self._service.unsubscribe(subscription_id)

    def _unsubscribe_all(self) -> None:
        for subscription_id in list(self._subscription_ids):
            self.unsubscribe(subscription_id)
