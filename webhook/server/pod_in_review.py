"""The pod of one review, of which nothing but its JSON is kept while facts are awaited.

A parsed pod takes up to 24 times the room of its JSON, and what the policy reads of it may be as large. Both are made again
when the facts are there. A decision that does not have to wait makes them once.
"""

from collections.abc import Awaitable, Callable, Generator
from typing import Any, Generic, TypeVar

from webhook import admission, shapes
from webhook.admission import Refusal, RefusedError, Review
from webhook.evaluation import HeldPod
from webhook.policy.pod.metadata import JsonObject
from webhook.server.turns import Turns
from webhook.shapes import MisshapenError

_Gathered = TypeVar("_Gathered")

MOST_CONTAINERS = 8192
"""A pod and the status of each of its containers, 180 bytes at least, have to fit into etcd's 1.5 MiB."""
_SMALL_BYTES = 64 * 1024
"""Decided within a millisecond or two; a review of a megabyte may take some hundred of them."""


class PodInReview(HeldPod):
    """The body of a request, and what is made of it. Hold no reference to its parts across an `await`."""

    def __init__(self, body: bytes, turns: Turns) -> None:
        self._body = body
        self._turns = turns
        self._review: Review | None = None
        self.look = None

    async def turn(self) -> None:
        """Take a turn before a large body is parsed, the first time and again after a wait."""
        if self._review is None and len(self._body) > _SMALL_BYTES:
            await self._turns.take()

    @property
    def review(self) -> Review:
        """The review, parsed again after a wait. RefusedError where the body is no AdmissionReview."""
        if self._review is None:
            self._review = admission.review_in(self._body)
        return self._review

    @property
    def manifest(self) -> JsonObject:
        """Return the raw pod, parsed again after a wait."""
        manifest: JsonObject = self.review.object
        return manifest

    async def without(self, gathering: Awaitable[_Gathered]) -> _Gathered:
        """Await facts. Drop the review and what was seen of the pod if they are not there at once."""
        return await _Without(gathering, self._drop)

    def _drop(self) -> None:
        self._review = self.look = None


class _Without(Generic[_Gathered]):
    """An awaitable that calls `drop` before it first waits: many reviews may come before the event loop's next turn."""

    def __init__(self, awaited: Awaitable[_Gathered], drop: Callable[[], None]) -> None:
        self._awaited = awaited
        self._drop = drop

    def __await__(self) -> Generator[Any, Any, _Gathered]:
        steps = self._awaited.__await__()
        try:
            waited_for = next(steps)
            self._drop()
            while True:
                try:
                    value = yield waited_for
                except BaseException as error:  # noqa: BLE001  # as `yield from` does (PEP 380): a cancellation is one
                    waited_for = steps.throw(error)
                else:
                    waited_for = steps.send(value)
        except StopIteration as end:
            gathered: _Gathered = end.value
            return gathered


def refuse_misshapen(pod: JsonObject) -> None:
    """RefusedError where a field of a pod, of which no decision could be made, is not what it is in Kubernetes.

    An API server never sends such a pod: it decodes each field into its type, refuses the rest, and writes the object anew.
    So this is looked at only after an error, and tells a caller's error from ours. Should an API server of the future send
    one, the pod is created unpatched, as failurePolicy is Ignore.
    """
    try:
        shapes.check_pod(pod)
    except MisshapenError as error:
        raise RefusedError(Refusal.MISSHAPEN, f"request.object is no Pod: {error}") from None


def has_too_many_containers(pod: JsonObject) -> bool:
    """Whether a pod has more containers than can run, and than can be decided on in time."""
    spec = pod.get("spec")
    lists = [spec.get(field) for field in ("containers", "initContainers")] if isinstance(spec, dict) else []
    return sum(len(containers) for containers in lists if isinstance(containers, list)) > MOST_CONTAINERS
