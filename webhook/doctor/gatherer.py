"""Reads what the chosen checks ask for from a cluster: each kind once, in pages, with the rights of whoever runs the command.

Law: a kind that cannot be read is a result of its own. It never looks like an empty list.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from webhook.api import Api, ApiError
from webhook.doctor.dump import slimmed
from webhook.doctor.finding import UnseenReason
from webhook.doctor.kinds import KINDS, KindSource
from webhook.doctor.lists import KindUnseen

_CALL_SECONDS = 30.0
_REASONS = {401: UnseenReason.FORBIDDEN, 403: UnseenReason.FORBIDDEN, 404: UnseenReason.NOT_SERVED}
_NOT_FOUND = 404


@dataclass(slots=True)
class Gathered:
    """What was read, and what could not be."""

    objects: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    unseen: dict[str, KindUnseen] = field(default_factory=dict)


def gathered(
    api: Api,
    kinds: Iterable[str],
    namespaces: Sequence[str] = (),
    *,
    call_seconds: float = _CALL_SECONDS,
    progress: Callable[[str, int], None] = lambda _kind, _count: None,
) -> Gathered:
    """Return the objects of these kinds, of all namespaces or of some. `progress` is told of each page."""
    result = Gathered()
    for kind in kinds:
        source = KINDS[kind]
        try:
            result.objects[kind] = _all_of(api, source, namespaces, call_seconds, progress)
        except ApiError as error:
            result.unseen[kind] = KindUnseen(_reason_of(error), error.message)
    return result


def _all_of(
    api: Api,
    source: KindSource,
    namespaces: Sequence[str],
    call_seconds: float,
    progress: Callable[[str, int], None],
) -> list[dict[str, Any]]:
    places: Sequence[str | None] = namespaces if namespaces and source.is_namespaced else (None,)
    objects: list[dict[str, Any]] = []
    for place in places:
        objects += _in_first_version(api, source, place, call_seconds, lambda count: progress(source.name, count))
    return objects


def _in_first_version(
    api: Api, source: KindSource, namespace: str | None, call_seconds: float, progress: Callable[[int], None]
) -> list[dict[str, Any]]:
    """Return the objects in the first version that is served."""
    *paths, last = source.paths(namespace)
    for path in paths:
        try:
            return _pages(api, source, path, call_seconds, progress)
        except ApiError as error:
            if error.status != _NOT_FOUND:
                raise
    return _pages(api, source, last, call_seconds, progress)


def _pages(
    api: Api, source: KindSource, path: str, call_seconds: float, progress: Callable[[int], None]
) -> list[dict[str, Any]]:
    """Return every page of a collection. The objects in a list name no kind, so it is written on them."""
    objects: list[dict[str, Any]] = []
    query = {"limit": str(source.page_objects)}
    while True:
        page = api.get(path, query=query, timeout_seconds=call_seconds)
        objects += [slimmed({**each, "kind": source.name}) for each in page.get("items") or ()]
        progress(len(objects))
        following = (page.get("metadata") or {}).get("continue")
        if not following:
            return objects
        query = {**query, "continue": following}


def _reason_of(error: ApiError) -> UnseenReason:
    if error.reason == "Timeout":
        return UnseenReason.TIMEOUT
    return _REASONS.get(error.status, UnseenReason.ERROR)
