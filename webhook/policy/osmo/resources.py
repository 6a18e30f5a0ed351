"""Requests and limits of osmo-ctrl as a sidecar and of the gate, so that schedulers see the pod that they saw.

The gate takes over osmo-ctrl's requests and the sidecar keeps next to none: schedulers that do not count sidecars (KAI
before May 2026) and OSMO's own sum, which reads regular containers only, keep their totals.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from webhook.policy import pod as pods
from webhook.policy.facts import Facts, JsonObject
from webhook.policy.osmo.task import Task, uploader
from webhook.policy.quantity import kubernetes_quantity
from webhook.policy.supervise.resources import COMPUTE, COUNTED, added, effective_requests, limit_items, size

_SIDECAR_REQUESTS = {"cpu": "10m", "memory": "16Mi"}


def of_gate(pod: JsonObject, osmo_ctrl: JsonObject, facts: Facts) -> dict[str, Any]:
    """Of the gate: osmo-ctrl's requests, with limits equal to them."""
    requests = effective_requests(osmo_ctrl)
    return added(pod, facts, {name: requests[name] for name in COUNTED if name in requests})


def of_sidecar(osmo_ctrl: JsonObject) -> dict[str, Any]:
    """Of osmo-ctrl as a sidecar: its limits, and requests that do not count.

    A request that is not said is taken from the limit, so zero is said. Extended resources stay: they have no other place.
    """
    given = osmo_ctrl.get("resources") or {}
    requests = effective_requests(osmo_ctrl)
    if not requests:
        return dict(given)
    reduced = {name: "0" if name in COUNTED else amount for name, amount in requests.items()}
    return {**given, "requests": {**reduced, **{n: a for n, a in _SIDECAR_REQUESTS.items() if n in requests}}}


def against_sidecar(task: Task, facts: Facts) -> str:
    """Why the pod's resources or the namespace's rules speak against a sidecar and a gate; empty where nothing does."""
    if _is_guaranteed(task.pod):
        return "the pod is of quality of service Guaranteed, which a sidecar with small requests would end"
    if facts.limit_ranges is None or facts.resource_quotas is None:
        return "the namespace's LimitRanges and ResourceQuotas are not known"
    for quota in facts.resource_quotas:
        if any(_is_of_compute(name) for name in (quota.get("spec") or {}).get("hard") or {}):
            return f"ResourceQuota {_name(quota)} counts the limits that a gate would add"
    sidecar = of_sidecar(uploader(task))
    return next(_broken_limits(sidecar, facts.limit_ranges), "")


def _broken_limits(sidecar: Mapping[str, Any], ranges: tuple[JsonObject, ...]) -> Iterator[str]:
    requests, limits = sidecar.get("requests") or {}, sidecar.get("limits") or {}
    for limit_range, item in limit_items(ranges):
        if item.get("type") == "Pod" and any(item.get(bound) for bound in ("max", "maxLimitRequestRatio")):
            yield f"LimitRange {_name(limit_range)} bounds whole pods, and a gate adds to their limits"
        if item.get("type") != "Container":
            continue
        for name, amount in requests.items():
            request, limit = kubernetes_quantity(amount), kubernetes_quantity(limits.get(name))
            least = kubernetes_quantity((item.get("min") or {}).get(name))
            ratio = kubernetes_quantity((item.get("maxLimitRequestRatio") or {}).get(name))
            if (least or 0) > (request or 0) or (ratio and (not request or (limit or 0) / request > ratio)):
                yield f"LimitRange {_name(limit_range)} allows no container with so small a request of {name}"


def _is_guaranteed(pod: JsonObject) -> bool:
    return all(_limits_are_requests(container) for container in pods.everyone(pod))


def _limits_are_requests(container: JsonObject) -> bool:
    limits, requests = (container.get("resources") or {}).get("limits") or {}, effective_requests(container)
    return all(name in limits and size(limits[name]) == size(requests[name]) for name in COMPUTE)


def _is_of_compute(name: str) -> bool:
    return name.removeprefix("requests.").removeprefix("limits.") in COUNTED


def _name(found: JsonObject) -> str:
    return str((found.get("metadata") or {}).get("name", ""))
