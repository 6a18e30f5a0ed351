"""In a cluster with thousands of claims, StorageClasses and nodes the replicas stay small and every pod gets its number."""

from bench import crowd
from e2e import pods
from e2e.kube import paced
from e2e.replica import Replica

MOST_MIB = 200
PODS, PER_SECOND = 300, 30.0
SIZE = {"checkpoint-size": "9.2GB"}


def test_among_thousands_of_objects_replicas_stay_small_and_every_pod_is_decided_with_all_its_facts(kube, release):
    with crowd.crowded(kube.api, kube.command()) as crowded:
        release.restart()
        release.wait_for_rollout()
        created = list(
            paced(
                PODS,
                PER_SECOND,
                lambda n: kube.create_pod(crowded, pods.a_pod(annotations=SIZE, claim=f"claim-{n}")),
            )
        )
        peaks_mib = [Replica.of(pod).peak_memory_mib() for pod in release.pods()]
    assert [number for number, pod in enumerate(created) if not pods.is_patched(pod) or pods.missing(pod)] == []
    assert len({pods.grace_seconds(pod) for pod in created}) > 20  # each claim by its own class
    assert max(peaks_mib) < MOST_MIB, peaks_mib
