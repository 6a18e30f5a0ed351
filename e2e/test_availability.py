"""Every pod is patched while gracekeeper changes; while it is away, pods are created as they are."""

import ssl
import threading
from base64 import b64decode

from e2e import pods
from e2e.kube import eventually, paced

COUNT, PER_SECOND = 200, 20.0
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


def test_with_no_webhook_pods_are_created_unpatched_and_patched_again_when_it_is_back(kube, namespace, release):
    release.scale(0)
    created = kube.create_pod(namespace, POD)
    assert pods.grace_seconds(created) == 30
    assert not pods.is_patched(created)
    release.scale(2)
    eventually(lambda: pods.is_patched(kube.create_pod(namespace, POD)), "patched again")
    assert_all_patched_while(kube, namespace, lambda: None)


def test_a_rollout_restart_leaves_no_pod_unpatched(kube, namespace, release):
    release.wait_for_rollout()
    before = {pod["metadata"]["name"] for pod in release.pods()}
    assert_all_patched_while(kube, namespace, release.restart)
    release.wait_for_rollout()
    # the second replica goes while pods are still created, however slow the machine
    assert_all_patched_while(kube, namespace, lambda: None)
    assert before.isdisjoint(pod["metadata"]["name"] for pod in release.pods())


def test_a_certificate_rotation_leaves_no_pod_unpatched(kube, namespace, release):
    old_leaf, old_bundle = release.secret["data"]["tls.crt"], release.ca_bundles[0]
    release.rotate_certificate()
    eventually(lambda: release.ca_bundles[0] != old_bundle, "the new CA beside the old one", 120)
    assert certificates(release.ca_bundles[0]) > certificates(old_bundle)
    swapped = threading.Event()

    def watch_for_the_swap() -> None:
        eventually(lambda: release.secret["data"]["tls.crt"] != old_leaf, "a new certificate", 120)
        swapped.set()

    watcher = threading.Thread(target=watch_for_the_swap)
    watcher.start()
    assert_all_patched_while(kube, namespace, lambda: None)
    while not swapped.is_set():
        assert_all_patched_while(kube, namespace, lambda: None)
        assert watcher.is_alive() or swapped.is_set()
    watcher.join()
    assert_all_patched_while(kube, namespace, lambda: None)
    assert len(set(release.ca_bundles)) == 1


def certificates(bundle: str) -> int:
    """How many certificates a caBundle holds."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=b64decode(bundle).decode())
    return len(context.get_ca_certs())
