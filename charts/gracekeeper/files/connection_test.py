"""Run by `helm test`, and once by `helm install`: asks whether a pod is patched.

It shows a pod to the API server, as a dry run, which calls the webhook as for a training pod, and asks the webhook itself.
`helm test` fails on whatever is wrong. An installation (INSTALLATION=true) fails only with a proof: the webhook would patch
the pod, and the API server did not let it for PATIENCE_SECONDS. In any other case it says why it could not tell, and ends well.
"""
# ruff: noqa: INP001, T201  # a script that the chart carries; helm shows what it prints

import http.client
import json
import os
import socket
import ssl
import sys
import time
from pathlib import Path

CA_FILE = Path(os.environ.get("CA_FILE", "/etc/gracekeeper-ca/ca.crt"))
API_ACCESS = Path(os.environ.get("API_ACCESS", "/var/run/secrets/kubernetes.io/serviceaccount"))
NAMESPACE, SERVICE = os.environ["NAMESPACE"], os.environ["SERVICE"]
INSTALLATION = os.environ.get("INSTALLATION") == "true"
PATIENCE_SECONDS = float(os.environ.get("PATIENCE_SECONDS", "30"))
CALL_SECONDS = 5
PAUSE_SECONDS = 1
CONNECTIONS = 8
"""Each may lead to another API server, and each of them has to know the webhook."""
REFUSALS = 5
"""An API server may learn of our role a moment after the pod has begun."""
PROOF_OF_FAILURE = 3
"""The exit code that the Job does not try again."""
UID = "00000000-0000-0000-0000-000000000001"
AMOUNTS = {"cpu": "10m", "memory": "16Mi"}
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "generateName": "gracekeeper-dry-run-",
        "labels": {"app.kubernetes.io/component": "dry-run", "app.kubernetes.io/instance": os.environ["INSTANCE"]},
        "annotations": {
            "gracekeeper.dev/enabled": "true",
            "gracekeeper.dev/grace-seconds": "60",
            # Nothing that can be read, for a warning: in audit mode it is the only sign of the webhook.
            "gracekeeper.dev/step-seconds": "dry run",
        },
    },
    # As small as Pod Security's `restricted` and a quota of the namespace allow.
    "spec": {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "main",
                "image": os.environ["IMAGE"],
                "resources": {"requests": AMOUNTS, "limits": AMOUNTS},
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }
        ],
    },
}
REVIEW = {
    "apiVersion": "admission.k8s.io/v1",
    "kind": "AdmissionReview",
    "request": {
        "uid": UID,
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "namespace": NAMESPACE,
        "operation": "CREATE",
        "dryRun": True,
        "object": POD,
    },
}
PATCHED, WARNED, UNTOUCHED = "patched", "warned of", "left alone"
"""What can become of the pod; `warned of` means that the webhook was asked and patches nothing: audit mode."""


class RefusedError(Exception):
    """The API server does not take the pod: a role, a policy, a quota, or another webhook."""


class WrongAnswerError(Exception):
    """Somebody answered, but not as the webhook does."""


class UnpatchedError(Exception):
    """The webhook would patch the pod, and the API server made it without."""


def address(service: str) -> str:
    """Return the Service's address: from the environment if the kubelet put it there, because not every cluster has DNS."""
    return os.environ.get(f"{service.upper().replace('-', '_')}_SERVICE_HOST", f"{service}.{NAMESPACE}.svc")


def ask_the_webhook() -> tuple[str, str]:
    """Return what the webhook makes of the pod, and a line on it; the certificate is checked if its CA is known."""
    context, checked = ssl.create_default_context(), "certificate verified"
    if CA_FILE.exists():
        context.load_verify_locations(CA_FILE)
    else:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        checked = "certificate NOT verified: no ca.crt in its Secret"
    name = f"{SERVICE}.{NAMESPACE}.svc"
    connection = http.client.HTTPSConnection(name, timeout=CALL_SECONDS)
    port = int(os.environ.get("SERVICE_PORT", "443"))
    connection.sock = context.wrap_socket(
        socket.create_connection((address(SERVICE), port), CALL_SECONDS), server_hostname=name
    )
    connection.request("POST", "/mutate?timeout=3s", json.dumps(REVIEW), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != http.client.OK:
        raise WrongAnswerError(f"/mutate answered {answer.status}: {body[:200]!r}")
    response = json.loads(body)["response"]
    if response["uid"] != UID or response["allowed"] is not True:
        raise WrongAnswerError(f"/mutate answered {response}")
    effect = PATCHED if response.get("patch") else WARNED if response.get("warnings") else UNTOUCHED
    return effect, f"/mutate: allowed, {'with' if effect == PATCHED else 'without'} a patch, {checked}"


def ask_for_readiness(service: str, port: int) -> str:
    """Return what /readyz says, through the Service for metrics."""
    connection = http.client.HTTPConnection(address(service), port, timeout=CALL_SECONDS)
    connection.request("GET", "/readyz")
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != http.client.OK:
        raise WrongAnswerError(f"/readyz answered {answer.status}: {body[:200]!r}")
    notes = body.decode(errors="replace").splitlines()[1:]
    return "\n".join(["/readyz: ready", *(f"/readyz: {note}" for note in notes)])


def make_a_dry_run_pod() -> str:
    """Return what became of the pod on its way through an API server, over a connection of its own."""
    context = ssl.create_default_context(cafile=str(API_ACCESS / "ca.crt"))
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], int(os.environ["KUBERNETES_SERVICE_PORT"])
    connection = http.client.HTTPSConnection(host, port, timeout=CALL_SECONDS * 2, context=context)
    token = (API_ACCESS / "token").read_text().strip()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Connection": "close"}
    connection.request("POST", f"/api/v1/namespaces/{NAMESPACE}/pods?dryRun=All", json.dumps(POD), headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status in {http.client.TOO_MANY_REQUESTS, *range(500, 600)}:
        raise ConnectionError(f"the API server answered {answer.status}: {body[:200]!r}")
    if answer.status != http.client.CREATED:
        raise RefusedError(" ".join(str(json.loads(body).get("message")).split())[:300])
    if "gracekeeper.dev/decision" in json.loads(body)["metadata"]["annotations"]:
        return PATCHED
    return WARNED if "gracekeeper: " in (answer.getheader("Warning") or "") else UNTOUCHED


def ask_the_api_server() -> str:
    """Return a line on the way from the API server to the webhook and back; UnpatchedError if it is not open."""
    for refusals in range(1, REFUSALS + 1):
        try:
            effects = {make_a_dry_run_pod() for _ in range(CONNECTIONS)}
            break
        except RefusedError as error:
            if refusals == REFUSALS:
                return f"API server: not checked, it refuses the dry-run pod: {error}"
            time.sleep(PAUSE_SECONDS)
    if effects == {PATCHED}:
        return f"API server: {CONNECTIONS} of {CONNECTIONS} dry-run pods patched"
    expected, _ = ask_the_webhook()
    if expected == UNTOUCHED:
        return "API server: not checked, the configuration leaves this namespace alone"
    if effects == {expected}:
        return "API server: it calls the webhook, which patches nothing in audit mode"
    raise UnpatchedError(
        "the webhook patches this pod, and the API server made it unpatched. Does it reach the webhook's port (firewall, "
        "hostNetwork.enabled)? Does it trust the certificate (caBundle)? See GracekeeperFailsOpen in docs/operations.md"
    )


def answers() -> list[str]:
    """Return a line for each question."""
    if INSTALLATION:
        return [ask_the_api_server()]
    lines = [ask_the_webhook()[1]]
    if "METRICS_SERVICE" in os.environ:
        lines.append(ask_for_readiness(os.environ["METRICS_SERVICE"], int(os.environ["METRICS_PORT"])))
    if API_ACCESS.exists():
        lines.append(ask_the_api_server())
    return lines


def ask_until_answered() -> list[str]:
    """Return all answers; ask again for a while if nobody listens yet, or an API server does not know the webhook yet."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return answers()
        except (OSError, UnpatchedError):
            if time.monotonic() > end:
                raise
            time.sleep(PAUSE_SECONDS)


def main() -> None:
    """Print the answers; exit as the first lines of this file say."""
    try:
        print("\n".join(ask_until_answered()))
    except UnpatchedError as error:
        print(error)
        sys.exit(PROOF_OF_FAILURE)
    except Exception as error:  # noqa: BLE001  # an installation must not fail by a bug of its check
        line = f"no connection: {error}" if isinstance(error, OSError) else str(error) or type(error).__name__
        if not INSTALLATION:
            sys.exit(line)
        print(f"API server: not checked, {line}")


main()
