"""Shows the probe's pod to the API server, one namespace after the other, always as a dry run: nothing is stored."""

from collections.abc import Iterable
from typing import Any

from webhook.api import Api, ApiError
from webhook.doctor.probe import PodRefusal, answer_object, image_for, probe_pod
from webhook.policy.pod.metadata import JsonObject

_CALL_SECONDS = 30.0
"""Admission webhooks may take 30 s each, and all of them see the pod."""
_MAY_BE_THE_SIDECAR = frozenset({400, 403, 422})


def probe_answers(
    api: Api, namespaces: Iterable[str], pods: Iterable[JsonObject], *, call_seconds: float = _CALL_SECONDS
) -> list[dict[str, Any]]:
    """Return what the API server makes of the pod in each namespace, as objects of kind ProbeAnswer."""
    known = tuple(pods)
    return [_answer(api, namespace, image_for(namespace, known), call_seconds) for namespace in namespaces]


def _answer(api: Api, namespace: str, image: str, call_seconds: float) -> dict[str, Any]:
    """Show the pod; where it is refused, once more without the sidecar, which tells whether that is what is refused."""
    refusal: PodRefusal | None = None
    for has_sidecar in (True, False):
        shown = probe_pod(image, has_sidecar=has_sidecar)
        try:
            pod = _shown(api, namespace, shown, call_seconds)
            owners = _shown(api, namespace, probe_pod(image, has_sidecar=has_sidecar, asks=False), call_seconds)
            return answer_object(namespace, shown, pod, refusal, owners)
        except ApiError as error:
            refusal = PodRefusal(error.status, error.reason, error.message)
        if refusal.status not in _MAY_BE_THE_SIDECAR:
            break
    return answer_object(namespace, shown, None, refusal)


def _shown(api: Api, namespace: str, pod: JsonObject, call_seconds: float) -> dict[str, Any]:
    path = f"/api/v1/namespaces/{namespace}/pods"
    return api.post(path, pod, query={"dryRun": "All"}, timeout_seconds=call_seconds)
