"""Requests and limits of osmo-ctrl as a sidecar and of the gate, so that schedulers see the pod that they saw.

The gate takes over osmo-ctrl's requests and the sidecar keeps next to none: schedulers that do not count sidecars (KAI
before May 2026) and OSMO's own sum, which reads regular containers only, keep their totals.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from webhook.policy.facts import Facts
from webhook.policy.pod import Container, OsmoTask, Pod
from webhook.policy.pod.container import effective_requests
from webhook.policy.pod.metadata import JsonObject, metadata_of
from webhook.policy.quantity import kubernetes_quantity
from webhook.policy.shutdown.requirements import COMPUTE, COUNTED, amount, limit_items, requirements_of_added

_SIDECAR_REQUESTS = {"cpu": "10m", "memory": "16Mi"}


def resources_of_gate(pod: Pod, osmo_ctrl: JsonObject, facts: Facts) -> dict[str, Any]:
    """Return the gate's resources: osmo-ctrl's requests, with limits equal to them."""
    requests = effective_requests(osmo_ctrl)
    return requirements_of_added(pod, facts, {name: requests[name] for name in COUNTED if name in requests})


def resources_of_sidecar(osmo_ctrl: JsonObject) -> dict[str, Any]:
    """Return the resources of osmo-ctrl as a sidecar: its limits, and requests that do not count.

    The API server takes a missing request from the limit, so a request of zero is written out. Extended resources stay:
    they have no other place.
    """
    resources = osmo_ctrl.get("resources") or {}
    requests = effective_requests(osmo_ctrl)
    if not requests:
        return dict(resources)
    reduced = {name: "0" if name in COUNTED else text for name, text in requests.items()}
    small = {name: text for name, text in _SIDECAR_REQUESTS.items() if name in requests}
    return {**resources, "requests": {**reduced, **small}}


def obstacle_to_sidecar(pod: Pod, task: OsmoTask, facts: Facts) -> str:
    """Return why the pod's resources or the namespace's rules forbid a sidecar and a gate; empty where nothing does."""
    if all(map(_is_guaranteed, pod.all_containers)):
        return "the pod is of quality of service Guaranteed, which a sidecar with small requests would end"
    if facts.limit_ranges is None or facts.resource_quotas is None:
        return "the namespace's LimitRanges and ResourceQuotas are not known"
    for quota in facts.resource_quotas:
        if any(_is_of_compute(name) for name in (quota.get("spec") or {}).get("hard") or {}):
            return f"ResourceQuota {_name_of(quota)} counts the limits that a gate would add"
    sidecar = resources_of_sidecar(task.uploader)
    return next(_broken_limits(sidecar, facts.limit_ranges), "")


def _broken_limits(sidecar: Mapping[str, Any], ranges: tuple[JsonObject, ...]) -> Iterator[str]:
    requests, limits = sidecar.get("requests") or {}, sidecar.get("limits") or {}
    for limit_range, item in limit_items(ranges):
        if item.get("type") == "Pod" and any(item.get(bound) for bound in ("max", "maxLimitRequestRatio")):
            yield f"LimitRange {_name_of(limit_range)} bounds whole pods, and a gate adds to their limits"
        if item.get("type") != "Container":
            continue
        for name, text in requests.items():
            request, limit = kubernetes_quantity(text), kubernetes_quantity(limits.get(name))
            least = kubernetes_quantity((item.get("min") or {}).get(name))
            ratio = kubernetes_quantity((item.get("maxLimitRequestRatio") or {}).get(name))
            if (least or 0) > (request or 0) or (ratio and (not request or (limit or 0) / request > ratio)):
                yield f"LimitRange {_name_of(limit_range)} allows no container with so small a request of {name}"


def _is_guaranteed(container: Container) -> bool:
    limits, requests = container.limits, container.effective_requests
    return all(name in limits and amount(limits[name]) == amount(requests[name]) for name in COMPUTE)


def _is_of_compute(name: str) -> bool:
    return name.removeprefix("requests.").removeprefix("limits.") in COUNTED


def _name_of(holder: JsonObject) -> str:
    return str(metadata_of(holder).get("name", ""))
