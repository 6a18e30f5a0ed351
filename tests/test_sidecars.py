"""When native sidecars are used: what the API server keeps and what the nodes run, and how soon a change of it is noticed."""

import asyncio
import json
import threading
import time
from contextlib import contextmanager

import pytest
import structlog

from e2e.osmo import pods
from tests import task_server
from tests.policy_calls import look_at
from tests.task_server import LIMIT_RANGES, NODES, PODS, QUOTAS, RECORDED, join
from tests.test_cluster import QUICK, eventually
from webhook import log
from webhook.api import Api
from webhook.cluster import Cluster, Probe
from webhook.cluster.nodes import is_new_enough
from webhook.cluster.sidecars import Rhythm
from webhook.policy.facts import Sidecars

PROBE = Probe("gracekeeper", "gracekeeper/supervise:0.1.0")
RHYTHM = Rhythm(version_seconds=0.1, probe_seconds=60.0, retry_seconds=(0.02, 0.1), look_seconds=0.02)
NATIVE = Sidecars(native=True, why_not="", architectures=frozenset({"amd64"}))
OFF = "the API server drops restartPolicy of init containers: its feature gate SidecarContainers is off"
EXAMPLES = pods.examples()
UNKNOWN = Sidecars().why_not
OSMO_TASK = {
    "metadata": {"labels": {"osmo.task_uuid": "t", "osmo.workflow_uuid": "w"}},
    "spec": {"containers": [{"name": "osmo-ctrl", "command": ["/osmo/bin/osmo_ctrl"]}]},
}


@pytest.fixture
def server():
    with task_server.running() as server:
        yield server


@contextmanager
def watching(server, *, probe: Probe = PROBE, rhythm: Rhythm = RHYTHM):
    api = Api.from_address(server.address)
    cluster = Cluster(api, log.logger(), QUICK, probe, rhythm)
    cluster.start()
    yield cluster
    cluster.stop()
    eventually(lambda: not any(t.name.startswith(("watch-", "sidecars")) for t in threading.enumerate()))
    api.close()


@pytest.fixture
def cluster(server):
    with watching(server) as cluster:
        yield cluster


def sidecars(cluster: Cluster) -> Sidecars:
    assert cluster.tasks is not None
    return cluster.tasks.sidecars.now()


def settles(cluster: Cluster, *, why_not: str) -> None:
    eventually(lambda: not cluster.lacks())
    eventually(lambda: sidecars(cluster).why_not == why_not)
    assert sidecars(cluster).native is (why_not == "")


def test_given_new_server_and_nodes_when_asked_then_sidecars_are_native(cluster):
    settles(cluster, why_not="")
    assert sidecars(cluster) == NATIVE


def test_given_nothing_was_answered_yet_then_they_are_not(server):
    server.delays["/"] = 0.2
    with watching(server) as cluster:
        assert sidecars(cluster).why_not == "the API server has not been asked yet"
        assert "no answer about native sidecars yet" in cluster.lacks()
        settles(cluster, why_not="")


def test_given_an_old_server_then_it_is_named_and_shown_no_pod(server, cluster):
    server.put("/version", gitVersion="v1.30.4-eks-1")
    settles(cluster, why_not="the API server is 1.30.4-eks-1, native sidecars need 1.31")


def test_given_the_field_is_dropped_then_the_feature_gate_is_named(server):
    server.as_created = lambda _: without_restart_policy(RECORDED)
    with watching(server) as cluster:
        settles(cluster, why_not=OFF)


def without_restart_policy(pod):
    """As a server with the feature gate off answers: it clears the field, and says nothing of it."""
    pod = json.loads(json.dumps(pod))
    for container in pod["spec"]["initContainers"]:
        del container["restartPolicy"]
    return pod


def test_given_other_init_containers_come_first_then_ours_is_found(server):
    pod = json.loads(json.dumps(RECORDED))
    pod["spec"]["initContainers"].insert(0, {"name": "of-a-mesh"})
    server.as_created = lambda _: pod
    with watching(server) as cluster:
        settles(cluster, why_not="")


def test_given_an_old_node_then_it_is_named(server):
    join(server, "worker-2", "v1.30.4-gke.100")
    with watching(server) as cluster:
        settles(cluster, why_not="node worker-2 runs kubelet 1.30.4-gke.100, native sidecars need 1.31")


def test_given_several_old_nodes_then_one_is_named_and_the_others_counted(server):
    for number in range(2, 5):
        join(server, f"worker-{number}", "v1.29.0")
    with watching(server) as cluster:
        settles(cluster, why_not="node worker-2 runs kubelet 1.29.0 (2 more are too old), native sidecars need 1.31")


@pytest.mark.parametrize("different", [{"cordoned": True}, {"platform": "windows/amd64"}])
def test_given_an_old_node_that_takes_no_task_then_it_does_not_count(server, different):
    join(server, "worker-2", "v1.25.1", **{"platform": "linux/arm64"} | different)
    with watching(server) as cluster:
        settles(cluster, why_not="")
        assert sidecars(cluster) == NATIVE


def test_given_no_node_takes_tasks_then_nothing_is_known(server):
    join(server, "worker-1", cordoned=True)
    with watching(server) as cluster:
        settles(cluster, why_not="no schedulable Linux node is known")


def test_when_an_old_node_joins_it_is_noticed_at_once_and_so_is_its_leaving(server, cluster):
    settles(cluster, why_not="")
    join(server, "worker-2", "v1.30.4")
    settles(cluster, why_not="node worker-2 runs kubelet 1.30.4, native sidecars need 1.31")
    server.remove(f"{NODES}/worker-2")
    settles(cluster, why_not="")


def test_when_a_node_is_cordoned_upgraded_and_let_in_again_each_step_is_noticed(server):
    join(server, "worker-1", "v1.30.4")
    with watching(server) as cluster:
        settles(cluster, why_not="node worker-1 runs kubelet 1.30.4, native sidecars need 1.31")
        join(server, "worker-1", "v1.30.4", cordoned=True)
        settles(cluster, why_not="no schedulable Linux node is known")
        join(server, "worker-1", "v1.31.0")
        settles(cluster, why_not="")


def test_when_a_node_of_another_architecture_joins_it_is_told(server, cluster):
    settles(cluster, why_not="")
    join(server, "grace", platform="linux/arm64")
    eventually(lambda: sidecars(cluster).architectures == {"amd64", "arm64"})


def test_when_a_node_s_heartbeat_changes_nothing_then_readers_need_not_look_again(server, cluster):
    settles(cluster, why_not="")
    nodes = cluster.nodes
    before, heard = nodes.objects, server.version
    join(server, "worker-1")
    assert server.version > heard
    server.put(f"{NODES}/marker", status={"nodeInfo": {}})
    eventually(lambda: "marker" in nodes.objects)
    assert nodes.objects["worker-1"] is before["worker-1"]


def test_when_the_server_is_upgraded_it_is_asked_again(server):
    server.put("/version", gitVersion="v1.30.4")
    with watching(server) as cluster:
        settles(cluster, why_not="the API server is 1.30.4, native sidecars need 1.31")
        assert server.count(f"POST {PODS}") == 0
        server.put("/version", gitVersion="v1.31.0")
        settles(cluster, why_not="")
        assert server.count(f"POST {PODS}") == 1


def test_while_the_version_stays_the_pod_is_shown_once(server, cluster):
    settles(cluster, why_not="")
    version_reads = server.count("GET /version")
    eventually(lambda: server.count("GET /version") >= version_reads + 3)
    assert server.count(f"POST {PODS}") == 1


def test_when_the_gate_is_switched_off_it_is_noticed_without_a_new_version(server):
    rhythm = Rhythm(version_seconds=0.05, probe_seconds=0.1, retry_seconds=(0.02, 0.1), look_seconds=0.02)
    with watching(server, rhythm=rhythm) as cluster:
        settles(cluster, why_not="")
        server.as_created = lambda _: without_restart_policy(RECORDED)
        settles(cluster, why_not=OFF)


def test_given_the_pod_may_not_be_created_then_who_refuses_is_told_and_asked_again(server):
    server.refusals[PODS] = 403
    with watching(server) as cluster:
        refused = f"403 Forbidden: {PODS} is refused"
        settles(cluster, why_not=f"the API server refused to answer about native sidecars: {refused}")
        server.refusals.clear()
        settles(cluster, why_not="")


def test_given_the_server_is_too_slow_with_the_pod_then_sidecars_are_not_used(server):
    server.delays[PODS] = 0.5
    rhythm = Rhythm(0.1, 60.0, (0.02, 0.1), 0.02, call_seconds=0.1)
    with watching(server, rhythm=rhythm) as cluster:
        settles(cluster, why_not="the API server gave no answer about native sidecars (Timeout)")
        server.delays.clear()
        settles(cluster, why_not="")


def test_given_an_answer_that_nobody_expected_then_the_thread_lives_on(server):
    server.as_created = lambda _: {"spec": ["not", "a", "map"]}
    with structlog.testing.capture_logs() as lines, watching(server) as cluster:
        settles(cluster, why_not="the API server gave no answer about native sidecars (Bug)")
        eventually(lambda: server.count(f"POST {PODS}") > 3)
        (complaint,) = [line for line in lines if line["event"] == "cannot ask about native sidecars"]
        assert complaint["error"] == "AttributeError"
        server.as_created = lambda _: RECORDED
        settles(cluster, why_not="")


def test_given_nodes_may_not_be_listed_then_the_server_gets_ready_and_says_so(server):
    server.refusals[NODES] = 403
    with watching(server) as cluster:
        settles(cluster, why_not="gracekeeper may not list nodes: its ClusterRole is missing or cut")
        server.refusals.clear()
        settles(cluster, why_not="")


def test_given_all_that_is_new_is_forbidden_then_the_server_gets_ready(server):
    for path in (NODES, LIMIT_RANGES, QUOTAS, PODS, "/version"):
        server.refusals[path] = 403
    with watching(server) as cluster:
        eventually(lambda: not cluster.lacks())
        assert not sidecars(cluster).native


def test_while_the_server_is_away_what_is_known_of_nodes_stays_in_use(server, cluster):
    settles(cluster, why_not="")
    server.refusals[NODES] = 503
    server.end_watches()
    eventually(lambda: cluster.nodes.failure is not None)
    assert sidecars(cluster) == NATIVE


def test_when_nothing_is_heard_of_the_nodes_for_long_then_an_old_one_may_have_joined(server):
    rhythm = Rhythm(0.1, 60.0, (0.02, 0.1), 0.02, deaf_seconds=0.3)
    with watching(server, rhythm=rhythm) as cluster:
        settles(cluster, why_not="")
        server.hang_watches = True
        settles(cluster, why_not="the nodes have not been heard of for minutes")
        server.hang_watches = False
        server.end_watches()
        settles(cluster, why_not="")


def test_given_no_namespace_then_no_pod_is_shown(server):
    with watching(server, probe=Probe(None, "image")) as cluster:
        settles(
            cluster,
            why_not="GRACEKEEPER_SERVER_NAMESPACE is not set, so the API server cannot be shown a test pod",
        )


def test_many_nodes_are_listed_in_small_pages_and_kept_in_few_bytes(server):
    for number in range(450):
        join(server, f"n{number}")
    with watching(server) as cluster:
        settles(cluster, why_not="")
        assert server.count(f"GET {NODES}") == 5
        assert cluster.nodes.objects["n1"] == {
            "schedulable": True,
            "os": "linux",
            "architecture": "amd64",
            "kubelet": "v1.34.4",
        }


def test_the_log_tells_each_change_once(server):
    with structlog.testing.capture_logs() as lines, watching(server) as cluster:
        settles(cluster, why_not="")
        eventually(lambda: len(lines) == 1)
        join(server, "worker-2", "v1.30.4")
        eventually(lambda: len(lines) == 2)
        server.refusals["/version"] = 403
        eventually(lambda: len(lines) == 4)
        time.sleep(0.3)
    assert [line["event"] for line in lines] == [
        "native sidecars are used",
        "native sidecars are not used",
        "cannot ask about native sidecars",
        "native sidecars are not used",
    ]
    assert lines[1]["why"] == "node worker-2 runs kubelet 1.30.4, native sidecars need 1.31"


@pytest.mark.parametrize(
    ("version", "enough"),
    [
        ("v1.31.0", True),
        ("v1.31.4-gke.100", True),
        ("v1.31.0+k3s1", True),
        ("v1.40.0-rc.1.2+a1b2c3", True),
        ("v2.0.0", True),
        ("v1.30.99", False),
        ("v1.9.0", False),
        ("v1.19.10-vk-azure-aci-1.4.12", False),
        ("", False),
        ("None", False),
        ("fake", False),
        ("v1.31.0 or so", False),
    ],
)
def test_a_version_is_new_enough_or_not(version, enough):
    assert is_new_enough(version) is enough


def test_the_test_pod_passes_restricted_pod_security_and_any_quota():
    pod = PROBE.pod()
    spec = pod["spec"]
    assert spec["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert spec["automountServiceAccountToken"] is False
    assert not {"volumes", "hostNetwork", "priorityClassName", "serviceAccountName"} & spec.keys()
    for container in (*spec["initContainers"], *spec["containers"]):
        assert container["image"] == PROBE.image
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        assert container["resources"]["limits"] == container["resources"]["requests"]


def test_the_test_pod_is_nobody_s_training():
    pod = PROBE.pod()
    assert not look_at(pod, namespace_name="gracekeeper").recognition.trains
    assert pod["metadata"].pop("labels") == {"gracekeeper.dev/enabled": "false"}
    assert not look_at(pod, namespace_name="gracekeeper").recognition.trains


def test_the_pod_is_only_ever_shown_as_a_dry_run(server, cluster):
    settles(cluster, why_not="")
    assert server.shown == [PROBE.pod()]
    assert not [path for path in server.objects if path.startswith(PODS)]


async def facts(cluster: Cluster, pod=OSMO_TASK):
    return await cluster.facts("team-a", look_at(pod).lookups, 1.0)


async def test_every_pod_is_decided_with_all_of_it_as_supervise_may_be_added_to_any(server):
    in_namespace(server, LIMIT_RANGES, "team-a", "bounds", {"limits": [{"type": "Container", "max": {"cpu": "4"}}]})
    with watching(server) as cluster:
        settles(cluster, why_not="")
        cluster_facts = await facts(cluster)
        assert cluster_facts.sidecars == NATIVE
        assert [each["metadata"]["name"] for each in cluster_facts.limit_ranges or ()] == ["bounds"]
        assert await facts(cluster, {"metadata": {"name": "other"}}) == cluster_facts


@pytest.mark.parametrize("task", sorted(EXAMPLES))
async def test_what_osmo_itself_makes_is_a_task(cluster, task):
    settles(cluster, why_not="")
    assert (await facts(cluster, EXAMPLES[task])).sidecars == NATIVE


async def test_limits_and_quotas_appear_change_and_go(server, cluster):
    settles(cluster, why_not="")
    assert (await facts(cluster)).limit_ranges == ()
    in_namespace(server, LIMIT_RANGES, "team-a", "bounds", {"limits": [1]})
    in_namespace(server, LIMIT_RANGES, "team-b", "bounds", {"limits": [2]})
    in_namespace(server, QUOTAS, "team-a", "share", {"hard": {"pods": "3"}})
    await soon(cluster, limit_ranges=[{"limits": [1]}], resource_quotas=[{"hard": {"pods": "3"}}])
    in_namespace(server, LIMIT_RANGES, "team-a", "bounds", {"limits": [3]})
    await soon(cluster, limit_ranges=[{"limits": [3]}], resource_quotas=[{"hard": {"pods": "3"}}])
    server.remove(f"{QUOTAS}/team-a.share")
    server.remove(f"{LIMIT_RANGES}/team-b.bounds")
    await soon(cluster, limit_ranges=[{"limits": [3]}], resource_quotas=[])


async def test_what_may_not_be_listed_is_not_known(server):
    server.refusals[LIMIT_RANGES] = 403
    with watching(server) as cluster:
        settles(cluster, why_not="")
        cluster_facts = await facts(cluster)
        assert (cluster_facts.limit_ranges, cluster_facts.resource_quotas) == (None, ())


async def test_what_may_no_longer_be_listed_is_no_longer_known(server, cluster):
    settles(cluster, why_not="")
    server.refusals[QUOTAS] = 403
    server.end_watches()
    eventually(lambda: cluster.tasks.watched[1].failure is not None)
    assert (await facts(cluster)).resource_quotas is None


async def test_what_is_not_listed_yet_is_not_known_and_nobody_waits(server):
    server.delays[QUOTAS] = server.delays[NODES] = 3
    with watching(server) as cluster:
        eventually(lambda: cluster.namespaces.synced)
        cluster_facts = await facts(cluster)
        assert not cluster.nodes.synced
        assert cluster_facts.resource_quotas is None
        assert not cluster_facts.sidecars.native


def in_namespace(server, collection: str, namespace: str, name: str, spec) -> None:
    metadata = {"name": name, "namespace": namespace}
    server.put(f"{collection}/{namespace}.{name}", metadata=metadata, spec=spec, status={"used": {"pods": "1"}})


async def soon(cluster: Cluster, **expected) -> None:
    end = time.monotonic() + 60
    while True:
        cluster_facts = await facts(cluster)
        specs = {name: [each["spec"] for each in getattr(cluster_facts, name)] for name in expected}
        if specs == expected:
            return
        assert time.monotonic() < end, specs
        await asyncio.sleep(0.01)
