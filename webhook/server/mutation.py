"""The straight line of a request: review, decision, operations, answer."""

import contextlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from webhook import admission, log
from webhook.admission import AdmissionResponse, Review
from webhook.evaluation import FactsProvider, evaluate
from webhook.metrics import Metrics, Overload
from webhook.policy import report
from webhook.policy.configuration import Config
from webhook.policy.decision import Decision
from webhook.policy.names import NO_NAME, shown
from webhook.policy.patch import DoubtfulPatchError, Operation, operations
from webhook.server.pod_in_review import MOST_CONTAINERS, PodInReview, has_too_many_containers, refuse_misshapen
from webhook.server.turns import Turns

LONGEST_DEADLINE_SECONDS = 2.0
_SHARE_FOR_FACTS = 0.8
"""Of the caller's timeout; the rest is for deciding and for the way back."""

_UNLOGGED = contextlib.suppress(Exception)
"""A line that cannot be written (a closed pipe, a full disk) must not cost a pod its patch."""

_TOO_MANY_CONTAINERS = f"gracekeeper: not patched, the pod has more than {MOST_CONTAINERS} containers"
_LONGEST_DURATION = 32
"""Characters; a text without end would keep the expression below busy for minutes."""
_DURATION = re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)(?:ms|us|µs|ns|h|m|s)", re.ASCII)
_SECONDS_PER_UNIT = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


@dataclass(frozen=True, slots=True)
class Mutation:
    """Answers reviews; everything it needs is handed in."""

    facts: FactsProvider
    config: Callable[[], Config]
    metrics: Metrics
    logger: log.Logger
    deadline_seconds: float = LONGEST_DEADLINE_SECONDS
    turns: Turns = field(default_factory=Turns)

    async def answer(self, body: bytes, patience: str | None, began: float) -> bytes:
        """The answer to a request's body; `began` is when it came in (time.monotonic).

        `patience` is how long the caller waits, as its ?timeout= says it.

        RefusedError where the body is no AdmissionReview.
        """
        pod = PodInReview(body, self.turns)
        await pod.turn()
        response = AdmissionResponse(pod.review.uid)
        if pod.review.creates_a_pod:
            try:
                response = await self._on_pod(pod, began + deadline_seconds(patience, self.deadline_seconds))
            except Exception as error:  # noqa: BLE001  # the pod must not suffer from a bug, and it must not go unseen
                refuse_misshapen(pod.manifest)
                self.metrics.bug()
                self._complain("bug", pod.review, **log.trace(error))
        body = admission.body_of(response)
        self.metrics.answered(time.monotonic() - began)
        return body

    async def _on_pod(self, pod: PodInReview, deadline: float) -> AdmissionResponse:
        if has_too_many_containers(pod.manifest):
            self.metrics.overloaded(Overload.CONTAINERS)
            return AdmissionResponse(pod.review.uid, warnings=(_TOO_MANY_CONTAINERS,))
        decision = await evaluate(pod, pod.review.namespace, self.config(), self.facts, deadline)
        review = pod.review
        self.metrics.decided(decision)
        patch = self._patch(review, decision)
        self._log(review, decision, patched=bool(patch))
        warnings, audit_annotations = report.warnings(decision), report.audit_annotations(decision)
        return AdmissionResponse(review.uid, patch, warnings, audit_annotations)

    def _patch(self, review: Review, decision: Decision) -> list[Operation]:
        try:
            return operations(review.object, decision)
        except DoubtfulPatchError as doubt:
            self.metrics.doubtful_patch()
            self._complain("patch withheld", review, doubt=str(doubt))
            return []

    def _complain(self, event: str, review: Review, **why: Any) -> None:
        with _UNLOGGED:
            self.logger.error(event, uid=review.uid, namespace=shown(review.namespace), **why)

    def _log(self, review: Review, decision: Decision, *, patched: bool) -> None:
        """Write one line for a pod; of a pod that does not train at debug level."""
        say = self.logger.info if decision.outcome.is_of_training_pod else self.logger.debug
        with _UNLOGGED:
            say(
                "decision",
                uid=review.uid,
                namespace=shown(review.namespace),
                pod=_pod_name(review),
                dry_run=bool(review.dry_run),
                patched=patched,
                **report.log_values(decision),
            )


@lru_cache(maxsize=64)  # API servers say the same with each call
def deadline_seconds(timeout: str | None, longest_seconds: float = LONGEST_DEADLINE_SECONDS) -> float:
    """How long gathering facts may take, given the caller's timeout (a Go duration: 3s, 1500ms, 1m0s).

    What is no duration above zero counts as not said.
    """
    patience_seconds = _duration_seconds(timeout or "")
    if patience_seconds <= 0:
        return longest_seconds
    return min(longest_seconds, patience_seconds * _SHARE_FOR_FACTS)


def _duration_seconds(text: str) -> float:
    parts = _DURATION.findall(text[:_LONGEST_DURATION])
    if "".join(parts) != text:
        return 0.0
    return sum(_part_seconds(part) for part in parts)


def _part_seconds(part: str) -> float:
    number = part.rstrip("hmsuµn")
    return float(number) * _SECONDS_PER_UNIT[part[len(number) :]]


def _pod_name(review: Review) -> str:
    """The name, or the prefix of the one that will be generated: a pod is looked at before it is validated."""
    stem = str(review.pod_name).rstrip("-.*")
    return NO_NAME if stem and shown(stem) != stem else str(review.pod_name)
