"""Reads what the chosen checks ask for from a cluster: each kind once, in pages, with the rights of whoever runs the command.

Law: a kind that cannot be read is a result of its own. It never looks like an empty list.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from webhook.api import Api, ApiError
from webhook.doctor import admission_metrics
from webhook.doctor.dump import slimmed
from webhook.doctor.finding import UnseenReason
from webhook.doctor.kinds import KINDS, KindSource
from webhook.doctor.learned_objects import memory_names
from webhook.doctor.lists import KindUnseen
from webhook.doctor.packed import PackedObjects

_CALL_SECONDS = 30.0
_REASONS = {401: UnseenReason.FORBIDDEN, 403: UnseenReason.FORBIDDEN, 404: UnseenReason.NOT_SERVED}
_NOT_FOUND, _EXPIRED = 404, 410


@dataclass(frozen=True, slots=True)
class Reader:
    """How to read: from where, which namespaces (none: all), how long a call may take, and whom to tell of each page."""

    api: Api
    namespaces: Sequence[str] = ()
    call_seconds: float = _CALL_SECONDS
    progress: Callable[[str, int], None] = lambda _kind, _count: None


@dataclass(slots=True)
class Gathered:
    """What was read, and what could not be."""

    objects: dict[str, PackedObjects] = field(default_factory=dict)
    unseen: dict[str, KindUnseen] = field(default_factory=dict)


def gathered(reader: Reader, kinds: Iterable[str]) -> Gathered:
    """Return the objects of these kinds."""
    result = Gathered()
    for kind in kinds:
        try:
            result.objects[kind] = _all_of(reader, KINDS[kind])
        except ApiError as error:
            result.unseen[kind] = KindUnseen(reason_of(error), error.message)
    return result


def one_object(reader: Reader, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
    """Return one object by its name; None where there is none. ApiError where it cannot be read."""
    try:
        path = f"{KINDS[kind].paths(namespace)[0]}/{name}"
        return {**reader.api.get(path, timeout_seconds=reader.call_seconds), "kind": kind}
    except ApiError as error:
        if error.status == _NOT_FOUND:
            return None
        raise


def admission_metrics_of(reader: Reader) -> dict[str, Any]:
    """Return how often the API server failed open, or why it does not say, as an object of kind AdmissionMetrics."""
    try:
        lines = reader.api.text_lines(admission_metrics.PATH, timeout_seconds=reader.call_seconds)
        return admission_metrics.metrics_object(admission_metrics.fail_open_counts(lines))
    except ApiError as error:
        return admission_metrics.unseen_metrics(reason_of(error), error.message)


def memories_of(reader: Reader, deployments: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the ConfigMaps of the observers that belong to these Deployments, or why one cannot be read."""
    memories = []
    for namespace, name in dict.fromkeys(memory_names(deployments)):
        try:
            held = one_object(reader, "ConfigMap", namespace, name)
        except ApiError as error:
            unseen = {"reason": reason_of(error), "message": error.message}
            held = {"kind": "ConfigMap", "metadata": {"namespace": namespace, "name": name}, "unseen": unseen}
        memories += [] if held is None else [held]
    return memories


def reason_of(error: ApiError) -> UnseenReason:
    """Return why a call failed, as the report has it."""
    if error.reason == "Timeout":
        return UnseenReason.TIMEOUT
    return _REASONS.get(error.status, UnseenReason.ERROR)


def _all_of(reader: Reader, source: KindSource) -> PackedObjects:
    if source.names:
        by_name = (one_object(reader, source.name, *names) for names in source.names)
        return PackedObjects(each for each in by_name if each is not None)
    is_narrowed = bool(reader.namespaces) and source.is_namespaced and not source.is_everywhere
    places: Sequence[str | None] = reader.namespaces if is_narrowed else (None,)
    objects = PackedObjects()
    for place in places:
        objects.extend(_in_first_version(reader, source, place))
    return objects


def _in_first_version(reader: Reader, source: KindSource, namespace: str | None) -> PackedObjects:
    """Return the objects in the first version that is served."""
    *paths, last = source.paths(namespace)
    for path in paths:
        try:
            return _pages(reader, source, path)
        except ApiError as error:
            if error.status != _NOT_FOUND:
                raise
    return _pages(reader, source, last)


def _pages(reader: Reader, source: KindSource, path: str) -> PackedObjects:
    """Return every page of a collection. A list that grew too old between two pages is read once more, from its start."""
    try:
        return _pages_once(reader, source, path)
    except ApiError as error:
        if error.status != _EXPIRED:
            raise
    return _pages_once(reader, source, path)


def _pages_once(reader: Reader, source: KindSource, path: str) -> PackedObjects:
    """Return every page. The objects in a list name no kind, so it is written on them."""
    objects = PackedObjects()
    query = {"limit": str(source.page_objects)}
    if source.label_selector:
        query["labelSelector"] = source.label_selector
    while True:
        page = reader.api.get(path, query=query, timeout_seconds=reader.call_seconds)
        for each in page.get("items") or ():
            objects.append(slimmed({**each, "kind": source.name}))
        reader.progress(source.kubectl_name, len(objects))
        following = (page.get("metadata") or {}).get("continue")
        if not following:
            return objects
        query = {**query, "continue": following}
