"""A watch on one object that is known by its name: tells that it has changed, not how.

The right to watch can be limited to this name, because the API server reads the name from the field selector.
"""

import random
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from webhook import log
from webhook.api import Api, ApiError, Watch

_WATCH_SECONDS = (60.0, 120.0)
"""Drawn anew for each watch, so that replicas do not come back together."""
_LATE_SECONDS = 5.0
"""How long after its announced end a watch may still be silent."""
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 5.0


@dataclass(slots=True)
class ObjectWatch:
    """Watches one object; `run` belongs to one thread."""

    api: Api
    kind: str
    """For the log."""
    path: str
    """Of the object."""
    changed: Callable[[], object]
    """Called for every change, and for the object as it is when a watch begins: something may have happened between two."""
    logger: log.Logger
    up: bool = field(default=False, init=False)
    """Whether a change would be noticed now."""
    _failure: str = field(default="", init=False)
    _watch: Watch | None = field(default=None, init=False)

    def run(self, stop: threading.Event) -> None:
        """Watch until told to stop; after a failure try again, first soon and then less soon."""
        pause_seconds = _FIRST_PAUSE_SECONDS
        while not stop.is_set():
            began = time.monotonic()
            try:
                self._follow(stop)
            except ApiError as error:
                self._failed(str(error))
            except Exception as error:  # noqa: BLE001  # the thread must live on, as long as the server does
                self._failed(type(error).__name__, **log.trace(error))
            if time.monotonic() - began > _LONGEST_PAUSE_SECONDS:
                pause_seconds = _FIRST_PAUSE_SECONDS
                continue
            stop.wait(pause_seconds)  # a server that ends every watch at once must not be asked without a pause
            pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)

    def end(self) -> None:
        """Wake up the thread that waits for an event, for a stop that was just set."""
        if self._watch is not None:
            self._watch.stop()

    def _follow(self, stop: threading.Event) -> None:
        """Take the events of one watch until it ends by itself."""
        collection, _, name = self.path.rpartition("/")
        seconds = random.uniform(*_WATCH_SECONDS)  # noqa: S311  # jitter
        query = {
            "fieldSelector": f"metadata.name={name}",
            "resourceVersion": "0",  # from what the API server has in memory, which it sends first
            "timeoutSeconds": f"{seconds:.0f}",
        }
        with closing(self.api.watch(collection, query=query, read_timeout_seconds=seconds + _LATE_SECONDS)) as watch:
            self._watch = watch
            if stop.is_set():  # `end` may have come before there was this watch to end
                return
            for event in watch:
                if event["type"] == "ERROR":
                    raise _failure_of(event["object"])
                self._recovered()
                self.changed()

    def _recovered(self) -> None:
        self.up = True
        if self._failure:
            self.logger.info("watching again", kind=self.kind)
        self._failure = ""

    def _failed(self, failure: str, **trace: Any) -> None:
        self.up = False
        if failure != self._failure:
            self.logger.warning("not watching", kind=self.kind, why=failure, **trace)
        self._failure = failure


def _failure_of(status: Any) -> ApiError:
    return ApiError(int(status.get("code") or 0), str(status.get("reason")), str(status.get("message")))
