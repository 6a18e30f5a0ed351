"""Every pod is patched while gracekeeper changes; while it is away, pods are created as they are."""

import threading
from base64 import b64decode

import pytest
from cryptography import x509

from e2e import pods
from tools.kube import eventually, paced

COUNT, PER_SECOND = 200, 20.0
REPLICAS = 2
LONGEST_ROTATION_ROUNDS = 15
"""Of 10 s each: a replica looks at the Secret once a minute.
"""
POD = pods.a_pod(annotations={"checkpoint-size": "9.2GB"})


def assert_all_patched_while(kube, namespace: str, change) -> None:
    """200 creations at 20 a second, the change begun after the first second; not one pod may miss its patch."""
    starter = threading.Timer(1.0, change)
    starter.start()
    created = list(paced(COUNT, PER_SECOND, lambda _: kube.create_pod(namespace, POD)))
    starter.join()
    unpatched = [number for number, pod in enumerate(created) if not pods.is_patched(pod)]
    assert len(created) == COUNT
    assert unpatched == []


@pytest.mark.core
def test_with_no_webhook_pods_are_created_unpatched_and_patched_again_when_it_is_back(kube, namespace, release):
    release.scale(0)
    created = kube.create_pod(namespace, POD)
    assert pods.grace_seconds(created) == 30
    assert not pods.is_patched(created)
    release.scale(2)
    eventually(lambda: pods.is_patched(kube.create_pod(namespace, POD)), "patched again")
    assert_all_patched_while(kube, namespace, lambda: None)


@pytest.mark.core
def test_a_rollout_restart_leaves_no_pod_unpatched(kube, namespace, release):
    release.wait_for_rollout()
    before = {pod["metadata"]["name"] for pod in release.pods()}
    assert_all_patched_while(kube, namespace, release.restart)
    release.wait_for_rollout()
    # the second replica goes while pods are still created, however slow the machine
    assert_all_patched_while(kube, namespace, lambda: None)
    eventually(lambda: before.isdisjoint(pod["metadata"]["name"] for pod in release.pods()), "both pods were replaced")


def test_a_certificate_rotation_leaves_no_pod_unpatched(kube, namespace, release):
    """Pods are created from before the first replica changes its certificate until after the last one has."""
    old_bundle = release.ca_bundles[0]
    old_end = in_use_until_seconds(release)
    release.rotate_certificate()
    eventually(lambda: release.ca_bundles[0] != old_bundle, "the new CA beside the old one", 120)
    assert certificates(release.ca_bundles[0]) == certificates(old_bundle) + 1
    assert in_use_until_seconds(release) == old_end
    rounds = 0
    while in_use_until_seconds(release) != REPLICAS * end_seconds(release) or rounds == 0:
        assert_all_patched_while(kube, namespace, lambda: None)
        rounds += 1
        assert rounds < LONGEST_ROTATION_ROUNDS, "the replicas still serve with the old certificate"
    assert_all_patched_while(kube, namespace, lambda: None)
    assert in_use_until_seconds(release) > old_end
    assert len(set(release.ca_bundles)) == 1


def in_use_until_seconds(release) -> float:
    """The ends of the certificates that the replicas serve with, added up."""
    total: float = release.metrics()["gracekeeper_certificate_expiry_timestamp_seconds"]
    return total


def end_seconds(release) -> float:
    """The end of the certificate in the Secret."""
    pem = b64decode(release.secret["data"]["tls.crt"])
    return x509.load_pem_x509_certificate(pem).not_valid_after_utc.timestamp()


def certificates(bundle: str) -> int:
    """How many certificates a caBundle holds."""
    return len(x509.load_pem_x509_certificates(b64decode(bundle)))
