"""Callbacks and coroutines that hear of a store's changes."""

from __future__ import annotations

import asyncio
import inspect
import logging
import uuid
from collections.abc import Callable
from typing import Any

from ..errors import StoreError
from ..store_messages import StoreMessage, StoreMessages
from .watch import Watch

StoreCallback = Callable[[StoreMessage], object]
ErrorHandler = Callable[[Exception], object]

_logger = logging.getLogger(__name__)


class Subscriptions:
    """The subscriptions of a service, each with a task of its own.

    They do not cross a fork: a child hears nothing, and may subscribe anew.
    """

    def __init__(self) -> None:
        """Begins without any."""
        # With their tasks, which the event loop alone would not keep alive.
        self._watches: dict[str, tuple[Watch, asyncio.Task[None]]] = {}

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
            callback: Is called with one message after the other; what it returns is awaited, if it
                can be.
            on_error: Hears of what the callback raises, and of what ends the watch; None logs it.

        Returns:
            The id for ``remove``.

        Raises:
            FailedPreconditionError: The service is closed.
        """
        watch.open()
        subscription_id = str(uuid.uuid4())

        async def run() -> None:
            try:
                await _tell(watch, StoreMessages(dataset_id), callback, on_error)
            finally:
                self._watches.pop(subscription_id, None)

        task = asyncio.get_running_loop().create_task(run())
        self._watches[subscription_id] = (watch, task)
        return subscription_id

    async def remove(self, subscription_id: str) -> bool:
        """Ends a subscription; answers whether there was one."""
        watch, _ = self._watches.pop(subscription_id, (None, None))
        if watch is None:
            return False
        await watch.close()
        return True


async def _tell(
    watch: Watch,
    messages: StoreMessages,
    callback: StoreCallback,
    on_error: ErrorHandler | None,
) -> None:
    try:
        async for event in watch:
            try:
                for message in messages.of(event):
                    # Unsubscribed in the middle of what a new snapshot has changed, it hears no
                    # more.
                    if watch.closed:
                        return
                    try:
                        await _call(callback, message)
                    except Exception as error:
                        await _report(error, on_error)
            except StoreError as error:
                # One value that cannot be read is no reason to tell nothing of all others.
                await _report(error, on_error)
    except Exception as error:
        await _report(error, on_error)


async def _report(error: Exception, on_error: ErrorHandler | None) -> None:
    if on_error is None:
        _logger.error("a subscription failed", exc_info=error)
        return
    try:
        await _call(on_error, error)
    except Exception:
        _logger.exception("the on_error of a subscription failed")


async def _call(function: Callable[[Any], object], argument: object) -> None:
    result = function(argument)
    if inspect.isawaitable(result):
        await result
