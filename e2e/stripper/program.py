"""The webhook itself, in the standard library alone: it runs in a container. The path of a call says what it takes away."""

import base64
import json
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOOK = "stripper.example.com/took"
Spec = dict[str, Any]


def without_init(spec: Spec) -> Spec:
    """Return the init containers without gracekeeper's."""
    inits = spec.get("initContainers", [])
    return {"initContainers": [each for each in inits if each["name"] != "gracekeeper-init"]}


def without_volume(spec: Spec) -> Spec:
    """Return the volumes without gracekeeper's; its mounts stay."""
    return {"volumes": [each for each in spec.get("volumes", []) if each["name"] != "gracekeeper"]}


def reordered(spec: Spec) -> Spec:
    """Return the init containers with gracekeeper's behind all others, sidecars included."""
    inits = spec.get("initContainers", [])
    return {"initContainers": sorted(inits, key=lambda each: each["name"] == "gracekeeper-init")}


def without_restart_policies(spec: Spec) -> Spec:
    """Return the init containers as a webhook for an old Kubernetes knows them: no one is a native sidecar."""
    inits = spec.get("initContainers", [])
    return {"initContainers": [{k: v for k, v in each.items() if k != "restartPolicy"} for each in inits]}


CHANGES = {"/sidecar": without_restart_policies, "/init": without_init, "/volume": without_volume, "/order": reordered}


def patch(path: str, pod: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the operations on a pod, which count in an annotation how often they took something; none if nothing is there."""
    changed = CHANGES[path](pod["spec"])
    if all(members == pod["spec"].get(group, []) for group, members in changed.items()):
        return []
    annotations = pod["metadata"].get("annotations") or {}
    counted = {**annotations, TOOK: str(int(annotations.get(TOOK, "0")) + 1)}
    return [
        *({"op": "add", "path": f"/spec/{group}", "value": members} for group, members in changed.items()),
        {"op": "add", "path": "/metadata/annotations", "value": counted},
    ]


class Stripper(BaseHTTPRequestHandler):
    """Answers reviews."""

    def do_POST(self) -> None:  # named by http.server
        """Answer one review."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["request"]
        response: dict[str, Any] = {"uid": request["uid"], "allowed": True}
        operations = patch(self.path.partition("?")[0], request["object"])
        if operations:
            encoded = base64.b64encode(json.dumps(operations).encode()).decode()
            response |= {"patchType": "JSONPatch", "patch": encoded}
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
        body = json.dumps(review).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve on the port of the first argument, with the certificate beside this file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("/stripper/tls.crt", "/stripper/tls.key")
    server = ThreadingHTTPServer(("", int(sys.argv[1])), Stripper)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
