"""What is said of things that do not cross a fork."""

from __future__ import annotations

from .errors import FailedPreconditionError


def forked_error(what: str) -> FailedPreconditionError:
    """For what was opened before a fork and is used in the child; `what` begins the sentence."""
    return FailedPreconditionError(
        f"{what} does not cross a fork: it was opened in another process; open a new one in this",
        reason="CLIENT_FORKED",
    )
