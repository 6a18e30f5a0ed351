"""What a bad day does to the certificate: a CA overwritten by hand, a Secret deleted, a certificate from the future.

Pods are created all the time, and every one of them has to be patched, not only admitted.
"""

import base64
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from e2e import pods
from e2e.creations import POD, pods_are_created
from tools.kube import Kube, eventually
from tools.release import Release
from webhook.tls.certificates import new_authority, new_leaf, read_bundle, read_pair, service_names

REPLICAS = 2
PASS_SECONDS = 75
"""A replica looks at the Secret once a minute."""
REPAIR_SECONDS = 2.0
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def settled(kube, namespace, release: Release) -> Iterator[None]:
    """Both replicas keep their certificate in step, before and after; the release is as it was installed."""
    eventually(lambda: in_step(release) == REPLICAS == len(release.pods()), "both replicas in step", PASS_SECONDS)
    eventually(lambda: pods.is_patched(kube.create_pod(namespace, POD)), "pods are patched")
    yield
    eventually(lambda: in_step(release) == REPLICAS, "both replicas in step again", PASS_SECONDS)


def in_step(release: Release) -> float:
    return release.metrics()["gracekeeper_certificate_in_step"]


def ready_notes(kube: Kube, release: Release) -> list[list[str]]:
    """What `/readyz` of each replica says."""
    proxies = [
        f"/api/v1/namespaces/{release.namespace}/pods/{pod['metadata']['name']}:8080/proxy/readyz"
        for pod in release.pods()
    ]
    return [kube("get", "--raw", proxy).splitlines() for proxy in proxies]


def write_secret(kube: Kube, release: Release, data: dict[str, bytes]) -> None:
    """By hand: these keys and no other."""
    secret = {**release.secret, "data": {key: base64.b64encode(value).decode() for key, value in data.items()}}
    secret["metadata"] = {key: secret["metadata"][key] for key in ("name", "namespace", "labels", "annotations")}
    kube("replace", "-f", "-", text=json.dumps(secret))


def overwrite_ca_bundle(kube: Kube, release: Release) -> None:
    """By hand: a CA that signed nothing, in every entry."""
    authority = new_authority(DAY, datetime.now(UTC)).certificate_pem
    bundle = base64.b64encode(authority).decode()
    for configuration in (release.webhook_configuration, release.last_webhook_configuration):
        operations = [
            {"op": "replace", "path": f"/webhooks/{number}/clientConfig/caBundle", "value": bundle}
            for number in range(len(configuration["webhooks"]))
        ]
        name = configuration["metadata"]["name"]
        kube("patch", "mutatingwebhookconfiguration", name, "--type=json", f"--patch={json.dumps(operations)}")


def secret_data(release: Release) -> dict[str, bytes]:
    return {key: base64.b64decode(value) for key, value in release.secret.get("data", {}).items()}


def trusted_in_every_entry(release: Release, authority_pem: bytes) -> bool:
    return all(authority_pem in base64.b64decode(bundle) for bundle in release.ca_bundles)


def served_by_all(release: Release) -> bool:
    """Whether every replica serves the certificate of the Secret, and that one is valid already."""
    leaf = next(iter(read_bundle(secret_data(release).get("tls.crt", b""))), None)
    if leaf is None:
        return False
    ends = release.metrics()["gracekeeper_certificate_expiry_timestamp_seconds"]
    valid = leaf.not_valid_before_utc < datetime.now(UTC)
    return valid and ends == REPLICAS * leaf.not_valid_after_utc.timestamp()


def test_given_an_overwritten_ca_bundle_then_it_is_repaired_at_once_and_every_later_pod_is_patched(
    kube, namespace, release
):
    """Until an API server sees the repaired bundle it trusts nobody: those pods, within two seconds, are the price."""
    overwritten_at: list[float] = []
    ours = secret_data(release)["ca.crt"].split(b"-----END CERTIFICATE-----")[0]  # the first is the one in use
    with pods_are_created(kube, namespace) as creations:
        for _ in range(5):
            time.sleep(3)
            overwritten_at.append(time.monotonic())
            overwrite_ca_bundle(kube, release)
            eventually(lambda: trusted_in_every_entry(release, ours), "repaired", 5)
    unpatched_at = creations.unpatched_at()
    assert all(at >= overwritten_at[0] for at in unpatched_at)
    after = [at - max(began for began in overwritten_at if began <= at) for at in unpatched_at]
    print("seconds from overwriting to an unpatched pod:", sorted(round(seconds, 2) for seconds in after))
    assert max(after, default=0.0) < REPAIR_SECONDS
    assert len(creations.made) - len(unpatched_at) > 100


def test_given_a_deleted_secret_then_every_pod_is_patched_and_each_replica_says_what_is_wrong(kube, namespace, release):
    with pods_are_created(kube, namespace) as creations:
        began = time.monotonic()
        kube("delete", "secret", f"-n{release.namespace}", f"{release.name}-tls")
        eventually(lambda: in_step(release) == 0, "both replicas say it in a metric", PASS_SECONDS)
        print(f"noticed after {time.monotonic() - began:.0f} s")
        for ok, note in ready_notes(kube, release):
            assert ok == "ok"
            assert note.startswith(
                f"the certificate is not kept in step: the Secret {release.name}-tls cannot be read: 404 NotFound: "
            )
        overwrite_ca_bundle(kube, release)  # which is repaired also without the Secret
        overwritten_at = time.monotonic()
        time.sleep(REPAIR_SECONDS)
        release.upgrade()
        eventually(lambda: in_step(release) == REPLICAS, "both replicas are in step again", PASS_SECONDS)
        eventually(lambda: served_by_all(release), "both replicas serve a certificate of the new Secret", PASS_SECONDS)
    assert ready_notes(kube, release) == [["ok"]] * REPLICAS
    apart = [at for at in creations.unpatched_at() if not overwritten_at - 1 <= at < overwritten_at + REPAIR_SECONDS]
    assert apart == []


def test_given_a_certificate_from_the_future_in_the_secret_then_replicas_mend_it_and_every_pod_is_patched(
    kube, namespace, release
):
    data = secret_data(release)
    authority = read_pair(data["ca.crt"], data["ca.key"])
    names = service_names(release.name, release.namespace)
    future = new_leaf(authority, names, 90 * DAY, datetime.now(UTC) + 3 * DAY)
    with pods_are_created(kube, namespace) as creations:
        began = time.monotonic()
        write_secret(kube, release, {**data, "tls.crt": future.certificate_pem, "tls.key": future.key_pem})
        eventually(lambda: secret_data(release)["tls.crt"] != future.certificate_pem, "issued again", PASS_SECONDS)
        eventually(lambda: served_by_all(release), "served by both replicas", PASS_SECONDS)
        print(f"mended after {time.monotonic() - began:.0f} s")
    assert secret_data(release)["ca.key"] == data["ca.key"]
    assert creations.unpatched_at() == []


def test_given_a_ca_from_the_future_in_the_secret_then_replicas_mend_it_and_every_pod_is_patched(
    kube, namespace, release
):
    """Also a replica that starts meanwhile: it has nothing in memory, and serves only what API servers accept."""
    later = datetime.now(UTC) + 3 * DAY
    authority = new_authority(365 * DAY, later)
    leaf = new_leaf(authority, service_names(release.name, release.namespace), 90 * DAY, later)
    data = {
        "ca.crt": authority.certificate_pem,
        "ca.key": authority.key_pem,
        "tls.crt": leaf.certificate_pem,
        "tls.key": leaf.key_pem,
    }
    with pods_are_created(kube, namespace) as creations:
        began = time.monotonic()
        write_secret(kube, release, data)
        release.restart()
        eventually(lambda: secret_data(release).get("tls.crt") != leaf.certificate_pem, "not kept", PASS_SECONDS)
        release.wait_for_rollout()
        eventually(lambda: len(release.pods()) == REPLICAS, "the former pods are gone", 120)
        eventually(lambda: served_by_all(release), "served by both replicas", PASS_SECONDS)
        print(f"mended after {time.monotonic() - began:.0f} s")
    assert read_bundle(secret_data(release)["ca.crt"])[0].not_valid_before_utc < datetime.now(UTC)
    assert creations.unpatched_at() == []
