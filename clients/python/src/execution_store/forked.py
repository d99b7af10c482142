"""What is said of things that do not cross a fork."""

from __future__ import annotations

import os

from .errors import FailedPreconditionError


class _Process:
    """Knows its id without a call of the system, which would cost as much as an event does."""

    __slots__ = ("id",)

    def __init__(self) -> None:
        self.know()

    def know(self) -> None:
        self.id = os.getpid()


process = _Process()
"""The process that runs this."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=process.know)


def forked_error(what: str) -> FailedPreconditionError:
    """For what was opened before a fork and is used in the child; `what` begins the sentence."""
    return FailedPreconditionError(
        f"{what} does not cross a fork: it was opened in another process; open a new one in this",
        reason="CLIENT_FORKED",
    )
