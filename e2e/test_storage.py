"""The number from real objects: each driver's StorageClass, VolumeAttributesClass, claim and volume, as an API server keeps them.

No driver runs: the objects decide. What each row takes was computed by hand (tests/tables/storage_throughput.csv).
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from math import ceil

import pytest

from e2e import pods
from tests.storage_rows import UNITS, Objects, rows
from tools.kube import CALL_SECONDS, eventually
from webhook import log
from webhook.cluster import Cluster
from webhook.policy.facts import Facts, Lookups, Namespace

SIZE = {"checkpoint-size": "9.2GB"}
DEFAULT_BYTES_PER_SECOND = 100 * UNITS["MiB/s"]
UNREADABLE = {"", "0", "much"}
"""Capacities that no API server takes."""
KNOWN_AGAIN_SECONDS = 10

pytestmark = pytest.mark.usefixtures("release")


def grace_at(bytes_per_second: float) -> int:
    """As design.md adds it up, with its defaults and its maximum."""
    return min(3600, ceil((30 + 9.2e9 / bytes_per_second) * 2 + 15))


@pytest.fixture
def keep(kube, namespace):
    """Creates the objects behind a claim; what lives in no namespace is removed at the end."""
    made: list[str] = []

    def create(objects: Objects) -> None:
        of_storage = "/apis/storage.k8s.io/v1"
        for collection, each in (
            (f"{of_storage}/storageclasses", objects.storage_class),
            (f"{of_storage}/volumeattributesclasses", objects.attributes_class),
            ("/api/v1/persistentvolumes", objects.persistent_volume),
            (f"/api/v1/namespaces/{namespace}/persistentvolumeclaims", objects.claim),
        ):
            if each is not None:
                if each["kind"] == "PersistentVolume":  # bound in advance: nobody has to wait for the controller
                    claim = {"namespace": namespace, "name": objects.claim["metadata"]["name"]}
                    each = {**each, "spec": {**each["spec"], "claimRef": claim}}  # noqa: PLW2901
                kube.api.post(collection, each, timeout_seconds=CALL_SECONDS)
                if namespace not in collection:
                    made.append(f"{each['kind']}/{each['metadata']['name']}")

    yield create
    if made:
        kube("delete", *made, "--wait=false")


def test_every_driver_s_objects_give_the_speed_that_was_computed_by_hand(kube, namespace, keep):
    possible = [row for row in rows() if row.cells["request"] not in UNREADABLE]

    def differences(number: int) -> list[str]:
        row = possible[number]
        keep(row.objects(f"-{number}"))
        pod = kube.create_pod(namespace, pods.a_pod(annotations=SIZE, claim=f"p-{number}"))
        speed = pods.decision(pod)["terms"]["write-throughput"].replace(f"-{number}", "")
        wanted = grace_at(row.bytes_per_second or DEFAULT_BYTES_PER_SECOND)
        grace_seconds = pods.grace_seconds(pod)
        return [f"{row}: {grace_seconds} s, {speed}"] if (grace_seconds, row.reason in speed) != (wanted, True) else []

    with ThreadPoolExecutor(8) as pool:
        assert [line for lines in pool.map(differences, range(len(possible))) for line in lines] == []
    assert len({row.driver for row in possible}) > 20


def test_a_claim_that_was_made_after_its_pod_counts_for_the_next_pod(kube, namespace, keep):
    def created():
        return kube.create_pod(namespace, pods.a_pod(annotations=SIZE, claim="p-later"))

    early = created()
    assert pods.grace_seconds(early) == grace_at(DEFAULT_BYTES_PER_SECOND)
    assert pods.missing(early) == [f"PersistentVolumeClaim {namespace}/p-later: not-found"]
    keep(Objects("ebs.csi.aws.com", request="100Gi", of_class={"type": "gp3", "throughput": "500"}, suffix="-later"))
    late = eventually(
        lambda: (pod := created()) and not pods.missing(pod) and pod, "the claim is known", KNOWN_AGAIN_SECONDS
    )
    assert pods.grace_seconds(late) == grace_at(500 * UNITS["MiB/s"])


def test_an_unbound_claim_counts_by_its_request_and_a_bound_one_by_its_volume(kube, namespace, keep):
    waiting = Objects("ebs.csi.aws.com", request="100Gi", of_class={"type": "gp2"}, suffix="-waiting")
    bound = Objects("ebs.csi.aws.com", "100Gi", capacity="400Gi", of_class={"type": "gp2"}, suffix="-bound")
    keep(waiting)
    keep(bound)

    def phase():
        return kube.get("pvc", "p-bound", namespace)["status"]["phase"]

    eventually(lambda: phase() == "Bound", "the claim is bound to its volume")
    assert kube.get("pvc", "p-waiting", namespace)["status"]["phase"] == "Pending"
    for claim, mebibytes_per_second in (("p-waiting", 128), ("p-bound", 250)):
        pod = kube.create_pod(namespace, pods.a_pod(annotations=SIZE, claim=claim))
        assert pods.grace_seconds(pod) == grace_at(mebibytes_per_second * UNITS["MiB/s"])


def test_a_replica_that_has_listed_nothing_yet_reads_what_the_pod_needs(kube, namespace, keep):
    keep(
        Objects(
            "pd.csi.storage.gke.io",
            request="500Gi",
            capacity="500Gi",
            of_class={"type": "hyperdisk-balanced"},
            of_attributes_class={"throughput": "300Mi"},
            suffix="-cold",
        )
    )
    cold = Cluster(kube.api, log.silent())
    try:
        known, facts = asyncio.run(_all_about("p-cold", cold, namespace))
    finally:
        cold.stop()
    assert facts.missing == ()
    assert facts.persistent_volumes["v-cold"]["spec"]["capacity"] == {"storage": "500Gi"}
    assert facts.storage_classes["c-cold"]["parameters"] == {"type": "hyperdisk-balanced"}
    assert facts.volume_attributes_classes["a-cold"]["parameters"] == {"throughput": "300Mi"}
    assert known.manifest is not None


async def _all_about(claim: str, cluster: Cluster, namespace: str) -> tuple[Namespace, Facts]:
    return await cluster.namespace(namespace, CALL_SECONDS), await cluster.facts(
        namespace, Lookups((claim,)), CALL_SECONDS
    )
