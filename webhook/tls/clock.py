"""The API server's time, from the `Date` of its answers, and how far this node's clock differs from it.

API servers verify a certificate by their own clocks, so by their time it is judged. While the clocks differ by more than
the tolerance, no certificate is issued and none is dropped: nobody can tell which of the two is wrong.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from webhook import log

TOLERANCE = timedelta(minutes=5)
"""The largest difference with which certificates are issued and dropped.

A certificate begins an hour before it is issued (`certificates.BACKDATED`). If this clock is 5 minutes ahead, 55 minutes
remain for other API servers whose clocks are behind. A clock that nobody sets drifts by up to 9 s a day (100 ppm), so an
alert at this limit still comes weeks before anything is lost. The measurement errs by a second and the time of a call.
"""
_RESOLUTION = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class _Heard:
    """One `Date`, and between which two moments (in elapsed seconds) the API server wrote it."""

    date: datetime
    sent_at: float
    answered_at: float


@dataclass(slots=True)
class Clock:
    """Compares the clock of this node with the API server's; may be read from any thread."""

    own: Callable[[], datetime]
    elapsed_seconds: Callable[[], float]
    """Never set back or forward, as the other one may be."""
    logger: log.Logger = field(default_factory=log.logger)
    _heard: _Heard | None = field(default=None, init=False)
    _state: str = field(default="", init=False)

    def heard(self, date: datetime | None, sent_at: float, answered_at: float) -> None:
        """Take the `Date` of an answer, with the elapsed seconds before and after the call; log what it changes."""
        if date is not None:
            self._heard = _Heard(date, sent_at, answered_at)
        before, self._state = self._state, self._compared()
        if self._state == before:
            return
        if self._state == "differs":
            self.logger.warning("clock differs from the API server's", ahead_seconds=round(self.ahead_seconds()))
        elif self._state == "unknown":
            self.logger.warning("clock cannot be compared", why="the API server's answers have no Date")
        elif before == "differs":
            self.logger.info("clock agrees with the API server's again")

    def _compared(self) -> str:
        if self._heard is None:
            return "unknown"
        return "differs" if self.differs() else "agrees"

    def now(self) -> datetime:
        """Return the API server's time, or this node's time until the first `Date` was heard."""
        return self.own() - self._ahead()

    def ahead_seconds(self) -> float:
        """Return how far this clock is ahead, negative if it is behind, 0 while there is nothing to compare."""
        return self._ahead().total_seconds()

    def differs(self) -> bool:
        """Whether the clocks differ by more than the tolerance."""
        return abs(self._ahead()) > TOLERANCE

    def difference(self) -> str:
        """Return the difference as a sentence for people."""
        ahead = self._ahead()
        side = "ahead of" if ahead > timedelta(0) else "behind"
        return (
            f"the clock of this node is {_spelled(abs(ahead))} {side} the API server's: no certificate is issued or "
            f"dropped until they agree within {_spelled(TOLERANCE)}; check time synchronization (NTP) on this node and on "
            "the control plane"
        )

    def _ahead(self) -> timedelta:
        """The least difference that the last `Date` leaves possible: it has whole seconds, and a call takes time."""
        if self._heard is None:
            return timedelta(0)
        heard, own, at = self._heard, self.own(), self.elapsed_seconds()
        earliest = heard.date + timedelta(seconds=at - heard.answered_at)
        latest = heard.date + timedelta(seconds=at - heard.sent_at) + _RESOLUTION
        return own - min(max(own, earliest), latest)


def _spelled(span: timedelta) -> str:
    """A span in its largest unit, such as `3 d`."""
    seconds = span.total_seconds()
    for unit, length_seconds in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length_seconds:
            return f"{seconds / length_seconds:.0f} {unit}"
    return f"{seconds:.0f} s"
