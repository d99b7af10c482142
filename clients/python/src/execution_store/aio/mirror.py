"""A map of a store that a task keeps current."""

from __future__ import annotations

import asyncio
from types import TracebackType

from ..errors import DeadlineExceededError
from ..mirror_content import MirrorContent, MirrorMapping
from .watch import Watch


class Mirror(MirrorMapping):
    """A read-only map of a store, or of its keys with one prefix, that a watch keeps current.

    Reads cost no call and are not awaited: all of it is in memory. It is empty until it is ready;
    from then on it is at every moment what the store was at one moment, a little ago: what it held
    at the last event while the connection is lost, and the present again soon after. A value is
    handed out as it is held: treat it as read-only.

    Where the store's history does not reach back to the last event, a new snapshot takes the place
    of all that was there, at once, and what it changes is told; what happened to one key in between
    is then one change, and one that is gone is "deleted".

    A key that expires leaves the map with its "expired" change, within a second. Reads do not
    compare ``expires_at`` with this machine's clock, which may not be the store's; who needs the
    very millisecond can, by document().

    Once the watch has failed for good (see Watch), reads raise its StoreError, for the map would be
    old without a word. So they do in a forked child (``CLIENT_FORKED``): a mirror does not cross a
    fork.

    It belongs to the event loop in which it is made, and ends by close(), at the end of its
    ``async with`` block, when the service is closed, and when nobody holds it any more.

    Example:
        >>> async with store.mirror(prefix="settings/") as settings:
        ...     await settings.wait_ready(10)
        ...     settings.on_change(lambda change: print(change.type, change.key))
        ...     print(len(settings), settings.get("settings/colour"))
    """

    def __init__(self, watch: Watch) -> None:
        """Begins to fill itself, in the running event loop; see ExecutionStore.mirror.

        Args:
            watch: With a snapshot, of one store, that takes a new one where history is lost.

        Raises:
            RuntimeError: There is no running event loop.
            FailedPreconditionError: The service is closed.
        """
        super().__init__(MirrorContent())
        loop = asyncio.get_running_loop()
        watch.open()
        self._watch = watch
        self._decided = asyncio.Event()
        # The task does not know the mirror: whose last owner drops it is thereby closed.
        self._task = loop.create_task(_follow(watch, self._content, self._decided))

    @property
    def ready(self) -> bool:
        """Whether the map has been filled, so that it tells what the store holds."""
        return self._content.filled

    async def wait_ready(self, timeout: float | None = None) -> None:
        """Waits until the map is filled, or the mirror is closed.

        Args:
            timeout: How many seconds to wait; None for as long as it takes.

        Raises:
            DeadlineExceededError: It was not filled in time.
            StoreError: What prevents it.
        """
        content = self._content
        # Asked first: in a forked child nobody would ever decide.
        if content.error is None:
            try:
                await asyncio.wait_for(self._decided.wait(), timeout)
            except asyncio.TimeoutError:
                raise DeadlineExceededError(
                    f"the mirror was not filled within {timeout:g} s"
                ) from None
        if content.error is not None:
            raise content.error.with_traceback(None)

    async def close(self) -> None:
        """Ends the watch: the map stays as it is. Idempotent."""
        await self._watch.close()

    async def __aenter__(self) -> Mirror:
        """The mirror itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """As close."""
        await self.close()

    def __del__(self) -> None:
        """As close: a map that nobody can read any more needs not be kept."""
        if hasattr(self, "_watch"):
            self._watch.abandon()


async def _follow(watch: Watch, content: MirrorContent, decided: asyncio.Event) -> None:
    try:
        async for event in watch:
            content.apply(event)
            if content.filled:
                decided.set()
    except Exception as error:
        content.fail(error)
    finally:
        decided.set()
