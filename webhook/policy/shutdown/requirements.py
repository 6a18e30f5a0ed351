"""Requests and limits of containers that are added: the quality of service never changes, no LimitRange refuses them."""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from webhook.policy.facts import Facts
from webhook.policy.pod import Pod
from webhook.policy.pod.metadata import JsonObject
from webhook.policy.quantity import kubernetes_quantity

COMPUTE = ("cpu", "memory")
COUNTED = (*COMPUTE, "ephemeral-storage")
_SMALLEST = {"cpu": "50m", "memory": "32Mi"}
"""supervise needs 5 MiB; the memory limit also holds the binary in its emptyDir."""

Amounts = Mapping[str, str]


def requirements_of_added(pod: Pod, facts: Facts, requests: Amounts | None = None) -> dict[str, Any]:
    """Return the resources of a container that is added: limits equal to requests, no smaller than the LimitRanges allow.

    In a BestEffort pod the container requests nothing, like the others.
    """
    if not any(name in container.effective_requests for container in pod.all_containers for name in COMPUTE):
        return {}
    minima = (item.get("min") or {} for _, item in limit_items(facts.limit_ranges or ()))
    candidates = [requests or {}, _SMALLEST, *minima]
    names = {name for candidate in candidates for name in candidate if name in COUNTED}
    amounts = {name: max((c[name] for c in candidates if name in c), key=amount) for name in sorted(names)}
    return {"requests": dict(amounts), "limits": dict(amounts)}


def limit_items(ranges: tuple[JsonObject, ...]) -> Iterator[tuple[JsonObject, JsonObject]]:
    """Yield each LimitRange with each of its items."""
    for limit_range in ranges:
        for item in (limit_range.get("spec") or {}).get("limits") or ():
            yield limit_range, item


def amount(text: str) -> Fraction:
    """Return the number that a quantity means; zero for a text that is none."""
    return kubernetes_quantity(text) or Fraction(0)
