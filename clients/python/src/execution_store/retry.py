"""When and how soon a call that failed is sent again; no input or output happens here."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass

from .errors import StoreError, UnavailableError, invalid_field

__all__ = ["RetryPolicy"]


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how soon failed calls are repeated, where that is safe.

    Attributes:
        max_attempts: the most times a call is sent, the first included: a whole number of at least
            1, or ``math.inf``. Attempts that find no server do not count.
        initial_backoff: seconds before the first repetition, at least 0; doubled for each that
            follows
        max_backoff: the most seconds between two attempts, at least 0, unless the server asks for
            more
        wait_for_server: seconds, from the call's beginning and within its timeout, in which a
            server that cannot be reached is tried again, so that a worker may start before its
            server; 0 fails at once, ``math.inf`` tries as long as the call may take

    Raises:
        InvalidArgumentError: ``CLIENT_OPTION_INVALID`` if one of them is out of its range
    """

    max_attempts: float = 6
    initial_backoff: float = 0.1
    max_backoff: float = 2.0
    wait_for_server: float = 10.0

    def __post_init__(self) -> None:
        """Checks the ranges."""
        attempts = self.max_attempts
        if (
            not _is_number(attempts)
            or not attempts >= 1
            or attempts not in (math.inf, attempts // 1)
        ):
            raise _invalid(
                "max_attempts",
                "is not a whole number of at least 1; expected 1 to send a call once, or more to "
                "repeat it",
            )
        if not _is_number(self.wait_for_server) or not self.wait_for_server >= 0:
            raise _invalid(
                "wait_for_server",
                "is not a number of seconds of at least 0; expected 0 not to wait, or math.inf "
                "for as long as "
                "the call may take",
            )
        for name in ("initial_backoff", "max_backoff"):
            seconds = getattr(self, name)
            if not _is_number(seconds) or not 0 <= seconds < math.inf:
                raise _invalid(
                    name,
                    "is not a finite number of seconds of at least 0; expected one such as 0.1, "
                    "or leave it out",
                )


def retry_delay(policy: RetryPolicy, attempt: int, error: StoreError, random: float) -> float:
    """Seconds to wait after an attempt.

    The backoff is exponential, and `random` takes up to a half of it away, so that clients that
    failed together do not come back together. What the server asks for is the least.

    Args:
        policy: how soon calls are repeated
        attempt: the attempt that failed, from 1
        error: what it failed with
        random: a random number from 0 to 1
    """
    # A shift far beyond every backoff would overflow a float.
    backoff = min(policy.max_backoff, policy.initial_backoff * 2.0 ** min(attempt - 1, 64))
    asked = error.retry_after or 0.0
    return max(backoff * (1 - random / 2), asked * (1 + random / 5))


class Attempts:
    """The attempts of one call: says after each that failed what to do.

    A call is repeated only where the server could not be reached or asks for it, and then if it is
    certain that nothing was written, or if writing twice is writing once. So a set-if-absent or a
    compare-and-set of unknown outcome never is: its repetition could not tell its own first attempt
    from a rival.
    """

    def __init__(
        self, policy: RetryPolicy, *, repeatable: bool, started: float, deadline: float
    ) -> None:
        """Begins before the first attempt.

        Args:
            policy: how often and how soon calls are repeated
            repeatable: whether the method may be sent again when its outcome is unknown
            started: when the call began, in seconds of the monotonic clock
            deadline: when it has to end, by the same clock
        """
        self._policy = policy
        self._repeatable = repeatable
        self._started = started
        self._deadline = deadline
        self._attempt = 0
        self._times_sent = 0
        self.doubtful = False
        """Whether an attempt may have been applied: the outcome of the whole call is unknown."""

    def failed(self, error: StoreError, *, sent: bool, now: float, random: float) -> float | None:
        """Takes in a failed attempt; corrects the error's outcome by the attempts before.

        Returns:
            the seconds to wait before the next attempt, or None to raise the error
        """
        self._attempt += 1
        if sent:
            self._times_sent += 1
        self.doubtful = self.doubtful or error.outcome == "UNKNOWN"
        if self.doubtful and error.outcome == "NOT_APPLIED":
            error.outcome = "UNKNOWN"
        if not isinstance(error, UnavailableError):
            return None
        if error.outcome != "NOT_APPLIED" and not self._repeatable:
            return None
        policy = self._policy
        delay = retry_delay(policy, self._attempt, error, random)
        if sent:
            enough = self._times_sent >= policy.max_attempts
        else:
            enough = now + delay >= self._started + policy.wait_for_server
        return None if enough or now + delay >= self._deadline else delay


def _is_number(value: object) -> bool:
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return False
    try:
        return not math.isnan(value)
    except OverflowError:
        # An int that no float can hold, with which no time could be reckoned.
        return False


def _invalid(name: str, description: str) -> StoreError:
    return invalid_field("CLIENT_OPTION_INVALID", f"retry.{name}", description)


NO_RETRY = RetryPolicy(max_attempts=1, wait_for_server=0)
