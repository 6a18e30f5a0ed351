"""One way from a pod to its decision: read it, look, gather the facts, decide. Server, files and reports share it."""

import asyncio
import time
from collections.abc import Awaitable
from typing import Protocol, TypeVar

from webhook.policy.configuration import Config
from webhook.policy.decision import Decision
from webhook.policy.door import decide, first_look
from webhook.policy.facts import Facts, Lookups, Missing, MissingReason, Namespace
from webhook.policy.pod import read_pod
from webhook.policy.pod.metadata import JsonObject

_OVERRUN_SECONDS = 0.05
"""A source keeps the deadline itself and says what is missing. It is cut off only this much later."""
_Gathered = TypeVar("_Gathered")


class FactsProvider(Protocol):
    """What knows the objects around a pod: a cluster, or files. Both calls end within the seconds that they get."""

    async def namespace(self, name: str, seconds: float) -> Namespace:
        """Return the Namespace."""

    async def facts(self, namespace: str, lookups: Lookups, seconds: float) -> Facts:
        """Return the objects that the lookups name, of a pod of this namespace."""


class NoFacts:
    """A source that knows nothing, for a demonstration and for benchmarks."""

    async def namespace(self, name: str, _seconds: float) -> Namespace:
        """Return the Namespace by its name only."""
        return Namespace(name)

    async def facts(self, _namespace: str, _lookups: Lookups, _seconds: float) -> Facts:
        """Return no object."""
        return Facts()


async def evaluate(
    manifest: JsonObject, namespace_name: str, config: Config, source: FactsProvider, deadline: float
) -> Decision:
    """Return the decision on a pod that is about to be created, by the deadline (time.monotonic).

    What the source does not say in time is missing in the decision. The Namespace comes first, as it decides whether the
    rest is of interest.
    """
    pod = read_pod(manifest)
    late = (Missing("facts about the cluster", MissingReason.DEADLINE),)
    seconds = _left_seconds(deadline)
    namespace = await _in_time(source.namespace(namespace_name, seconds), seconds)
    look = first_look(pod, namespace or Namespace(namespace_name, missing=late), config)
    if namespace is None or not look.recognition.trains:
        return decide(look, Facts())
    seconds = _left_seconds(deadline)
    facts = await _in_time(source.facts(namespace_name, look.lookups, seconds), seconds)
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
