"""One way from a pod to its decision: read it, look, gather the facts, decide. Server, files and reports share it."""

import asyncio
import time
from collections.abc import Awaitable
from typing import Protocol, TypeVar

from webhook.policy.configuration import Config
from webhook.policy.decision import Decision
from webhook.policy.door import Look, decide, first_look
from webhook.policy.facts import Facts, Lookups, Missing, MissingReason, Namespace
from webhook.policy.pod import read_pod
from webhook.policy.pod.metadata import JsonObject

_OVERRUN_SECONDS = 0.05
"""A provider keeps the deadline itself and says what is missing. It is cut off only this much later."""
_Gathered = TypeVar("_Gathered")


class FactsProvider(Protocol):
    """What knows the objects around a pod: a cluster, or files. Both calls end within the seconds that they get."""

    async def namespace(self, name: str, seconds: float) -> Namespace:
        """Return the Namespace."""

    async def facts(self, namespace: str, lookups: Lookups, seconds: float) -> Facts:
        """Return the objects that the lookups name, of a pod of this namespace."""


class NoFacts:
    """A provider that knows nothing, for a demonstration and for benchmarks."""

    async def namespace(self, name: str, _seconds: float) -> Namespace:
        """Return the Namespace by its name only."""
        return Namespace(name)

    async def facts(self, _namespace: str, _lookups: Lookups, _seconds: float) -> Facts:
        """Return no object."""
        return Facts()


class HeldPod:
    """A pod that stays in memory while facts are awaited."""

    def __init__(self, manifest: JsonObject) -> None:
        self._manifest = manifest
        self.look: Look | None = None
        """What the policy saw of the pod; None before."""

    @property
    def manifest(self) -> JsonObject:
        """Return the raw pod."""
        return self._manifest

    async def turn(self) -> None:
        """Wait until a large pod may be read; this one may be at once."""

    async def without(self, gathering: Awaitable[_Gathered]) -> _Gathered:
        """Await facts. A pod that is kept as bytes may drop `manifest` and `look` meanwhile."""
        return await gathering


async def evaluate(
    pod: HeldPod, namespace_name: str, config: Config, provider: FactsProvider, deadline: float
) -> Decision:
    """Return the decision on a pod that is about to be created, by the deadline (time.monotonic).

    What the provider does not say in time is missing in the decision. The Namespace comes first, as it decides whether the
    rest is of interest. The pod is read once, unless it was dropped while facts were awaited.
    """
    late = (Missing("facts about the cluster", MissingReason.DEADLINE),)
    seconds = _left_seconds(deadline)
    namespace = await _in_time(pod.without(provider.namespace(namespace_name, seconds)), seconds)
    is_late = namespace is None
    namespace = namespace or Namespace(namespace_name, missing=late)
    await pod.turn()
    pod.look = first_look(read_pod(pod.manifest), namespace, config)
    if is_late or not pod.look.recognition.trains:
        return decide(pod.look, Facts())
    seconds = _left_seconds(deadline)
    facts = await _in_time(pod.without(provider.facts(namespace_name, pod.look.lookups, seconds)), seconds)
    await pod.turn()
    look = pod.look or first_look(read_pod(pod.manifest), namespace, config)
    return decide(look, Facts(missing=late) if facts is None else facts)


async def _in_time(gathering: Awaitable[_Gathered], seconds: float) -> _Gathered | None:
    """Return what was gathered; None where it took too long."""
    try:
        async with asyncio.timeout(seconds + _OVERRUN_SECONDS):
            return await gathering
    except TimeoutError:
        return None


def _left_seconds(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())
