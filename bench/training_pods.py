"""Training pods as objects of an API server without nodes: made, told to stop, and ended by the bench itself."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from webhook.api import Api
from webhook.policy.pod import read_pod
from webhook.policy.prefix import EXACT_WORKLOAD_LABEL, WORKLOAD_LABEL
from webhook.policy.workload.workload_names import names_of

NAMESPACE = "training"
PODS_PATH = f"/api/v1/namespaces/{NAMESPACE}/pods"
LABELLED, UNLABELLED = "p", "u"
"""How the names of pods begin that the observer follows, and of those that it does not."""
THREADS, CALL_SECONDS = 8, 60.0
_GRACE_SECONDS, _SAVE_SECONDS = 30, 5.0


def a_pod(name: str, *, labelled: bool = True) -> dict[str, Any]:
    """A training pod of which nobody says its size, with forty variables; one workload has ten."""
    variables = [{"name": f"SETTING_{number}", "value": f"value-{number}"} for number in range(40)]
    workload = (
        f"--config=/configs/{int(name.rpartition('-')[2]) // 10}.yaml" if "-" in name else "--config=/configs/a.yaml"
    )
    container = {
        "name": "trainer",
        "image": "registry.example.com/team/train:1.2",
        "command": ["torchrun", "--nproc_per_node=8", "train.py", workload],
        "env": [*variables, {"name": "CHECKPOINT_DIR", "value": "/ckpt"}],
    }
    pod: dict[str, Any] = {
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"training.kubeflow.org/job-name": name}},
        "spec": {
            "nodeName": "nowhere",
            "terminationGracePeriodSeconds": _GRACE_SECONDS,
            "restartPolicy": "Never",
            "containers": [container],
        },
    }
    if labelled:
        names = names_of(read_pod(pod))
        pod["metadata"]["labels"] |= {WORKLOAD_LABEL: names.coarse, EXACT_WORKLOAD_LABEL: names.exact}
    return pod


def create(api: Api, name: str, *, labelled: bool = True) -> None:
    """Create a pod, as gracekeeper would have labelled it, or without its labels."""
    api.post(PODS_PATH, a_pod(name, labelled=labelled), timeout_seconds=CALL_SECONDS)


def stop(api: Api, names: Sequence[str]) -> None:
    """Let pods run, be told to stop, save for some seconds, and end."""
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda name: _put_status(api, name, ended=False), names))
        list(pool.map(lambda name: _evict(api, name, None), names))
        time.sleep(_SAVE_SECONDS)
        list(pool.map(lambda name: _put_status(api, name, ended=True), names))
        list(pool.map(lambda name: _evict(api, name, 0), names))


def _put_status(api: Api, name: str, *, ended: bool) -> None:
    now = datetime.now(UTC)
    started, finished = (f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in (now - timedelta(hours=1), now))
    terminated = {"exitCode": 0, "reason": "Completed", "startedAt": started, "finishedAt": finished}
    state = {"terminated": terminated} if ended else {"running": {"startedAt": started}}
    of_trainer = {"name": "trainer", "image": "x", "imageID": "", "ready": not ended, "restartCount": 0, "state": state}
    status = {"phase": "Succeeded" if ended else "Running", "containerStatuses": [of_trainer]}
    api.put(
        f"{PODS_PATH}/{name}/status",
        {**a_pod(name, labelled=name.startswith(LABELLED)), "status": status},
        timeout_seconds=CALL_SECONDS,
    )


def _evict(api: Api, name: str, grace_seconds: int | None) -> None:
    options: Mapping[str, Any] = {} if grace_seconds is None else {"gracePeriodSeconds": grace_seconds}
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "deleteOptions": options,
    }
    api.post(f"{PODS_PATH}/{name}/eviction", eviction, timeout_seconds=CALL_SECONDS)
