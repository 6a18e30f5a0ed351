"""`gracekeeper doctor --probe` on a real cluster: who changes pods is named, and the lines that it prints cure it."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from e2e import pods, stripper
from tools.cluster.settings import ROOT
from tools.kube import eventually

POLICY = "e2e-cap-grace"
VIEWER = "e2e-viewer"
Report = dict[str, Any]
Doctor = Callable[..., tuple[int, Report]]


@pytest.fixture
def doctor(cluster) -> Doctor:
    """Runs the command on the cluster; the result is exit code and report."""

    def run(*arguments: str, kubeconfig: str = "") -> tuple[int, Report]:
        environment = {**os.environ, "KUBECONFIG": kubeconfig or str(cluster.kubeconfig)}
        command = [sys.executable, "-m", "webhook", "doctor", *arguments, "-o", "json"]
        done = subprocess.run(
            command, cwd=ROOT, env=environment, text=True, capture_output=True, check=False, timeout=120
        )
        assert done.returncode in {0, 1}, done.stderr
        return done.returncode, json.loads(done.stdout)

    return run


@pytest.fixture
def cap_of_50_seconds(kube):
    """A MutatingAdmissionPolicy that sets the grace of every new pod to 50 s."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    expression = "Object{spec: Object.spec{terminationGracePeriodSeconds: 50}}"
    spec = {
        "reinvocationPolicy": "IfNeeded",
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [rule]},
        "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}],
    }
    version = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": POLICY}}
    kube.apply({**version, "kind": "MutatingAdmissionPolicy", "spec": spec})
    kube.apply({**version, "kind": "MutatingAdmissionPolicyBinding", "spec": {"policyName": POLICY}})
    yield
    kube("delete", "mutatingadmissionpolicy,mutatingadmissionpolicybinding", POLICY, "--ignore-not-found")


def findings(report: Report) -> dict[str, Report]:
    """Errors and warnings, the worst of each check."""
    shown = [each for each in report["findings"] if each["severity"] != "info"]
    return {each["id"]: each for each in reversed(shown)}


def apply_cure(kube, finding: Report) -> None:
    program, *words = shlex.split(finding["fix"])
    assert program == "kubectl"
    kube(*words)


@pytest.mark.release
@pytest.mark.usefixtures("release", "cap_of_50_seconds")
def test_who_changes_pods_is_named_by_the_probe_and_cured_by_what_doctor_prints(kube, namespace, doctor, trainer_image):
    stripper.install_for_sidecars(kube, namespace, trainer_image)
    try:
        # given a policy that sets 50 s and a webhook that strips restartPolicy, and a training pod
        kube.create_pod(namespace, pods.a_pod(annotations={"checkpoint-size": "9.2GB"}))
        probe = ("--probe", namespace, "-n", namespace, "--only", "GK2")
        # when the API server is asked
        eventually(lambda: {"GK203", "GK204", "GK205"} <= findings(doctor(*probe)[1]).keys(), "both effects")
        code, report = doctor(*probe)
        found = findings(report)
        # then both are named, as errors
        assert code == 1
        assert found["GK203"]["object"] == f"MutatingAdmissionPolicy {POLICY}"
        assert found["GK205"]["object"] == "webhook z-stripper-once/sidecar.stripper.example.com"
        assert {found[check]["severity"] for check in ("GK203", "GK204", "GK205")} == {"error"}
        # and when each printed line has been run, the findings are gone
        apply_cure(kube, found["GK203"])
        apply_cure(kube, found["GK205"])
        eventually(lambda: findings(doctor(*probe)[1]) == {}, "no finding after the cures")
        assert doctor(*probe)[0] == 0
    finally:
        stripper.uninstall(kube)


@pytest.mark.release
@pytest.mark.usefixtures("release")
def test_who_may_only_view_is_told_what_could_not_be_looked_at(kube, namespace, doctor, tmp_path):
    # given a ServiceAccount with the ClusterRole view, and no training pod that lacks anything
    kube("create", "serviceaccount", VIEWER, f"-n{namespace}")
    kube("create", "clusterrolebinding", VIEWER, "--clusterrole=view", f"--serviceaccount={namespace}:{VIEWER}")
    try:
        token = kube("create", "token", VIEWER, f"-n{namespace}").strip()
        config = json.loads(kube("config", "view", "--raw", "--minify", "-ojson"))
        config["users"][0]["user"] = {"token": token}
        kubeconfig = tmp_path / "viewer"
        kubeconfig.write_text(json.dumps(config))
        # when it runs the command
        arguments = ("-n", namespace)
        code, report = doctor(*arguments, kubeconfig=str(kubeconfig))
        # then that is no failure, and what it may not read is said
        reasons = {(each["what"], each["reason"]) for each in report["unseen"]}
        assert code == 0, report["findings"]
        assert ("nodes", "forbidden") in reasons
        assert ("how often the API server failed open", "forbidden") in reasons
        assert doctor(*arguments, "--fail-on", "unseen", kubeconfig=str(kubeconfig))[0] == 1
    finally:
        kube("delete", "clusterrolebinding", VIEWER)
