"""A map of a store that a thread keeps current."""

from __future__ import annotations

import sys
import threading
from types import TracebackType

from .errors import DeadlineExceededError
from .mirror_content import MirrorContent, MirrorMapping
from .watch import Watch


class Mirror(MirrorMapping):
    """A read-only map of a store, or of its keys with one prefix, that a watch keeps current.

    Reads cost no call: all of it is in memory, and any number of threads may read. It is empty
    until it is ready; from then on it is at every moment what the store was at one moment, a
    little ago: what it held at the last event while the connection is lost, and the present again
    soon after. A value is handed out as it is held: treat it as read-only.

    Where the store's history does not reach back to the last event, a new snapshot takes the place
    of all that was there, at once, and what it changes is told; what happened to one key in between
    is then one change, and one that is gone is "deleted".

    A key that expires leaves the map with its "expired" change, within a second. Reads do not
    compare ``expires_at`` with this machine's clock, which may not be the store's; who needs the
    very millisecond can, by document().

    Once the watch has failed for good (see Watch), reads raise its StoreError, for the map would be
    old without a word. So they do in a forked child (``CLIENT_FORKED``): a mirror does not cross a
    fork.

    It ends by close(), at the end of its ``with`` block, when the service is closed, and when
    nobody holds it any more. It has two threads of its own while it is open.

    Example:
        >>> with store.mirror(prefix="settings/") as settings:
        ...     settings.wait_ready(10)
        ...     settings.on_change(lambda change: print(change.type, change.key))
        ...     print(len(settings), settings.get("settings/colour"))
    """

    def __init__(self, watch: Watch) -> None:
        """Begins to fill itself; see ExecutionStore.mirror.

        Args:
            watch: With a snapshot, of one store, that takes a new one where history is lost.

        Raises:
            FailedPreconditionError: The service is closed.
        """
        super().__init__(MirrorContent())
        watch.open()
        self._watch = watch
        self._decided = threading.Event()
        # The thread does not know the mirror: whose last owner drops it is thereby closed.
        threading.Thread(
            target=_follow,
            args=(watch, self._content, self._decided),
            name="execution-store-mirror",
            daemon=True,
        ).start()

    @property
    def ready(self) -> bool:
        """Whether the map has been filled, so that it tells what the store holds."""
        return self._content.filled

    def wait_ready(self, timeout: float | None = None) -> None:
        """Waits until the map is filled, or the mirror is closed.

        Args:
            timeout: How many seconds to wait; None for as long as it takes.

        Raises:
            DeadlineExceededError: It was not filled in time.
            StoreError: What prevents it.
        """
        content = self._content
        # Asked first: in a forked child nobody would ever decide.
        if content.error is None and not self._decided.wait(timeout):
            raise DeadlineExceededError(f"the mirror was not filled within {timeout:g} s")
        if content.error is not None:
            raise content.error.with_traceback(None)

    def close(self) -> None:
        """Ends the watch: the map stays as it is. Idempotent."""
        self._watch.close()

    def __enter__(self) -> Mirror:
        """The mirror itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """As close."""
        self.close()

    def __del__(self) -> None:
        """As close: a map that nobody can read any more needs not be kept."""
        # At the end of the process as Watch: its thread may have stopped with a lock.
        if not sys.is_finalizing() and hasattr(self, "_watch"):
            self.close()


def _follow(watch: Watch, content: MirrorContent, decided: threading.Event) -> None:
    try:
        for event in watch:
            content.apply(event)
            if content.filled:
                decided.set()
    except Exception as error:
        content.fail(error)
    finally:
        decided.set()
