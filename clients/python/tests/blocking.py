"""The asyncio client with the face of the synchronous one, so that the same tests run on both."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any


class Blocking:
    """Calls async methods in an event loop of its own; lists what async iterators give."""

    def __init__(self, target: Any, loop: asyncio.AbstractEventLoop | None = None):
        self._target = target
        self._loop = loop or asyncio.new_event_loop()

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._target, name)
        if not callable(attribute):
            return attribute

        def call(*args: Any, **kwargs: Any) -> Any:
            result = attribute(*args, **kwargs)
            if inspect.isawaitable(result):
                return self.wait(result)
            if inspect.isasyncgen(result):
                return iter(self.wait(_collect(result)))
            if isinstance(result, type(self._target)):
                return Blocking(result, self._loop)
            return result

        return call

    def wait(self, awaitable: Any) -> Any:
        return self._loop.run_until_complete(awaitable)

    def end(self) -> None:
        """Closes the target and the loop."""
        self.wait(self._target.close())
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


async def _collect(items: Any) -> list[Any]:
    return [item async for item in items]
