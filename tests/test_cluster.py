"""Facts as an API server gives them: from the watch, by a live read, or not at all; and how soon they are found again."""

import asyncio
import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest

from tests import fake_api
from webhook import log
from webhook.api import Api
from webhook.cluster import Cluster
from webhook.cluster.stream import Patience
from webhook.policy.facts import Facts, Lookups, Missing, MissingReason

NAMESPACES = "/api/v1/namespaces"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
ATTRIBUTES_CLASSES = "/apis/storage.k8s.io/v1/volumeattributesclasses"
CLAIMS = f"{NAMESPACES}/team-a/persistentvolumeclaims"
VOLUMES = "/api/v1/persistentvolumes"
JOBS = "/apis/batch/v1/namespaces/team-a/jobs"
QUICK = Patience(watch_seconds=(2.0, 3.0), retry_seconds=(0.05, 0.2), unserved_seconds=0.2)


def a_pod(*claims):
    volumes = [{"name": f"v{i}", "persistentVolumeClaim": {"claimName": c}} for i, c in enumerate(claims)]
    return {"metadata": {"name": "train"}, "spec": {"volumes": volumes}}


@pytest.fixture
def server():
    with fake_api.running() as server:
        for collection in (NAMESPACES, CLASSES, ATTRIBUTES_CLASSES, CLAIMS, VOLUMES):
            server.serve_collection(collection)
        server.put(f"{NAMESPACES}/team-a", kind="Namespace", metadata={"labels": {"gracekeeper.dev/enabled": "true"}})
        yield server


@contextmanager
def watching(server, patience=QUICK):
    api = Api.from_address(server.address)
    cluster = Cluster(api, log.logger(), patience)
    yield cluster
    cluster.stop()
    eventually(lambda: not any(t.name.startswith("watch-") for t in threading.enumerate()))
    api.close()


@pytest.fixture
def cluster(server):
    with watching(server) as cluster:
        yield cluster


def eventually(condition, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not come true in time"
        time.sleep(0.01)


def started(cluster: Cluster) -> Cluster:
    cluster.start()
    eventually(lambda: not cluster.lacks())
    return cluster


async def facts(cluster: Cluster, *claims, seconds: float = 2.0):
    return await cluster.facts("team-a", Lookups(claims), seconds)


async def test_a_claim_leads_to_its_volume_and_both_classes(server, cluster):
    server.put(
        f"{CLAIMS}/data",
        kind="PersistentVolumeClaim",
        spec={"volumeName": "pv-1", "storageClassName": "gp3", "volumeAttributesClassName": "fast"},
    )
    server.put(f"{VOLUMES}/pv-1", kind="PersistentVolume", spec={"capacity": {"storage": "1Ti"}})
    server.put(f"{CLASSES}/gp3", provisioner="ebs.csi.aws.com", parameters={"type": "gp3"})
    server.put(f"{ATTRIBUTES_CLASSES}/fast", parameters={"throughput": "500"})
    facts_of_pod = await facts(started(cluster), "data")
    assert facts_of_pod.missing == ()
    namespace = await cluster.namespace("team-a", 2.0)
    assert namespace.manifest is not None
    assert namespace.manifest["metadata"]["labels"] == {"gracekeeper.dev/enabled": "true"}
    assert facts_of_pod.persistent_volumes["pv-1"]["spec"]["capacity"] == {"storage": "1Ti"}
    assert facts_of_pod.storage_classes["gp3"]["parameters"] == {"type": "gp3"}
    assert facts_of_pod.volume_attributes_classes["fast"]["parameters"] == {"throughput": "500"}


async def of_job(cluster: Cluster, job="train"):
    return await cluster.facts("team-a", Lookups(job=job), 2.0)


async def test_of_the_job_that_is_asked_for_the_numbers_alone_are_kept(server, cluster):
    numbers = {"completions": 8, "parallelism": 4, "completionMode": "Indexed"}
    server.put(f"{JOBS}/train", kind="Job", spec={**numbers, "template": {"spec": {}}}, status={"active": 4})
    facts_of_pod = await of_job(started(cluster))
    assert (facts_of_pod.job, facts_of_pod.missing) == ({"kind": "Job", "spec": numbers}, ())


async def test_a_job_that_cannot_be_read_is_named(server, cluster):
    server.refusals[JOBS] = 403
    assert (await of_job(started(cluster))).missing == (Missing("Job team-a/train", MissingReason.FORBIDDEN),)


async def test_no_job_is_read_unless_it_is_asked_for_and_a_gang_causes_one_read(server, cluster):
    server.put(f"{JOBS}/train", kind="Job", spec={})
    server.delays[JOBS] = 0.1
    await of_job(started(cluster), None)
    assert server.count(f"GET {JOBS}") == 0
    await asyncio.gather(*(of_job(cluster) for _ in range(64)))
    await of_job(cluster)
    assert server.count(f"GET {JOBS}") == 1


async def test_with_warm_facts_nothing_is_asked(server, cluster):
    server.put(f"{CLAIMS}/data", kind="PersistentVolumeClaim", spec={"volumeName": "pv-1"})
    server.put(f"{VOLUMES}/pv-1", kind="PersistentVolume", spec={})
    await facts(started(cluster), "data")
    reads = server.count("GET")
    for _ in range(20):
        await facts(cluster, "data")
    assert server.count("GET") == reads


async def test_a_gang_that_starts_at_once_causes_one_read(server, cluster):
    server.put(f"{CLAIMS}/data", kind="PersistentVolumeClaim", spec={"volumeName": ""})
    server.delays[CLAIMS] = 0.1
    started(cluster)
    await asyncio.gather(*(facts(cluster, "data") for _ in range(64)))
    assert server.count(f"GET {CLAIMS}/data") == 1


async def test_a_claim_that_does_not_exist_yet_is_named_and_found_soon_after(server, cluster):
    facts_of_pod = await facts(started(cluster), "data")
    assert facts_of_pod.missing == (Missing("PersistentVolumeClaim team-a/data", MissingReason.NOT_FOUND),)
    server.put(f"{CLAIMS}/data", kind="PersistentVolumeClaim", spec={})
    await asyncio.sleep(5.1)
    assert (await facts(cluster, "data")).missing == ()


async def test_a_class_made_a_moment_ago_is_read_live(server, cluster):
    started(cluster)
    server.hang_watches = True
    server.end_watches()
    server.put(f"{CLASSES}/new", provisioner="p")
    server.put(f"{CLAIMS}/data", kind="PersistentVolumeClaim", spec={"storageClassName": "new"})
    assert "new" in (await facts(cluster, "data")).storage_classes


async def test_a_class_that_only_hand_made_volumes_name_is_not_a_missing_fact(server, cluster):
    server.put(f"{CLAIMS}/data", kind="PersistentVolumeClaim", spec={"storageClassName": "manual", "volumeName": "pv"})
    server.put(f"{VOLUMES}/pv", kind="PersistentVolume", spec={})
    assert (await facts(started(cluster), "data")).missing == ()


async def test_all_classes_are_known_so_that_the_default_one_can_be_found(server, cluster):
    annotations = {
        "storageclass.kubernetes.io/is-default-class": "true",
        "kubectl.kubernetes.io/last-applied": "x" * 99,
    }
    server.put(f"{CLASSES}/standard", metadata={"annotations": annotations})
    facts_of_pod = await facts(started(cluster))
    assert facts_of_pod.storage_classes["standard"]["metadata"]["annotations"] == {
        "storageclass.kubernetes.io/is-default-class": "true"
    }


async def test_changes_arrive_without_being_asked_for(server, cluster):
    started(cluster)
    server.put(f"{NAMESPACES}/team-a", metadata={"labels": {"gracekeeper.dev/enabled": "false"}})
    server.put(f"{CLASSES}/gp3", provisioner="a")
    eventually(lambda: "gp3" in cluster.storage_classes.objects)
    server.remove(f"{CLASSES}/gp3")
    eventually(lambda: "gp3" not in cluster.storage_classes.objects)
    namespace = await cluster.namespace("team-a", 2.0)
    assert namespace.manifest is not None
    assert namespace.manifest["metadata"]["labels"] == {"gracekeeper.dev/enabled": "false"}


async def test_a_server_that_hangs_costs_no_more_than_the_deadline(server, cluster):
    started(cluster)
    server.delays[CLAIMS] = 60
    began = time.monotonic()
    facts_of_pod = await facts(cluster, "data", seconds=0.2)
    assert time.monotonic() - began < 30
    assert facts_of_pod.missing == (Missing("PersistentVolumeClaim team-a/data", MissingReason.DEADLINE),)


async def test_a_read_that_came_too_late_serves_the_next_pod(server, cluster):
    server.put(f"{CLAIMS}/data", kind="PersistentVolumeClaim", spec={"volumeName": ""})
    started(cluster)
    server.delays[CLAIMS] = 0.3
    assert (await facts(cluster, "data", seconds=0.05)).missing
    await asyncio.sleep(0.6)
    assert (await facts(cluster, "data", seconds=0.05)).missing == ()


async def test_a_volume_that_is_not_bound_yet_is_soon_read_again(server, cluster):
    server.put(f"{CLAIMS}/data", kind="PersistentVolumeClaim", spec={"volumeName": "pv-1"})
    server.put(f"{VOLUMES}/pv-1", kind="PersistentVolume", spec={})
    assert (await facts(started(cluster), "data")).persistent_volumes["pv-1"]["spec"] == {}
    bound = {"claimRef": {"namespace": "team-a", "name": "data"}}
    server.put(f"{VOLUMES}/pv-1", kind="PersistentVolume", spec=bound)
    await asyncio.sleep(2.1)
    assert (await facts(cluster, "data")).persistent_volumes["pv-1"]["spec"] == bound


async def test_what_rbac_forbids_is_named_and_the_rest_is_known(server, cluster):
    server.put(f"{CLAIMS}/data", kind="PersistentVolumeClaim", spec={"storageClassName": "gp3"})
    server.refusals[CLASSES] = 403
    facts_of_pod = await facts(started(cluster), "data")
    assert facts_of_pod.missing == (Missing("StorageClass gp3", MissingReason.FORBIDDEN),)
    assert "data" in facts_of_pod.claims


async def test_without_the_list_of_classes_the_default_one_is_missing(server, cluster):
    server.put(f"{CLAIMS}/data", kind="PersistentVolumeClaim", spec={})
    server.refusals[CLASSES] = 403
    facts_of_pod = await facts(started(cluster), "data")
    assert facts_of_pod.missing == (Missing("the default StorageClass", MissingReason.FORBIDDEN),)


async def test_what_was_forbidden_is_found_again_when_it_is_allowed(server, cluster):
    server.put(f"{CLASSES}/gp3", provisioner="a")
    server.refusals[CLASSES] = 403
    started(cluster)
    server.refusals.clear()
    eventually(lambda: "gp3" in cluster.storage_classes.objects)


async def test_after_a_cut_watch_nothing_is_lost(server, cluster):
    started(cluster)
    server.refusals["/apis"] = 500
    server.end_watches()
    eventually(lambda: cluster.storage_classes.failure is not None)
    server.put(f"{CLASSES}/gp3", provisioner="a")
    server.refusals.clear()
    eventually(lambda: "gp3" in cluster.storage_classes.objects)


async def test_what_is_known_stays_in_use_while_the_server_is_away(server, cluster):
    server.put(f"{CLASSES}/gp3", provisioner="a")
    started(cluster)
    server.refusals["/"] = 503
    server.end_watches()
    eventually(lambda: cluster.storage_classes.failure is not None)
    assert "gp3" in (await facts(cluster)).storage_classes


async def test_a_version_that_is_too_old_is_listed_again(server, cluster):
    started(cluster)
    server.put(f"{CLASSES}/gone", provisioner="a")
    eventually(lambda: "gone" in cluster.storage_classes.objects)
    lists = server.count(f"GET {CLASSES}")
    server.forget_history()
    eventually(lambda: server.count(f"GET {CLASSES}") > lists)
    assert "gone" in cluster.storage_classes.objects


async def test_a_kind_that_an_older_server_does_not_have_is_no_fault(server):
    server.served.remove(ATTRIBUTES_CLASSES)
    server.put(f"{CLAIMS}/data", kind="PersistentVolumeClaim", spec={"volumeAttributesClassName": "fast"})
    with watching(server) as cluster:
        assert (await facts(started(cluster), "data")).missing == ()
        server.put("/apis/storage.k8s.io/v1beta1/volumeattributesclasses/fast", parameters={})
        eventually(lambda: "fast" in cluster.attributes_classes.objects)


async def test_an_object_that_nobody_expected_does_not_end_the_watch_for_good(server, cluster):
    started(cluster)
    server.put(f"{CLASSES}/odd", metadata={"annotations": "not a map"})
    eventually(lambda: cluster.storage_classes.failure is not None)
    server.remove(f"{CLASSES}/odd")
    server.put(f"{CLASSES}/gp3", provisioner="a")
    eventually(lambda: "gp3" in cluster.storage_classes.objects)


async def test_a_long_collection_is_read_in_pages(server, cluster):
    for number in range(1100):
        server.put(f"{NAMESPACES}/n{number}")
    started(cluster)
    assert len(cluster.namespaces.objects) == 1101
    assert server.count(f"GET {NAMESPACES}") == 3


NO_NAMES = ["../../secrets/x", "a/b", "..", "A", "", "a?x=y", "a%2fb", "a\n", 5, {"a": 1}, ["a"]]


@pytest.mark.parametrize("name", NO_NAMES)
async def test_a_claim_name_that_is_no_name_never_becomes_a_path(server, cluster, name):
    started(cluster)
    await facts(cluster, name)
    assert all("persistentvolumeclaims" not in call for call in server.calls)


@pytest.mark.parametrize("name", NO_NAMES)
async def test_a_job_name_that_is_no_name_never_becomes_a_path(server, cluster, name):
    facts_of_pod = await of_job(started(cluster), name)
    assert facts_of_pod.missing == (Missing("Job team-a/(no name)", MissingReason.NOT_FOUND),)
    assert server.count(f"GET {JOBS}") == 0


@pytest.mark.parametrize("namespace", ["gracekeeper/secrets/gracekeeper-tls?x=", "../../apis/apps/v1#", *NO_NAMES])
async def test_a_namespace_that_is_no_name_never_becomes_a_path(server, cluster, namespace):
    calls = server.count("GET") + server.count("WATCH")
    namespace_facts = await cluster.namespace(namespace, 2.0)
    assert namespace_facts.missing == (Missing("Namespace (no name)", MissingReason.NOT_FOUND),)
    assert await cluster.facts(namespace, Lookups(("data",), "train"), 2.0) == Facts()
    assert server.count("GET") + server.count("WATCH") == calls


async def test_what_is_no_name_is_said_once_and_not_repeated(cluster):
    facts_of_pod = await facts(started(cluster), "s3cret/", "S3cret", "data")
    assert [str(missing) for missing in facts_of_pod.missing] == [
        "PersistentVolumeClaim team-a/(no name): not-found",
        "PersistentVolumeClaim team-a/data: not-found",
    ]


async def test_of_a_pod_with_claims_without_end_so_many_are_read_and_the_others_are_counted(server, cluster):
    facts_of_pod = await facts(started(cluster), *(f"c{number}" for number in range(2000)))
    assert server.count(f"GET {CLAIMS}") == 16
    assert len(facts_of_pod.missing) == 17
    assert facts_of_pod.missing[-1] == Missing("1984 more PersistentVolumeClaims of the pod", MissingReason.TOO_MANY)


async def test_the_job_is_read_beside_the_claims_and_their_volumes(server, cluster):
    server.put(f"{CLAIMS}/data", kind="PersistentVolumeClaim", spec={"volumeName": "pv-1"})
    server.put(f"{VOLUMES}/pv-1", kind="PersistentVolume", spec={})
    server.put(f"{JOBS}/train", kind="Job", spec={})
    for path in (CLAIMS, VOLUMES, JOBS):
        server.delays[path] = 0.7
    facts_of_pod = await started(cluster).facts("team-a", Lookups(("data",), "train"), 1.8)
    assert (facts_of_pod.missing, facts_of_pod.job) == ((), {"kind": "Job", "spec": {}})


def test_before_the_first_list_every_kind_is_lacking(cluster):
    assert cluster.lacks() == [
        "no list of Node objects yet",
        "no list of Namespace objects yet",
        "no list of StorageClass objects yet",
        "no list of VolumeAttributesClass objects yet",
    ]


def test_the_age_of_what_is_known_is_told(server, cluster):
    started(cluster)
    server.hang_watches = True
    time.sleep(0.3)
    assert set(cluster.ages_seconds()) == {"Node", "Namespace", "StorageClass", "VolumeAttributesClass"}
    assert max(cluster.ages_seconds().values()) >= 0.2


def test_the_threads_end_when_told(server, cluster):
    started(cluster)
    server.hang_watches = True
    cluster.stop()
    eventually(lambda: not any(t.name.startswith("watch-") for t in threading.enumerate()))


def test_given_a_watch_that_is_just_being_opened_when_told_to_stop_then_its_thread_ends(server):
    patience = replace(QUICK, watch_seconds=(60.0, 61.0))
    with watching(server, patience) as cluster:
        started(cluster)
        server.delays[CLASSES] = 0.5
        opened = server.count(f"WATCH {CLASSES}")

        def is_opened_again():
            server.end_watches()  # again where a watch began in this moment, which would last a minute
            return server.count(f"WATCH {CLASSES}") > opened

        eventually(is_opened_again)
