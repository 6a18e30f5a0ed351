"""One kind of object, kept in memory by list and watch in a thread of its own.

Law: what was heard last stays in use while the API server is away; readers never wait and never see half a change.
"""

import random
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from webhook import log
from webhook.api import Api, ApiError, Watch
from webhook.log import Logger
from webhook.policy.pod.metadata import JsonObject

_Result = TypeVar("_Result")

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
    shorten: Callable[[JsonObject], dict[str, Any]]
    page_objects: int = 500
    """The most that one answer to a list holds: all of it is in memory for a moment, before it is cut to what is kept."""


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
class Watched:
    """The objects of one kind by name, or by namespace/name; `run` belongs to one thread, everything else may be read from any."""

    api: Api
    kind: Kind
    logger: Logger
    patience: Patience = field(default_factory=Patience)
    objects: Mapping[str, JsonObject] = field(default_factory=dict, init=False)
    """Never changed, only replaced."""
    synced: bool = field(default=False, init=False)
    """Whether `objects` ever was the whole collection."""
    served: bool = field(default=True, init=False)
    failure: ApiError | None = field(default=None, init=False)
    """Why it is not being watched right now."""
    path: str = field(default="", init=False)
    """The collection that answered last, for reads by name."""
    _heard_at: float = field(default_factory=time.monotonic, init=False)
    _watch: Watch | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.path = self.kind.paths[0]

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

    def _pages(self, path: str) -> tuple[str, dict[str, JsonObject]]:
        objects: dict[str, JsonObject] = {}
        query = {"limit": str(self.kind.page_objects)}
        while True:
            page = self.api.get(path, query=query, timeout_seconds=_LIST_SECONDS)
            objects.update((_key(item["metadata"]), self.kind.shorten(item)) for item in page["items"] or ())
            following = page["metadata"].get("continue")
            if not following:
                return page["metadata"]["resourceVersion"], objects
            query = {**query, "continue": following}

    def _follow(self, version: str, stop: threading.Event) -> str:
        """Take the events of one watch, which ends by itself; the result is the last version seen."""
        seconds = random.uniform(*self.patience.watch_seconds)  # noqa: S311  # jitter
        query = {"resourceVersion": version, "timeoutSeconds": f"{seconds:.0f}", "allowWatchBookmarks": "true"}
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
            gone = _key(manifest["metadata"])
            self.objects = {key: held for key, held in self.objects.items() if key != gone}
        elif event_type in {"ADDED", "MODIFIED"}:
            self._changed(_key(manifest["metadata"]), self.kind.shorten(manifest))
        version: str = manifest["metadata"]["resourceVersion"]
        return version

    def _changed(self, key: str, shortened: JsonObject) -> None:
        """Most changes (a node's heartbeat, a quota's use) are of nothing that is kept: readers need not look again."""
        if self.objects.get(key) != shortened:
            self.objects = {**self.objects, key: shortened}

    def _know(self, objects: Mapping[str, JsonObject]) -> None:
        self.objects = objects
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


class Derived(Generic[_Result]):
    """What the objects of a kind tell together, found anew only when one has changed; may be read from any thread."""

    def __init__(self, watched: Watched, derive: Callable[[Mapping[str, JsonObject]], _Result]) -> None:
        self._watched = watched
        self._derive = derive
        self._derived: tuple[Mapping[str, JsonObject], _Result] | None = None

    def now(self) -> _Result:
        """Of the objects that are known at this moment."""
        objects, derived = self._watched.objects, self._derived
        if derived is None or derived[0] is not objects:
            self._derived = derived = (objects, self._derive(objects))
        return derived[1]


def _key(metadata: JsonObject) -> str:
    namespace, name = metadata.get("namespace"), metadata["name"]
    return f"{namespace}/{name}" if namespace else str(name)
