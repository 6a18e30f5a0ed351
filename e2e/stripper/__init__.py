"""A mutating webhook that takes away or moves what gracekeeper adds to a pod, called before it and after it."""

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path

from e2e.stripper.program import TOOK as TOOK
from tools.kube import Json, Kube, eventually
from webhook.tls.certificates import Pair, new_authority, new_leaf, service_names

NAME = "stripper"
LABEL = "e2e/strip"
PARTS = ("init", "volume", "order")
POLICIES = {
    "before": ("a-stripper", "IfNeeded"),
    "after": ("z-stripper", "IfNeeded"),
    "once": ("z-stripper-once", "Never"),
}
"""When it is called, and the configuration that says so: the API server calls configurations in the order of their names."""
PORT = 8443
_PROGRAM = Path(__file__).with_name("program.py")
_LIFE = timedelta(days=1)


def install(kube: Kube, namespace: str, image: str) -> None:
    """Start the webhook in a namespace, and let the API server call it for the pods of that namespace."""
    bundle = started(kube, namespace, image)
    kube.apply(*(_configuration(when, namespace, bundle) for when in POLICIES))


def install_for_sidecars(kube: Kube, namespace: str, image: str) -> None:
    """Start it, and let the API server call it behind gracekeeper for every pod of that namespace: no sidecar stays one."""
    configuration = _configuration("once", namespace, started(kube, namespace, image))
    first = configuration["webhooks"][0]
    service = {**first["clientConfig"]["service"], "path": "/sidecar"}
    webhook = {**first, "name": "sidecar.stripper.example.com"}
    webhook["clientConfig"] = {**first["clientConfig"], "service": service}
    webhook["objectSelector"] = {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": [NAME]}]}
    kube.apply({**configuration, "webhooks": [webhook]})


def started(kube: Kube, namespace: str, image: str) -> str:
    """Start the webhook in a namespace; the result is the caBundle for it."""
    now = datetime.now(UTC)
    authority = new_authority(_LIFE, now)
    leaf = new_leaf(authority, service_names(NAME, namespace), _LIFE, now)
    kube.apply(*_server(namespace, image, leaf))
    ready = '{.status.conditions[?(@.type=="Ready")].status}'
    eventually(lambda: kube("get", "pod", NAME, f"-n{namespace}", f"-ojsonpath={ready}") == "True", "a ready stripper")
    eventually(lambda: kube.get("endpoints", NAME, namespace).get("subsets"), "an address of the stripper's Service")
    return base64.b64encode(authority.certificate_pem).decode()


def uninstall(kube: Kube) -> None:
    """Let the API server call it no longer."""
    names = [name for name, _ in POLICIES.values()]
    kube("delete", "mutatingwebhookconfiguration", *names, "--ignore-not-found")


def _server(namespace: str, image: str, leaf: Pair) -> list[Json]:
    metadata: Json = {"name": NAME, "namespace": namespace}
    files = {
        "program.py": _PROGRAM.read_text(),
        "tls.crt": leaf.certificate_pem.decode(),
        "tls.key": leaf.key_pem.decode(),
    }
    container = {
        "name": NAME,
        "image": image,
        "imagePullPolicy": "Never",
        "command": ["python3", "-u", "/stripper/program.py", str(PORT)],
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
        "volumeMounts": [{"name": "files", "mountPath": "/stripper"}],
    }
    spec = {"containers": [container], "volumes": [{"name": "files", "secret": {"secretName": NAME}}]}
    return [
        {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": files},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": {"app": NAME}, "ports": [{"port": 443, "targetPort": PORT}]},
        },
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {**metadata, "labels": {"app": NAME}},
            "spec": {**spec, "terminationGracePeriodSeconds": 0},
        },
    ]


def _configuration(when: str, namespace: str, ca_bundle: str) -> Json:
    name, reinvocation_policy = POLICIES[when]
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [
            {
                "name": f"{part}.stripper.example.com",
                "admissionReviewVersions": ["v1"],
                "clientConfig": {
                    "service": {"namespace": namespace, "name": NAME, "path": f"/{part}"},
                    "caBundle": ca_bundle,
                },
                "failurePolicy": "Fail",  # a stripper that is away would prove nothing
                "reinvocationPolicy": reinvocation_policy,
                "sideEffects": "None",
                "timeoutSeconds": 10,
                "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "objectSelector": {"matchLabels": {LABEL: f"{part}-{when}"}},
            }
            for part in PARTS
        ],
    }
