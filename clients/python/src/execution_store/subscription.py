"""Callbacks that hear of a store's changes."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable

from .errors import StoreError
from .store_messages import StoreMessage, StoreMessages
from .watch import Watch

StoreCallback = Callable[[StoreMessage], object]
ErrorHandler = Callable[[Exception], object]

_logger = logging.getLogger(__name__)


class Subscriptions:
    """The subscriptions of a service or a store, each with a thread of its own.

    They do not cross a fork: a child hears nothing, and may subscribe anew.
    """

    def __init__(self) -> None:
        """Begins without any."""
        self._watches: dict[str, Watch] = {}

    def add(
        self,
        watch: Watch,
        dataset_id: str | None,
        callback: StoreCallback,
        on_error: ErrorHandler | None,
    ) -> str:
        """Tells a callback what a watch brings, until the watch ends.

        Args:
            watch: With a snapshot, of one store, that takes a new one where history is lost.
            dataset_id: The context of that store.
            callback: Is called with one message after the other.
            on_error: Hears of what the callback raises, and of what ends the watch; None logs it.

        Returns:
            The id for ``remove``.

        Raises:
            FailedPreconditionError: The service is closed.
        """
        watch.open()
        subscription_id = str(uuid.uuid4())
        self._watches[subscription_id] = watch

        def run() -> None:
            try:
                _tell(watch, StoreMessages(dataset_id), callback, on_error)
            finally:
                self._watches.pop(subscription_id, None)

        threading.Thread(target=run, name="execution-store-subscription", daemon=True).start()
        return subscription_id

    def remove(self, subscription_id: str) -> bool:
        """Ends a subscription; answers whether there was one."""
        watch = self._watches.pop(subscription_id, None)
        if watch is not None:
            watch.close()
        return watch is not None

    def close(self) -> None:
        """Ends all subscriptions."""
        for subscription_id in list(self._watches):
            self.remove(subscription_id)


def _tell(
    watch: Watch,
    messages: StoreMessages,
    callback: StoreCallback,
    on_error: ErrorHandler | None,
) -> None:
    try:
        for event in watch:
            try:
                for message in messages.of(event):
                    # Unsubscribed in the middle of what a new snapshot has changed, it hears no
                    # more.
                    if watch.closed:
                        return
                    try:
                        callback(message)
                    except Exception as error:
                        _report(error, on_error)
            except StoreError as error:
                # One value that cannot be read is no reason to tell nothing of all others.
                _report(error, on_error)
    except Exception as error:
        _report(error, on_error)


def _report(error: Exception, on_error: ErrorHandler | None) -> None:
    if on_error is None:
        _logger.error("a subscription failed", exc_info=error)
        return
    try:
        on_error(error)
    except Exception:
        _logger.exception("the on_error of a subscription failed")
