"""The check that ends an installation: the objects that it needs, and what its script makes of an API server's answers."""

import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests import chart
from tests.test_chart import notes

SCRIPT = chart.FOLDER / "files" / "connection_test.py"
CONNECTIONS = 8
Answer = tuple[int, dict[str, Any], dict[str, str]]
"""Status, body, headers."""


@pytest.fixture(params=chart.HELMS)
def helm(request):
    return request.param


@pytest.fixture(params=chart.CI_FILES)
def file(request):
    return request.param


def job(manifests) -> dict[str, Any]:
    return chart.the(manifests, "Job", "-check")


def test_an_installation_ends_with_the_check_and_an_upgrade_does_not_run_it(helm):
    annotations = job(chart.rendered(helm))["metadata"]["annotations"]
    assert annotations["helm.sh/hook"] == "post-install"
    assert annotations["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded"
    assert annotations["helm.sh/hook-output-log-policy"] == "hook-succeeded,hook-failed"


def test_nothing_of_the_check_stays_after_the_release(helm):
    """What is no hook goes with the release; the Job goes when it succeeds, and by itself when it does not."""
    manifests = chart.rendered(helm)
    hooks = [each for each in manifests if "helm.sh/hook" in each["metadata"].get("annotations", {})]
    assert sorted(each["kind"] for each in hooks) == ["Job", "Pod"]
    assert job(manifests)["spec"]["ttlSecondsAfterFinished"] > 0


def test_the_check_s_pod_finds_room_wherever_the_server_did(file):
    """As an installation that works must not fail because of it: no request, no priority that a quota might forbid."""
    manifests = chart.rendered("helm4", file)
    if not chart.of_kind(manifests, "Job"):
        return
    pod = job(manifests)["spec"]["template"]["spec"]
    server = chart.the(manifests, "Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["resources"]["requests"] == {"cpu": "0", "memory": "0"}
    assert "priorityClassName" not in pod
    assert container["image"] == chart.container(manifests)["image"]
    for key in ("nodeSelector", "tolerations", "imagePullSecrets", "securityContext"):
        assert pod.get(key) == server.get(key)


def test_no_sidecar_keeps_the_job_from_ending_whatever_labels_the_pods_have(helm):
    label = "podLabels.sidecar\\.istio\\.io/inject=true"
    pod = job(chart.objects(helm, "--set-string", label))["spec"]["template"]["metadata"]
    assert pod["labels"]["sidecar.istio.io/inject"] == "false"
    assert pod["annotations"] == {"linkerd.io/inject": "disabled"}


def test_only_the_proof_fails_the_job_at_once_and_a_lost_node_does_not(helm):
    spec = job(chart.rendered(helm))["spec"]
    first, second = spec["podFailurePolicy"]["rules"]
    assert first == {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [3]}}
    assert second == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    assert spec["backoffLimit"] > 0


def test_the_check_may_create_pods_in_its_own_namespace_and_nothing_else(helm):
    manifests = chart.rendered(helm)
    role = chart.the(manifests, "Role", "-check")
    assert role["rules"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]}]
    (subject,) = chart.the(manifests, "RoleBinding", "-check")["subjects"]
    assert subject["name"] == job(manifests)["spec"]["template"]["spec"]["serviceAccountName"]
    assert not [each for each in chart.of_kind(manifests, "ClusterRole") if each["metadata"]["name"].endswith("-check")]


def test_the_api_server_asks_about_the_dry_run_pod_and_no_other_of_the_namespace(helm, file):
    manifests = chart.rendered(helm, file)
    entries = chart.the(manifests, "MutatingWebhookConfiguration")["webhooks"]
    (own,) = [each for each in entries if each["name"] == "check.gracekeeper.dev"]
    assert own["namespaceSelector"] == {"matchLabels": {"kubernetes.io/metadata.name": chart.NAMESPACE}}
    labels = own["objectSelector"]["matchLabels"]
    for each in manifests:
        template = each.get("spec", {}).get("template", each)["metadata"]
        assert not labels.items() <= template.get("labels", {}).items()
    assert [each["expression"] for each in own["matchConditions"]] == ["has(request.dryRun) && request.dryRun"]
    assert own["failurePolicy"] == "Ignore"


def test_the_entry_is_the_same_with_and_without_the_check(helm):
    """An entry that goes away would leave a torso behind that no API server takes (templates/webhook.yaml)."""
    without = chart.objects(helm, "--set", "installationCheck.enabled=false")
    assert chart.the(without, "MutatingWebhookConfiguration") == chart.the(
        chart.rendered(helm), "MutatingWebhookConfiguration"
    )
    assert not [each for each in without if each["metadata"]["name"].endswith("-check")]
    assert "serviceAccountName" not in chart.the(without, "Pod")["spec"]


def test_the_notes_say_whether_the_first_pods_are_patched(helm):
    assert "this command waited until the API server had dry-run pods patched" in notes(helm)
    unchecked = notes(helm, "--set", "installationCheck.enabled=false")
    assert "For some\nseconds they may be created unpatched." in unchecked
    assert "this command waited" not in unchecked


def patched(pod: dict[str, Any]) -> Answer:
    pod["metadata"]["annotations"]["gracekeeper.dev/decision"] = "{}"
    return 201, pod, {}


def warned_of(pod: dict[str, Any]) -> Answer:
    return 201, pod, {"Warning": '299 - "gracekeeper: annotation gracekeeper.dev/step-seconds=dry run: not a number"'}


def untouched(pod: dict[str, Any]) -> Answer:
    return 201, pod, {}


def refused(_: dict[str, Any]) -> Answer:
    return 403, {"message": 'pods is forbidden: "require-team-label" denied the request'}, {}


def overloaded(_: dict[str, Any]) -> Answer:
    return 429, {"message": "too many requests"}, {}


def reviewed(**response: Any) -> Callable[[dict[str, Any]], Answer]:
    def answer(review: dict[str, Any]) -> Answer:
        return 200, {"response": {"uid": review["request"]["uid"], "allowed": True, **response}}, {}

    return answer


WITH_A_PATCH = reviewed(patch="W10=", warnings=["gracekeeper: ..."])
IN_AUDIT_MODE = reviewed(warnings=["gracekeeper: ..."])
LEFT_ALONE = reviewed()


@dataclass
class Cluster:
    """An API server and the webhook's Service, each on a port of loopback, with certificates of one CA."""

    folder: Path
    authority: trustme.CA
    shown: list[dict[str, Any]] = field(default_factory=list)
    """The pods that the API server was shown."""
    addresses: set[tuple[str, int]] = field(default_factory=set)
    """Where the calls to the API server came from."""
    environment: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def serving(self, answer: Callable[[BaseHTTPRequestHandler, dict[str, Any]], Answer], name: str) -> Iterator[int]:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, content, headers = answer(self, body)
                text = json.dumps(content).encode()
                self.send_response(status)
                for key, value in {**headers, "Content-Length": str(len(text))}.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(name).configure_cert(context)
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            server.server_close()

    def api_server(self, *answers: Callable[[dict[str, Any]], Answer]) -> Any:
        """Answers its first call with the first answer, and so on, and all later ones with the last."""

        def answer(handler: BaseHTTPRequestHandler, pod: dict[str, Any]) -> Answer:
            assert handler.path == "/api/v1/namespaces/gk-system/pods?dryRun=All"
            assert handler.headers["Authorization"] == "Bearer a-token"
            self.shown.append(json.loads(json.dumps(pod)))
            self.addresses.add(handler.client_address)
            return answers[min(len(self.shown), len(answers)) - 1](pod)

        return self.serving(answer, "127.0.0.1")

    def webhook(self, answer: Callable[[dict[str, Any]], Answer]) -> Any:
        return self.serving(lambda _, review: answer(review), "gk-gracekeeper.gk-system.svc")

    def run(self, api_port: int, webhook_port: int | None, **more: str) -> subprocess.CompletedProcess[str]:
        """The script, as the chart's Job runs it."""
        environment = {
            "PATH": os.environ["PATH"],
            "NAMESPACE": "gk-system",
            "INSTANCE": "gk",
            "SERVICE": "gk-gracekeeper",
            "IMAGE": "registry.example.com/gracekeeper:1",
            "INSTALLATION": "true",
            "PATIENCE_SECONDS": "4",
            "API_ACCESS": str(self.folder),
            "CA_FILE": str(self.folder / "ca.crt"),
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(api_port),
            "GK_GRACEKEEPER_SERVICE_HOST": "127.0.0.1",
            "SERVICE_PORT": str(webhook_port or 1),
            **more,
        }
        command = [sys.executable, "-c", SCRIPT.read_text(encoding="utf-8")]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def cluster(tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.crt"))
    (tmp_path / "token").write_text("a-token\n")
    return Cluster(tmp_path, authority)


def test_it_ends_when_every_connection_s_pod_is_patched(cluster):
    """Pods are unpatched at first: one is patched, the next is not, because another API server made it."""
    answers = (untouched, untouched, patched, untouched, patched)
    with cluster.api_server(*answers) as api, cluster.webhook(WITH_A_PATCH) as webhook:
        done = cluster.run(api, webhook, PATIENCE_SECONDS="30")
    assert (done.returncode, done.stdout) == (0, f"API server: {CONNECTIONS} of {CONNECTIONS} dry-run pods patched\n")
    assert len(cluster.shown) >= 2 * CONNECTIONS
    assert len(cluster.addresses) == len(cluster.shown)


def test_it_fails_only_with_a_proof_that_pods_are_not_patched(cluster):
    with cluster.api_server(untouched) as api, cluster.webhook(WITH_A_PATCH) as webhook:
        done = cluster.run(api, webhook)
    assert done.returncode == 3
    assert "the webhook patches this pod, and the API server made it unpatched" in done.stdout


@pytest.mark.parametrize(
    ("made", "review", "line"),
    [
        (refused, WITH_A_PATCH, "not checked, it refuses the dry-run pod: pods is forbidden"),
        (untouched, LEFT_ALONE, "not checked, the configuration leaves this namespace alone"),
        (untouched, None, "not checked, no connection"),
        (untouched, lambda _: (500, {}, {}), "not checked, /mutate answered 500"),
        (overloaded, WITH_A_PATCH, "not checked, no connection: the API server answered 429"),
        (warned_of, IN_AUDIT_MODE, "it calls the webhook, which patches nothing in audit mode"),
    ],
    ids=["refused", "left-alone", "not-ready", "broken", "overloaded", "audit"],
)
def test_without_a_proof_it_ends_well_and_says_why(cluster, made, review, line):
    with cluster.api_server(made) as api, cluster.webhook(review or LEFT_ALONE) as webhook:
        done = cluster.run(api, webhook if review else None, PATIENCE_SECONDS="2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert line in done.stdout


def test_a_refusal_that_passes_is_no_refusal(cluster):
    """The API server may learn of the check's role after its pod has begun."""
    with cluster.api_server(refused, refused, patched) as api, cluster.webhook(WITH_A_PATCH) as webhook:
        done = cluster.run(api, webhook)
    assert (done.returncode, done.stdout) == (0, f"API server: {CONNECTIONS} of {CONNECTIONS} dry-run pods patched\n")


def test_helm_test_fails_on_whatever_is_wrong(cluster):
    with cluster.api_server(untouched) as api, cluster.webhook(WITH_A_PATCH) as webhook:
        unpatched = cluster.run(api, webhook, INSTALLATION="", PATIENCE_SECONDS="2")
        unreachable = cluster.run(api, None, INSTALLATION="", PATIENCE_SECONDS="2")
    assert unpatched.returncode == 3
    assert (unreachable.returncode, "no connection" in unreachable.stderr) == (1, True)


def test_the_pod_that_is_shown_is_the_one_that_the_chart_s_entry_selects(cluster):
    with cluster.api_server(patched) as api, cluster.webhook(WITH_A_PATCH) as webhook:
        cluster.run(api, webhook)
    entries = chart.the(chart.rendered("helm4"), "MutatingWebhookConfiguration")["webhooks"]
    (own,) = [each for each in entries if each["name"] == "check.gracekeeper.dev"]
    for pod in cluster.shown:
        assert own["objectSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
