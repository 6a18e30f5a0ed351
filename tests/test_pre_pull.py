"""The pre-pull DaemonSet as the server watches it, from an API server to the decision on a pod."""

import json

import pytest

from tests import task_server
from tests.policy_calls import decide_pod
from tests.task_server import RECORDED
from tests.test_cluster import eventually
from tests.test_sidecars import watching
from webhook import log
from webhook.api import Api
from webhook.cluster import Cluster, Probe
from webhook.cluster.pre_pull import PrePullWatch, pre_pull_watch
from webhook.cluster.stream import Patience
from webhook.policy.configuration import Config, Supervise
from webhook.policy.facts import Lookups, PrePull

IMAGE = "registry.example/supervise:1"
DAEMON_SETS = "/apis/apps/v1/namespaces/gracekeeper/daemonsets"
PROBE = Probe("gracekeeper", IMAGE, "gracekeeper-prepull")
POD = {
    "metadata": {"annotations": {"gracekeeper.dev/checkpoint-size": "9.2GB"}},
    "spec": {"containers": [{"name": "trainer", "image": "x", "command": ["sh", "-c", "python train.py | tee log"]}]},
}


def put(server, *, ready: int, name: str = "gracekeeper-prepull") -> None:
    """Put the DaemonSet as its controller leaves it: the status is of the newest generation."""
    server.put(
        f"{DAEMON_SETS}/{name}",
        kind="DaemonSet",
        metadata={"namespace": "gracekeeper", "managedFields": [{}] * 9},
        spec={
            "selector": {},
            "template": {"spec": {"containers": [{"image": IMAGE}], "tolerations": [{"operator": "Exists"}]}},
        },
        status={
            "desiredNumberScheduled": 2,
            "numberReady": ready,
            "updatedNumberScheduled": 2,
            "observedGeneration": 99,
            "numberMisscheduled": 0,
        },
    )


@pytest.fixture
def server():
    with task_server.running() as server:
        server.serve_collection(DAEMON_SETS)
        yield server


async def pre_pull(cluster: Cluster) -> PrePull | None:
    return (await cluster.facts("team-a", Lookups(), 2.0)).pre_pull


def settles(cluster, why_not: str) -> None:
    eventually(lambda: not cluster.lacks())
    eventually(lambda: cluster.tasks.of("team-a")["pre_pull"].why_not == why_not)


async def test_given_a_daemon_set_when_it_becomes_ready_then_auto_wraps_and_when_a_node_loses_it_no_more(server):
    put(server, ready=1)
    put(server, ready=2, name="another")
    config = Config(supervise=Supervise(image=IMAGE))
    with watching(server, probe=PROBE) as cluster:
        settles(cluster, "the pre-pull DaemonSet is ready on 1 of 2 nodes")
        assert decide_pod(POD, await cluster.facts("team-a", Lookups(), 2.0), config).changes is None
        put(server, ready=2)
        settles(cluster, "")
        assert await pre_pull(cluster) == PrePull(IMAGE)
        assert decide_pod(POD, await cluster.facts("team-a", Lookups(), 2.0), config).changes is not None
        put(server, ready=0)
        settles(cluster, "the pre-pull DaemonSet is ready on 0 of 2 nodes")
        server.remove(f"{DAEMON_SETS}/gracekeeper-prepull")
        settles(cluster, "the pre-pull DaemonSet does not exist")


def test_given_the_api_server_forces_pulls_when_it_is_shown_the_test_pod_then_the_image_on_the_node_does_not_count(
    server,
):
    put(server, ready=2)
    forced = json.loads(json.dumps(RECORDED))
    for container in (*forced["spec"]["initContainers"], *forced["spec"]["containers"]):
        container["imagePullPolicy"] = "Always"
    server.as_created = lambda _: forced
    with watching(server, probe=PROBE) as cluster:
        settles(cluster, "the API server makes every container pull its image (AlwaysPullImages)")
        assert cluster.tasks.sidecars.now().native


async def test_given_no_pre_pull_is_installed_then_nothing_is_watched(server):
    with watching(server) as cluster:
        eventually(lambda: not cluster.lacks())
        assert await pre_pull(cluster) is None
        assert not any("daemonsets" in call for call in server.calls)


@pytest.mark.parametrize("probe", [Probe(None, IMAGE, "gracekeeper-prepull"), Probe("gracekeeper", IMAGE)])
def test_given_no_name_or_no_namespace_then_there_is_no_watch(probe):
    assert pre_pull_watch(Api.from_address("http://127.0.0.1:1"), probe, log.logger(), Patience()) is None


async def test_given_the_right_is_missing_then_the_image_counts_as_missing_and_the_server_is_ready(server):
    server.refusals[DAEMON_SETS] = 403
    with watching(server, probe=PROBE) as cluster:
        settles(cluster, "gracekeeper may not read the pre-pull DaemonSet")


async def test_given_no_list_came_yet_then_the_image_counts_as_missing(server):
    server.delays[DAEMON_SETS] = 1.0
    with watching(server, probe=PROBE) as cluster:
        assert await pre_pull(cluster) == PrePull(why_not="the pre-pull DaemonSet is not known yet")
        assert "no list of DaemonSet objects yet" in cluster.lacks()


def test_given_the_api_server_is_silent_for_minutes_then_the_image_counts_as_missing(server):
    put(server, ready=2)
    with watching(server, probe=PROBE) as cluster:
        settles(cluster, "")
        watched = cluster.tasks.watched[-1]
        silent = PrePullWatch(watched, "gracekeeper/gracekeeper-prepull", silent_seconds=-1.0)
        assert silent.now() == PrePull(why_not="the pre-pull DaemonSet has not been heard of for minutes")
