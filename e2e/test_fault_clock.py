"""One replica whose clock is wrong by days, on a real API server: nothing is issued by that clock, and every pod is patched.

libfaketime shifts the clock of the server's process. The kernel cannot: a time namespace moves no CLOCK_REALTIME.
"""

import base64
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from e2e import pods
from e2e.creations import POD, pods_are_created
from e2e.replica import Replica
from tools.cluster import packages
from tools.kube import Json, Kube, eventually
from tools.release import Release
from webhook.tls.certificates import due, read_bundle

pytestmark = pytest.mark.release
"""CI runs rows of e2e/test_certificates.py, where the Secret holds certificates from the future."""

NAME = "wrong-clock"
LIBRARY = Path(f"/usr/lib/{platform.machine()}-linux-gnu/faketime/libfaketimeMT.so.1")
PACKAGE = "libfaketime"
OFFSET_FILE = "/clock/offset"
READY_SECONDS = 45
AHEAD = timedelta(days=300)
"""So far that the certificate looks due, and not so far that the API server's looks ended."""
FAR_AHEAD = timedelta(days=4000)
"""The API server's certificate looks ended."""


@contextmanager
def replica_ahead(kube: Kube, release: Release, ahead: timedelta) -> Iterator[None]:
    """One more replica, which the Service selects and the Deployment does not own, whose clock is ahead from its start."""
    packages.need({str(LIBRARY): PACKAGE})
    library = base64.b64encode(LIBRARY.read_bytes()).decode()
    metadata: Json = {"name": NAME, "namespace": release.namespace}
    pod = pod_ahead(kube.get("deployment", release.name, release.namespace)["spec"]["template"], metadata, ahead)
    kube.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "binaryData": {LIBRARY.name: library}}, pod
    )
    try:
        yield
    finally:
        kube("delete", "pod,configmap", NAME, f"-n{release.namespace}", "--ignore-not-found", "--grace-period=1")


def pod_ahead(template: Json, metadata: Json, ahead: timedelta) -> Json:
    """A pod of the Deployment's template with libfaketime, which reads the offset from a file in the pod."""
    spec = template["spec"]
    [server] = spec["containers"]
    clock = {"name": "clock", "mountPath": str(Path(OFFSET_FILE).parent)}
    variables = {
        "LD_PRELOAD": f"/faketime/{LIBRARY.name}",
        "FAKETIME_TIMESTAMP_FILE": OFFSET_FILE,
        "FAKETIME_CACHE_DURATION": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    first = {
        "name": "clock",
        "image": server["image"],
        "imagePullPolicy": "Never",
        "command": written(ahead),
        "volumeMounts": [clock],
    }
    server = {
        **server,
        "env": [*server["env"], *({"name": name, "value": value} for name, value in variables.items())],
        "volumeMounts": [*server["volumeMounts"], clock, {"name": "faketime", "mountPath": "/faketime"}],
    }
    volumes = [{"name": "clock", "emptyDir": {}}, {"name": "faketime", "configMap": {"name": NAME}}]
    spec = {
        **spec,
        "initContainers": [*spec["initContainers"], first],
        "containers": [server],
        "volumes": [*spec["volumes"], *volumes],
    }
    labels = template["metadata"]["labels"]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {**metadata, "labels": labels}, "spec": spec}


def written(ahead: timedelta) -> list[str]:
    """The command that sets the clock so far ahead."""
    return ["python", "-c", f"open({OFFSET_FILE!r}, 'w').write('+{ahead.days}d\\n')"]


def set_right(kube: Kube, release: Release) -> None:
    kube("exec", NAME, f"-n{release.namespace}", "-cgracekeeper", "--", *written(timedelta()))


def is_ready(kube: Kube, release: Release) -> bool:
    condition = '{.status.conditions[?(@.type=="Ready")].status}'
    return kube("get", "pod", NAME, f"-n{release.namespace}", f"-ojsonpath={condition}") == "True"


def of_replica(kube: Kube, release: Release, path: str) -> list[str]:
    """Lines of its health port."""
    return kube("get", "--raw", f"/api/v1/namespaces/{release.namespace}/pods/{NAME}:8080/proxy/{path}").splitlines()


def trusted_and_served(release: Release):
    return release.secret["data"], release.ca_bundles


def make_it_look(kube: Kube, release: Release) -> None:
    """Change the webhook configuration, which every replica watches and answers with a pass."""
    kube("label", "mutatingwebhookconfiguration", release.webhook_configuration["metadata"]["name"], "e2e/look=1")
    kube("label", "mutatingwebhookconfiguration", release.webhook_configuration["metadata"]["name"], "e2e/look-")


def test_given_a_replica_300_days_ahead_then_it_renews_nothing_and_serves_what_others_serve(kube, namespace, release):
    eventually(lambda: pods.is_patched(kube.create_pod(namespace, POD)), "pods are patched")
    before = trusted_and_served(release)
    [leaf] = read_bundle(base64.b64decode(release.secret["data"]["tls.crt"]))[:1]
    assert due(leaf, datetime.now(UTC) + AHEAD)
    with replica_ahead(kube, release, AHEAD), pods_are_created(kube, namespace) as creations:
        eventually(lambda: is_ready(kube, release), "it is ready, with the certificate of the Secret", READY_SECONDS)
        make_it_look(kube, release)
        ok, note = of_replica(kube, release, "readyz")
        assert ok == "ok"
        assert note.startswith("the clock of this node is 300 d ahead of the API server's: no certificate is issued")
        replica = Replica.of(kube.get("pod", NAME, release.namespace))
        metrics = replica.metrics()
        assert metrics["gracekeeper_certificate_expiry_timestamp_seconds"] == leaf.not_valid_after_utc.timestamp()
        assert metrics["gracekeeper_clock_ahead_seconds"] == pytest.approx(AHEAD.total_seconds(), abs=5)
        assert "patch" in replica.review(namespace, POD)
        assert trusted_and_served(release) == before
        set_right(kube, release)
        eventually(lambda: of_replica(kube, release, "readyz") == ["ok"], "its clock is right again", READY_SECONDS)
    assert trusted_and_served(release) == before
    assert creations.unpatched_at() == []


def test_given_a_replica_so_far_ahead_that_it_trusts_no_api_server_then_it_is_not_ready_until_its_clock_is_right(
    kube, namespace, release
):
    eventually(lambda: pods.is_patched(kube.create_pod(namespace, POD)), "pods are patched")
    before = trusted_and_served(release)
    with replica_ahead(kube, release, FAR_AHEAD), pods_are_created(kube, namespace) as creations:
        log = lambda: kube("logs", NAME, f"-n{release.namespace}", "-cgracekeeper")  # noqa: E731
        eventually(lambda: "certificate has expired" in log(), "it says why it has no certificate", READY_SECONDS)
        make_it_look(kube, release)
        assert not is_ready(kube, release)
        set_right(kube, release)
        eventually(lambda: is_ready(kube, release), "it is ready", READY_SECONDS)
        assert of_replica(kube, release, "readyz") == ["ok"]
    assert trusted_and_served(release) == before
    assert creations.unpatched_at() == []
