"""What an admin, a scheduler, a controller or OSMO itself does to a pod, for scenarios that need more than one call."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from e2e.osmo.pods import RUN_LABEL
from e2e.osmo.runs import BEFORE, CONTAINER, NATIVE, Live
from e2e.pods import PAUSE_IMAGE
from tools.cluster.steps import attempt
from tools.kube import Json, Kube
from webhook.api import ApiError

SLOT = "e2e.example/slot"
PRIORITY_CLASS = "e2e-important"
OVER_SECONDS = 150
RESCHEDULE_PAUSE_SECONDS = 3
"""OSMO's, between its delete and its create."""
RESCHEDULE_ATTEMPTS = 5
ALREADY_EXISTS = 409


def preempted(live: Live) -> None:
    """kube-scheduler wants the one slot of the node for a pod of a higher priority."""
    live.until("training")
    (slot,) = (name for name in live.run.pod["spec"]["containers"][0]["resources"]["limits"] if SLOT in name)
    live.mark("deleted")
    live.stage.kube.create_pod(live.stage.namespace, _important(f"wants-{live.run.name}", slot))
    try:
        live.until_over(OVER_SECONDS)
    finally:
        live.stage.release(f"wants-{live.run.name}")


def _important(name: str, slot: str) -> Json:
    resources = {kind: {slot: "1"} for kind in ("limits", "requests")}
    container = {"name": "pause", "image": PAUSE_IMAGE, "resources": resources}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"priorityClassName": PRIORITY_CLASS, "containers": [container], "terminationGracePeriodSeconds": 0},
    }


def priority_class() -> Json:
    """Of the pods that preempt."""
    metadata = {"name": PRIORITY_CLASS}
    return {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": metadata, "value": 1000}


def add_slots(kube: Kube, node: str) -> None:
    """One slot for each mode on a node, as device plugins make them; they stay until the kubelet starts anew."""
    for mode in (BEFORE, NATIVE, CONTAINER):
        path = f"{SLOT}-{mode}".replace("/", "~1")
        kinds = ("capacity", "allocatable")
        changes = [{"op": "add", "path": f"/status/{kind}/{path}", "value": "1"} for kind in kinds]
        kube("patch", "node", node, "--subresource=status", "--type=json", f"-p={json.dumps(changes)}")


def suspended(live: Live) -> None:
    """The Job that made the pod is suspended."""
    live.until("training")
    live.mark("deleted")
    name = live.run.pod["metadata"]["ownerReferences"][0]["name"]
    live.stage.kube("patch", "job", name, f"-n{live.stage.namespace}", '-p={"spec":{"suspend":true}}')
    live.until_over(OVER_SECONDS)


def job(pod: Mapping[str, Any]) -> Json:
    """A Job whose template is this pod."""
    metadata = {key: value for key, value in pod["metadata"].items() if key not in {"name", "namespace"}}
    where = {key: pod["metadata"][key] for key in ("name", "namespace")}
    spec = {"backoffLimit": 0, "template": {"metadata": metadata, "spec": pod["spec"]}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": where, "spec": spec}


def rescheduled(live: Live) -> None:
    """As OSMO does it: finalizer off, delete, 3 s, create under the same name, refused, delete at once, create."""
    live.until("training")
    again = _again(live)
    live.delete_as_osmo_does()
    time.sleep(RESCHEDULE_PAUSE_SECONDS)
    for _ in range(RESCHEDULE_ATTEMPTS):
        try:
            live.stage.kube.create_pod(live.stage.namespace, again)
            break
        except ApiError as error:
            if error.status != ALREADY_EXISTS:
                raise
        live.mark("forced")
        words = ["delete", "pod", again["metadata"]["name"], f"-n{live.stage.namespace}", "--grace-period=0", "--force"]
        live.stage.kube(*words, "--wait=false")
    live.mark("created anew")
    live.until("upload ends", seconds=OVER_SECONDS, even_after_its_end=True)
    next_folder = f"{live.run.evidence}-again"
    live.until("training", folder=next_folder, even_after_its_end=True)
    live.run.events_of_next = live.stage.node_of(live.run).events(next_folder)


def _again(live: Live) -> Json:
    """The retry's pod: of the same name, with evidence of its own, and no part of this run."""
    text = json.dumps(live.manifest)
    evidence = live.run.evidence
    pod: Json = json.loads(text.replace(json.dumps(evidence), json.dumps(f"{evidence}-again")))
    pod["metadata"]["labels"][RUN_LABEL] += "-again"
    pod["spec"]["nodeSelector"] = {"kubernetes.io/hostname": live.run.pod["spec"]["nodeName"]}
    return pod


def drained(live: Live) -> None:
    """`kubectl drain` of the node; it waits for pods to vanish, which OSMO's finalizer holds back, so not for its end."""
    live.until("training")
    node = live.run.pod["spec"]["nodeName"]
    words = ["drain", node, "--force", "--delete-emptydir-data", "--ignore-daemonsets", "--timeout=5s"]
    live.mark("deleted")
    live.together.meet(lambda: attempt(live.stage.kube.command(*words)))
    try:
        live.until_over(OVER_SECONDS)
    finally:
        live.stage.kube("uncordon", node)


def tainted(live: Live) -> None:
    """A NoExecute taint on the node."""
    live.until("training")
    node = live.run.pod["spec"]["nodeName"]
    live.mark("deleted")
    live.together.meet(lambda: live.stage.kube("taint", "node", node, "e2e=gone:NoExecute", "--overwrite"))
    try:
        live.until_over(OVER_SECONDS)
    finally:
        attempt(live.stage.kube.command("taint", "node", node, "e2e-"))


def kubelet_restarted(event: str) -> Callable[[Live], None]:
    """The kubelet is restarted at some point of the end of a pod that was deleted."""

    def drive(live: Live) -> None:
        live.until("training")
        live.together.meet()
        live.delete()
        live.until(event)
        node = live.stage.node_of(live.run)
        live.mark("kubelet restarts")
        live.together.meet(lambda: node.run("systemctl restart kubelet"))
        live.until_over(OVER_SECONDS)

    return drive
