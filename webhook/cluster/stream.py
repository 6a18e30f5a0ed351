"""The stream of one kind's objects, by list and watch in a thread of its own.

Law: what fails is tried again, first soon and then less soon, for as long as the process lives.
"""

import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from webhook import log
from webhook.api import Api, ApiError, Watch
from webhook.log import Logger
from webhook.policy.pod.metadata import JsonObject

_LIST_SECONDS = 10.0
_LATE_SECONDS = 5.0
"""How long after its announced end a watch may still be silent."""
_FORBIDDEN, _NOT_FOUND, _GONE = 403, 404, 410


@dataclass(frozen=True, slots=True)
class Kind:
    """What to watch and what of it to keep."""

    name: str
    paths: tuple[str, ...]
    """Collections that may hold it, the newest API version first."""
    shorten: Callable[[JsonObject], Any]
    """What becomes of an object of a list or an event as soon as it is read."""
    selector: Mapping[str, str] = field(default_factory=dict)
    """The query that narrows the collection: `labelSelector` or `fieldSelector`."""
    page_objects: int = 500
    """The most that one answer to a list holds: all of it is in memory for a moment, before it is cut to what is kept."""
    changes_alone: bool = False
    """Whether what was there before the watch is of no interest: then the list is read for its version, with one object."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a watch lasts and how long to wait after a failure."""

    watch_seconds: tuple[float, float] = (60.0, 120.0)
    """Drawn anew for each watch, so that replicas do not come back together."""
    retry_seconds: tuple[float, float] = (0.5, 5.0)
    """The first pause and the longest; each is twice the one before."""
    unserved_seconds: float = 60.0
    """Pause before asking again for a kind that this server does not have."""


@dataclass(slots=True)
class Stream(ABC):
    """Lists and watches one kind; `run` belongs to one thread, everything else may be read from any."""

    api: Api
    kind: Kind
    logger: Logger
    patience: Patience = field(default_factory=Patience)
    synced: bool = field(default=False, init=False)
    """Whether the whole collection was read once."""
    served: bool = field(default=True, init=False)
    failure: ApiError | None = field(default=None, init=False)
    """Why it is not being watched right now."""
    path: str = field(default="", init=False)
    """The collection that answered last, for reads by name."""
    _heard_at: float = field(default_factory=time.monotonic, init=False)
    _watch: Watch | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.path = self.kind.paths[0]

    @abstractmethod
    def take_list(self, objects: Mapping[str, Any]) -> None:
        """Take the whole collection, shortened, by name or by namespace/name."""

    @abstractmethod
    def take_change(self, key: str, shortened: Any) -> None:
        """Take an object that is new or has changed."""

    @abstractmethod
    def take_removal(self, key: str, shortened: Any) -> None:
        """Take the last state of an object that is gone."""

    @property
    def tried(self) -> bool:
        """Whether the first list was answered, if only by a refusal."""
        return self.synced or self.failure is not None

    @property
    def forbidden(self) -> bool:
        """Whether the server refuses it right now for lack of a right."""
        failure = self.failure
        return failure is not None and failure.status == _FORBIDDEN

    def age_seconds(self) -> float:
        """Time since the server was last heard of this kind: an event, a bookmark, a list."""
        return time.monotonic() - self._heard_at

    def run(self, stop: threading.Event) -> None:
        """List and watch until told to stop."""
        first_pause, longest_pause = self.patience.retry_seconds
        pause = first_pause
        while not stop.is_set():
            try:
                version = self._list()
                if not self.served:
                    stop.wait(self.patience.unserved_seconds)
                while self.served and not stop.is_set():
                    version = self._follow(version, stop)
                    pause = first_pause
            except ApiError as error:
                if stop.is_set():
                    return
                if error.status != _GONE:
                    self._failed(error)
            except Exception as error:  # noqa: BLE001  # the thread must live on: what is known would grow old for ever
                self._failed(ApiError(0, "Bug", type(error).__name__), **log.trace(error))
            else:
                continue
            stop.wait(pause * random.uniform(0.8, 1.2))  # noqa: S311  # jitter
            pause = min(pause * 2, longest_pause)

    def end_watch(self) -> None:
        """Wake up the thread that waits for an event, for a stop that was just set."""
        if self._watch is not None:
            self._watch.stop()

    def _list(self) -> str:
        """Read the whole collection, page by page; the result is the version to watch from."""
        for path in self.kind.paths:
            try:
                version, objects = self._pages(path)
            except ApiError as error:
                if error.status != _NOT_FOUND:
                    raise
                continue
            self.served, self.path = True, path
            self._know(objects)
            return version
        self.served = False
        self._know({})
        return ""

    def _pages(self, path: str) -> tuple[str, dict[str, Any]]:
        objects: dict[str, Any] = {}
        if self.kind.changes_alone:
            first = self.api.get(path, query={**self.kind.selector, "limit": "1"}, timeout_seconds=_LIST_SECONDS)
            return first["metadata"]["resourceVersion"], objects
        query = {**self.kind.selector, "limit": str(self.kind.page_objects)}
        while True:
            page = self.api.get(path, query=query, timeout_seconds=_LIST_SECONDS)
            objects.update((key_of(item), self.kind.shorten(item)) for item in page["items"] or ())
            following = page["metadata"].get("continue")
            if not following:
                return page["metadata"]["resourceVersion"], objects
            query = {**query, "continue": following}

    def _follow(self, version: str, stop: threading.Event) -> str:
        """Take the events of one watch, which ends by itself; the result is the last version seen."""
        seconds = random.uniform(*self.patience.watch_seconds)  # noqa: S311  # jitter
        query = {
            **self.kind.selector,
            "resourceVersion": version,
            "timeoutSeconds": f"{seconds:.0f}",
            "allowWatchBookmarks": "true",
        }
        with closing(self.api.watch(self.path, query=query, read_timeout_seconds=seconds + _LATE_SECONDS)) as watch:
            self._watch = watch
            if stop.is_set():  # `end_watch` may have come before there was this watch to end
                return version
            self._recovered()
            for event in watch:
                version = self._take(event)
        self._heard_at = time.monotonic()
        return version

    def _take(self, event: JsonObject) -> str:
        manifest, event_type = event["object"], event["type"]
        if event_type == "ERROR":
            raise ApiError(
                int(manifest.get("code") or 0),
                str(manifest.get("reason")),
                str(manifest.get("message")),
            )
        self._heard_at = time.monotonic()
        if event_type == "DELETED":
            self.take_removal(key_of(manifest), self.kind.shorten(manifest))
        elif event_type in {"ADDED", "MODIFIED"}:
            self.take_change(key_of(manifest), self.kind.shorten(manifest))
        version: str = manifest["metadata"]["resourceVersion"]
        return version

    def _know(self, objects: Mapping[str, Any]) -> None:
        self.take_list(objects)
        self.synced = True
        self._heard_at = time.monotonic()

    def _failed(self, failure: ApiError, **trace: Any) -> None:
        if str(failure) != str(self.failure):
            self.logger.warning("not watching", kind=self.kind.name, why=str(failure), **trace)
        self.failure = failure

    def _recovered(self) -> None:
        if self.failure is not None:
            self.logger.info("watching again", kind=self.kind.name)
        self.failure = None


def key_of(manifest: JsonObject) -> str:
    """Return an object's name, or namespace/name."""
    metadata = manifest["metadata"]
    namespace, name = metadata.get("namespace"), metadata["name"]
    return f"{namespace}/{name}" if namespace else str(name)
