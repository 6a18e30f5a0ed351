"""The straight line of a request: review, facts, decision, operations, answer."""

import asyncio
import contextlib
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from webhook import admission, log
from webhook.admission import Answer, Review
from webhook.metrics import Metrics, Overload
from webhook.policy.config import Config
from webhook.policy.decision import Decision, Outcome, conclude
from webhook.policy.facts import Facts, Missing, MissingReason
from webhook.policy.keys import Ignored
from webhook.policy.lookups import Lookups
from webhook.policy.names import NO_NAME, shown
from webhook.policy.patch import DoubtfulPatchError, Operation, operations
from webhook.policy.recognise import Look, look_at
from webhook.server.pod_in_review import (
    MOST_CONTAINERS,
    PodInReview,
    has_too_many_containers,
    only_claims_of,
    refuse_misshapen,
)
from webhook.server.turns import Turns

Gather = Callable[[str, Mapping[str, Any], float, Lookups], Awaitable[Facts]]
"""Namespace, pod, seconds and what to look up beside volumes to the facts around the pod; an empty pod asks for the Namespace
alone."""

LONGEST_DEADLINE_SECONDS = 2.0
_SHARE_FOR_FACTS = 0.8
"""Of the caller's timeout; the rest is for deciding and for the way back."""
_GATHER_OVERRUN_SECONDS = 0.05
"""Gathering keeps the deadline itself and says what is missing; it is cut off only this much later."""

_OF_TRAINING_PODS = frozenset(
    {Outcome.PATCHED, Outcome.AUDITED, Outcome.UNCHANGED, Outcome.SIZE_UNKNOWN, Outcome.UNSUPPORTED}
)

_OF_CONTAINER = " of container "
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

    gather: Gather
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
        pod: PodInReview[Look] = PodInReview(body, self.turns)
        await pod.turn()
        answer = Answer(pod.review.uid)
        if pod.review.creates_a_pod:
            try:
                answer = await self._pod_answer(pod, began + deadline_seconds(patience, self.deadline_seconds))
            except Exception as error:  # noqa: BLE001  # the pod must not suffer from a bug, and it must not go unseen
                refuse_misshapen(pod.review.object)
                self.metrics.bug()
                self._complain("bug", pod.review, **log.trace(error))
        written = admission.write(answer)
        self.metrics.answered(time.monotonic() - began)
        return written

    async def _pod_answer(self, pod: PodInReview[Look], deadline: float) -> Answer:
        if has_too_many_containers(pod.review.object):
            self.metrics.overloaded(Overload.CONTAINERS)
            return Answer(pod.review.uid, warnings=(_TOO_MANY_CONTAINERS,))
        config = self.config()
        facts = await self._facts(pod, config, deadline)
        await pod.turn()
        review = pod.review
        look = pod.reading or look_at(review.object, facts.namespace, review.namespace, config)
        decision = conclude(look, review.object, facts, config)
        self.metrics.decided(decision)
        patch = self._patch(review, decision)
        self._log(review, decision, patched=bool(patch))
        return Answer(review.uid, patch, decision.warnings, _audit_annotations(decision))

    async def _facts(self, pod: PodInReview[Look], config: Config, deadline: float) -> Facts:
        """What the cluster tells in time.

        The Namespace comes first, as it decides whether the rest is of interest.
        """
        namespace, facts = pod.review.namespace, Facts()
        left_seconds = deadline - time.monotonic()
        try:
            async with asyncio.timeout(left_seconds + _GATHER_OVERRUN_SECONDS):
                facts = await pod.without(self.gather(namespace, {}, max(0.0, left_seconds), Lookups()))
                await pod.turn()
                pod.reading = look_at(pod.review.object, facts.namespace, namespace, config)
                if pod.reading.trains:
                    left_seconds = max(0.0, deadline - time.monotonic())
                    claims, lookups = only_claims_of(pod.review.object), pod.reading.lookups
                    facts = await pod.without(self.gather(namespace, claims, left_seconds, lookups))
                return facts
        except TimeoutError:
            late = Missing("facts about the cluster", MissingReason.DEADLINE)
            return replace(facts, missing=(*facts.missing, late))

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
        """One line for a pod that trains; of values that somebody wrote, the place and the key, never the text."""
        say = self.logger.info if decision.outcome in _OF_TRAINING_PODS else self.logger.debug
        with _UNLOGGED:
            say(
                "decision",
                uid=review.uid,
                namespace=shown(review.namespace),
                pod=_pod_name(review),
                dry_run=bool(review.dry_run),
                outcome=decision.outcome,
                because=decision.because,
                mode=decision.mode,
                profile=decision.profile,
                osmo=None if decision.osmo is None else decision.osmo.mode,
                grace_seconds=decision.grace_seconds,
                patched=patched,
                ignored=[_key_and_place(passed) for passed in decision.ignored],
                missing=[str(missing) for missing in decision.missing],
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


def _key_and_place(passed: Ignored) -> str:
    place, of, container = passed.place.partition(_OF_CONTAINER)
    return f"{place}{of}{shown(container) if of else ''} {shown(passed.key)}"


def _audit_annotations(decision: Decision) -> dict[str, str]:
    told = {
        "outcome": decision.outcome,
        "mode": decision.mode,
        "because": decision.because,
        "profile": decision.profile,
        "grace-seconds": decision.grace_seconds,
        "missing": ", ".join(map(str, decision.missing)),
    }
    return {key: str(value) for key, value in told.items() if value not in (None, "")}
