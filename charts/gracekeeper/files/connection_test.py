"""Run by `helm test`: asks the webhook about a pod through its Service, as the API server would, and reads /readyz."""
# ruff: noqa: INP001, T201  # a script that the chart carries; helm shows what it prints

import http.client
import json
import os
import socket
import ssl
import sys
import time
from pathlib import Path

CA_FILE = Path("/etc/gracekeeper-ca/ca.crt")
TIMEOUT_SECONDS = 5
PATIENCE_SECONDS = 30
UID = "00000000-0000-0000-0000-000000000001"
REVIEW = {
    "apiVersion": "admission.k8s.io/v1",
    "kind": "AdmissionReview",
    "request": {
        "uid": UID,
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "namespace": "default",
        "operation": "CREATE",
        "dryRun": True,
        "object": {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "helm-test", "annotations": {"gracekeeper.dev/checkpoint-size": "1GiB"}},
            "spec": {"terminationGracePeriodSeconds": 30, "containers": [{"name": "main", "image": "none"}]},
        },
    },
}


def address(service: str) -> str:
    """The Service's address: from the environment where the kubelet put it, because not every cluster has DNS."""
    variable = f"{service.upper().replace('-', '_')}_SERVICE_HOST"
    return os.environ.get(variable, f"{service}.{os.environ['NAMESPACE']}.svc")


def ask(service: str) -> str:
    """One AdmissionReview over TLS, with the certificate checked where its CA is known."""
    context, checked = ssl.create_default_context(), "certificate verified"
    if CA_FILE.exists():
        context.load_verify_locations(CA_FILE)
    else:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        checked = "certificate NOT verified: no ca.crt in its Secret"
    name = f"{service}.{os.environ['NAMESPACE']}.svc"
    connection = http.client.HTTPSConnection(name, timeout=TIMEOUT_SECONDS)
    plain = socket.create_connection((address(service), 443), TIMEOUT_SECONDS)
    connection.sock = context.wrap_socket(plain, server_hostname=name)
    connection.request("POST", "/mutate?timeout=3s", json.dumps(REVIEW), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != http.client.OK:
        sys.exit(f"/mutate answered {answer.status}: {body[:200]!r}")
    response = json.loads(body)["response"]
    if response["uid"] != UID or response["allowed"] is not True:
        sys.exit(f"/mutate answered {response}")
    return f"/mutate: allowed, {'with' if response.get('patch') else 'without'} a patch, {checked}"


def ready(service: str, port: int) -> str:
    """What /readyz says, through the Service for metrics."""
    connection = http.client.HTTPConnection(address(service), port, timeout=TIMEOUT_SECONDS)
    connection.request("GET", "/readyz")
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != http.client.OK:
        sys.exit(f"/readyz answered {answer.status}: {body[:200]!r}")
    notes = body.decode(errors="replace").splitlines()[1:]
    return "\n".join(["/readyz: ready", *(f"/readyz: {note}" for note in notes)])


def main() -> None:
    """Both questions, again for a while where nobody listens yet."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            print(ask(os.environ["SERVICE"]))
            if "METRICS_SERVICE" in os.environ:
                print(ready(os.environ["METRICS_SERVICE"], int(os.environ["METRICS_PORT"])))
        except OSError as error:
            if time.monotonic() > end:
                sys.exit(f"no connection: {error}")
            time.sleep(2)
        else:
            return


main()
