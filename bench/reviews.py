"""The requests: AdmissionReviews of a pod of OSMO (8 KB) and of a large one (60 KB), as an API server sends them."""

import copy
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import yaml

NAMESPACE = "robotics"
CLAIM = "checkpoints"
_OSMO_POD = Path(__file__).parent / "pods" / "osmo.yaml"
_MORE_VARIABLES, _MORE_VOLUMES, _MORE_ANNOTATIONS = 340, 90, 48


def bodies() -> dict[str, bytes]:
    """The bodies by the name of their size."""
    small = osmo_pod()
    return {"small": review(small), "large": review(_large(small))}


def osmo_pod() -> dict[str, Any]:
    """The pod that the small body carries, the caller's own."""
    return copy.deepcopy(_read(_OSMO_POD))


@cache
def _read(path: Path) -> dict[str, Any]:
    pod: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return pod


def _large(pod: dict[str, Any]) -> dict[str, Any]:
    """The same pod with as many variables, volumes and annotations as platforms have been seen to add."""
    large = copy.deepcopy(pod)
    trainer = large["spec"]["containers"][0]
    trainer["env"] += [
        {"name": f"PLATFORM_SETTING_{n:03}", "value": f"value-{n:03}-of-some-length-{n:03}"}
        for n in range(_MORE_VARIABLES)
    ]
    trainer["volumeMounts"] += [
        {"name": f"platform-{n:02}", "mountPath": f"/etc/platform/settings/{n:02}", "readOnly": True}
        for n in range(_MORE_VOLUMES)
    ]
    large["spec"]["volumes"] += [
        {"name": f"platform-{n:02}", "configMap": {"name": f"platform-settings-{n:02}", "defaultMode": 420}}
        for n in range(_MORE_VOLUMES)
    ]
    large["metadata"]["annotations"] |= {
        f"platform.example.com/note-{n:02}": "a note that a platform leaves on each of its pods " * 5
        for n in range(_MORE_ANNOTATIONS)
    }
    return large


def review(pod: dict[str, Any], namespace: str = NAMESPACE) -> bytes:
    """The AdmissionReview of the creation of a pod."""
    request = {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "requestKind": {"group": "", "version": "v1", "kind": "Pod"},
        "requestResource": {"group": "", "version": "v1", "resource": "pods"},
        "name": pod["metadata"]["name"],
        "namespace": namespace,
        "operation": "CREATE",
        "userInfo": {"username": "system:serviceaccount:osmo:backend-worker", "groups": ["system:authenticated"]},
        "object": pod,
        "oldObject": None,
        "dryRun": False,
        "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
    }
    return orjson.dumps({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request})
