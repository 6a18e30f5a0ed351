"""Policies, webhooks and the probe's answers for the tests of the checks that name who changes pods."""

import copy
from typing import Any

from tests.doctor.objects import ML, Json
from webhook.doctor import probe

PATCH = 'JSONPatch{op: "replace", path: "/spec/terminationGracePeriodSeconds", value: 50}'
NAMESPACE: Json = {"kind": "Namespace", "metadata": {"name": ML, "labels": {"kubernetes.io/metadata.name": ML}}}


def answer(grace: int = probe.STATED_SECONDS, restart_policy: str | None = "Always", namespace: str = ML) -> Json:
    """The probe's answer in a namespace where gracekeeper was called."""
    shown = probe.probe_pod("a")
    pod: Json = copy.deepcopy(shown)
    pod["spec"]["terminationGracePeriodSeconds"] = grace
    pod["spec"]["initContainers"][0]["restartPolicy"] = restart_policy
    pod["metadata"]["annotations"]["gracekeeper.dev/decision"] = "{}"
    return probe.answer_object(namespace, shown, pod, None)


def webhook(configuration: str, name: str = "w.example", labels: Json | None = None, **more: Any) -> Json:
    """A configuration with one webhook that sees new pods."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    return {
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": configuration, "labels": labels or {}},
        "webhooks": [{"name": name, "rules": [rule], **more}],
    }


def ours(configuration: str = "gracekeeper.gracekeeper") -> Json:
    return webhook(configuration, "pods.gracekeeper.dev", {"app.kubernetes.io/part-of": "gracekeeper"})
