"""The pod of one review, of which nothing but its JSON is kept while facts are awaited.

A parsed pod takes up to 24 times the room of its JSON, and what the policy reads of it may be as large. Both are made again
when the facts are there. A decision that does not have to wait makes them once.
"""

from collections.abc import Awaitable, Callable, Generator, Iterator
from typing import Any, Generic, TypeVar

from webhook import admission, shapes
from webhook.admission import Refusal, RefusedError, Review
from webhook.policy.facts import Facts, JsonObject, claim_names
from webhook.server.turns import Turns
from webhook.shapes import MisshapenError

Reading = TypeVar("Reading")

MOST_CONTAINERS = 8192
"""A pod and the status of each of its containers, 180 bytes at least, have to fit into etcd's 1.5 MiB."""
_SMALL_BYTES = 64 * 1024
"""Decided within a millisecond or two; a review of a megabyte may take some hundred of them."""


class PodInReview(Generic[Reading]):
    """The body of a request, and what is made of it. Hold no reference to its parts across an `await`."""

    def __init__(self, body: bytes, turns: Turns) -> None:
        self._body = body
        self._turns = turns
        self._review: Review | None = None
        self.reading: Reading | None = None
        """What the policy reads of the pod; None before, and again after a wait."""

    async def turn(self) -> None:
        """Take a turn before a large body is parsed, the first time and again after a wait."""
        if self._review is None and len(self._body) > _SMALL_BYTES:
            await self._turns.take()

    @property
    def review(self) -> Review:
        """The review, parsed again after a wait. RefusedError where the body is no AdmissionReview."""
        if self._review is None:
            self._review = admission.read(self._body)
        return self._review

    async def without(self, facts: Awaitable[Facts]) -> Facts:
        """Await facts; drop the review and the reading if they are not there at once."""
        return await _Without(facts, self._drop)

    def _drop(self) -> None:
        self._review = self.reading = None


class _Without:
    """An awaitable that calls `drop` before it first waits: many reviews may come before the event loop's next turn."""

    def __init__(self, awaited: Awaitable[Facts], drop: Callable[[], None]) -> None:
        self._awaited = awaited
        self._drop = drop

    def __await__(self) -> Generator[Any, Any, Facts]:
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
            facts: Facts = end.value
            return facts


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


def only_claims_of(pod: JsonObject) -> dict[str, Any]:
    """Return a pod that names the same claims and holds nothing else: it is held while they are read."""
    return {"spec": {"volumes": _Volumes(claim_names(pod))}}


class _Volumes:
    """Volumes for claims, each made when it is looked at: a thousand names take the room of a thousand names."""

    def __init__(self, claims: tuple[str, ...]) -> None:
        self._claims = claims

    def __iter__(self) -> Iterator[JsonObject]:
        return ({"name": claim, "persistentVolumeClaim": {"claimName": claim}} for claim in self._claims)
