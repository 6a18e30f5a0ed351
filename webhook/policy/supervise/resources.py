"""Requests and limits of containers that are added: the quality of service never changes, no LimitRange refuses them."""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from webhook.policy import pod as pods
from webhook.policy.facts import Facts, JsonObject
from webhook.policy.quantity import kubernetes_quantity

COMPUTE = ("cpu", "memory")
COUNTED = (*COMPUTE, "ephemeral-storage")
_SMALLEST = {"cpu": "50m", "memory": "32Mi"}
"""Supervise needs 5 MiB; the memory limit also holds the binary in its emptyDir."""

Amounts = Mapping[str, str]


def added(pod: JsonObject, facts: Facts, requests: Amounts | None = None) -> dict[str, Any]:
    """Of a container that is added: limits equal to requests, as large as the namespace's LimitRanges ask at least.

    In a BestEffort pod it asks for nothing, like the others.
    """
    if not any(name in effective_requests(container) for container in pods.everyone(pod) for name in COMPUTE):
        return {}
    candidates = [requests or {}, _SMALLEST, *(i.get("min") or {} for _, i in limit_items(facts.limit_ranges or ()))]
    names = {name for candidate in candidates for name in candidate if name in COUNTED}
    amounts = {name: max((c[name] for c in candidates if name in c), key=size) for name in sorted(names)}
    return {"requests": dict(amounts), "limits": dict(amounts)}


def effective_requests(container: JsonObject) -> Amounts:
    """Requests as the API server counts them: a limit without a request is one."""
    given = container.get("resources") or {}
    return {**(given.get("limits") or {}), **(given.get("requests") or {})}


def limit_items(ranges: tuple[JsonObject, ...]) -> Iterator[tuple[JsonObject, JsonObject]]:
    """Each LimitRange with each of its items."""
    for limit_range in ranges:
        for item in (limit_range.get("spec") or {}).get("limits") or ():
            yield limit_range, item


def size(text: str) -> Fraction:
    """The number that a quantity means; zero for what is none."""
    return kubernetes_quantity(text) or Fraction(0)
