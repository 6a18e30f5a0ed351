"""How much memory the nodes' accelerators have: always watched, as a changed configuration may estimate from now on."""

import threading
from contextlib import contextmanager

import pytest

from tests import task_server
from tests.task_server import LIMIT_RANGES, QUOTAS, join_with_gpus
from tests.test_cluster import QUICK, eventually
from tests.test_sidecars import PROBE, RHYTHM
from webhook import log
from webhook.api import Api
from webhook.cluster import Cluster
from webhook.policy.facts import Lookups, Missing, MissingReason

H100 = ("NVIDIA-H100-80GB-HBM3", 81559)
POD = {"metadata": {"name": "train"}, "spec": {}}


@pytest.fixture
def server():
    with task_server.running() as server:
        join_with_gpus(server, "gpu-1", *H100)
        yield server


@contextmanager
def watching(server, *, converts: bool = False):
    api = Api.from_address(server.address)
    cluster = Cluster(api, log.logger(), QUICK, PROBE if converts else None, RHYTHM)
    cluster.start()
    try:
        eventually(lambda: not cluster.lacks(), 30)
        yield cluster
    finally:
        cluster.stop()
        eventually(lambda: not any(t.name.startswith(("watch-", "sidecars")) for t in threading.enumerate()), 30)
        api.close()


async def memory_mib(cluster: Cluster):
    return (await cluster.facts("team-a", Lookups(), 2.0)).accelerator_memory_mib


async def test_given_no_conversion_then_the_nodes_alone_are_watched_for_the_memory_of_each_product(server):
    join_with_gpus(server, "gpu-2", "NVIDIA-A100-SXM4-40GB", 40960)
    with watching(server) as cluster:
        assert await memory_mib(cluster) == {"NVIDIA-H100-80GB-HBM3": 81559, "NVIDIA-A100-SXM4-40GB": 40960}
        assert "Node" in cluster.ages_seconds()
    assert server.count(f"GET {LIMIT_RANGES}") == server.count(f"GET {QUOTAS}") == server.count("GET /version") == 0


async def test_given_conversion_then_the_same_watch_serves_both(server):
    with watching(server, converts=True) as cluster:
        assert await memory_mib(cluster) == {"NVIDIA-H100-80GB-HBM3": 81559}
        assert list(cluster.ages_seconds()).count("Node") == 1


async def test_when_the_last_node_of_a_product_is_cordoned_then_it_counts_no_more(server):
    with watching(server) as cluster:
        assert await memory_mib(cluster) == {"NVIDIA-H100-80GB-HBM3": 81559}
        join_with_gpus(server, "gpu-1", *H100, cordoned=True)
        eventually(lambda: not cluster._accelerators.now(), 30)  # noqa: SLF001  # the fact has no other clock
        assert await memory_mib(cluster) == {}


async def test_when_nodes_may_not_be_read_then_they_are_missing_for_a_pod_whose_estimate_needs_them(server):
    server.refusals["/api/v1/nodes"] = 403
    with watching(server) as cluster:
        for needed, missing in ((True, (Missing("Nodes", MissingReason.FORBIDDEN),)), (False, ())):
            facts = await cluster.facts("team-a", Lookups(nodes=needed), 2.0)
            assert [each for each in facts.missing if each.name == "Nodes"] == list(missing)


async def test_when_nodes_are_known_then_none_are_missing(server):
    with watching(server) as cluster:
        facts = await cluster.facts("team-a", Lookups(nodes=True), 2.0)
        assert not any(missing.name == "Nodes" for missing in facts.missing)
