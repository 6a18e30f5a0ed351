"""The pod of one review, of which nothing but its JSON is kept while facts are awaited.

A parsed pod takes up to 24 times the room of its JSON, and what the policy reads of it may be as large. Both are made again
when the facts are there. A decision that does not have to wait makes them once.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from webhook import admission, shapes
from webhook.admission import Refusal, RefusedError, Review
from webhook.policy.facts import JsonObject, claim_names
from webhook.shapes import MisshapenError

Reading = TypeVar("Reading")


class PodInReview(Generic[Reading]):
    """The body of a request, and what is made of it. Hold no reference to its parts across an `await`."""

    def __init__(self, body: bytes) -> None:
        """RefusedError where the body is no AdmissionReview."""
        self._body = body
        self._review: Review | None = admission.read(body)
        self.reading: Reading | None = None
        """What the policy reads of the pod; None before, and again after a wait."""

    @property
    def review(self) -> Review:
        """The review, parsed again after a wait."""
        if self._review is None:
            self._review = admission.read(self._body)
        return self._review

    @contextmanager
    def dropped_while_waiting(self) -> Iterator[None]:
        """Drop the review and the reading if the code inside gives the event loop the time to."""
        waiting = asyncio.get_running_loop().call_soon(self._drop)
        try:
            yield
        finally:
            waiting.cancel()

    def _drop(self) -> None:
        self._review = self.reading = None


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


def only_claims_of(pod: JsonObject) -> dict[str, Any]:
    """Return a pod that names the same claims and holds nothing else: it is held while they are read."""
    return {"spec": {"volumes": _Volumes(claim_names(pod))}}


class _Volumes:
    """Volumes for claims, each made when it is looked at: a thousand names take the room of a thousand names."""

    def __init__(self, claims: tuple[str, ...]) -> None:
        self._claims = claims

    def __iter__(self) -> Iterator[JsonObject]:
        return ({"name": claim, "persistentVolumeClaim": {"claimName": claim}} for claim in self._claims)
