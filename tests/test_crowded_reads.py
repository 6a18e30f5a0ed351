"""One team's pods keep the API server busy; every pod of another team is decided from its own facts all the same."""

import contextlib
import http.client
import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests import fake_api, webhook_server
from tests.fake_api import FakeApi
from webhook import log
from webhook.api import Api
from webhook.cluster import Cluster

NAMESPACES = "/api/v1/namespaces"
VOLUMES = "/api/v1/persistentvolumes"
WATCHED = (
    "/api/v1/nodes",
    NAMESPACES,
    "/apis/storage.k8s.io/v1/storageclasses",
    "/apis/storage.k8s.io/v1/volumeattributesclasses",
)
SIZE = {"gracekeeper.dev/checkpoint-size": "100GB"}
"""1983 s at the default throughput, 101 s at 7.7 GB/s."""
FAST = {"annotations": {"gracekeeper.dev/write-throughput": "7.7GB/s"}}


@dataclass
class Crowded:
    """A server of ours that reads from an API server of ours."""

    api: FakeApi
    cluster: Cluster
    server: webhook_server.Running

    def put_fast_claims(self, team: str, claims: int) -> None:
        for name in (f"data-{number}" for number in range(claims)):
            claim = {"namespace": team, "name": name}
            spec = {"volumeName": f"{team}-{name}"}
            self.api.put(f"{claims_of(team)}/{name}", kind="PersistentVolumeClaim", metadata=claim, spec=spec)
            bound = {"claimRef": claim}
            self.api.put(f"{VOLUMES}/{team}-{name}", kind="PersistentVolume", metadata=FAST, spec=bound)

    @contextmanager
    def flooded_by(self, *teams: str, pods: int = 4, claims: int = 64) -> Iterator[None]:
        """So many pods of each team at a time, without a pause, each with claims that nobody asked for before.

        Every one of them gets the default: late facts never cost a pod its patch.
        """
        stop = threading.Event()

        def one_after_another(team: str, number: int) -> None:
            with contextlib.closing(webhook_server.client(self.server.port)) as connection:
                for turn in itertools.count():
                    if stop.is_set():
                        return
                    pod = a_pod(*(f"c{number}-{turn}-{claim}" for claim in range(claims)))
                    assert seconds_of_grace(connection, team, pod) == 1983

        threads = [
            threading.Thread(target=one_after_another, args=each) for each in itertools.product(teams, range(pods))
        ]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def seconds_of_pods(self, team: str, pods: int) -> Counter[int]:
        """How many pods of a team, each with a claim of its own, get which grace."""
        seconds: Counter[int] = Counter()
        with contextlib.closing(webhook_server.client(self.server.port)) as connection:
            for number in range(pods):
                seconds[seconds_of_grace(connection, team, a_pod(f"data-{number}"))] += 1
                time.sleep(0.1)
        return seconds


def seconds_of_grace(connection: http.client.HTTPConnection, team: str, pod: dict[str, Any]) -> int:
    """What the patch gives the pod; a pod without a patch fails the test."""
    patch = webhook_server.post(connection, webhook_server.review(pod, namespace=team)).patch
    seconds: int = next(each["value"] for each in patch if each["path"] == "/spec/terminationGracePeriodSeconds")
    return seconds


def claims_of(team: str) -> str:
    return f"{NAMESPACES}/{team}/persistentvolumeclaims"


def a_pod(*claims: str) -> dict[str, Any]:
    volumes = [{"name": f"v{i}", "persistentVolumeClaim": {"claimName": c}} for i, c in enumerate(claims)]
    spec = {"containers": [{"name": "trainer"}], "volumes": volumes}
    return {"metadata": {"name": "train", "annotations": SIZE}, "spec": spec}


@contextmanager
def crowded(*teams: str, deadline_seconds: float = 2.0) -> Iterator[Crowded]:
    with fake_api.running() as server:
        for collection in WATCHED:
            server.serve_collection(collection)
        for team in teams:
            server.put(f"{NAMESPACES}/{team}", kind="Namespace")
        api = Api.from_address(server.address)
        cluster = Cluster(api, log.logger())
        cluster.start()
        try:
            webhook_server.eventually(lambda: not cluster.lacks())
            with webhook_server.running(source=cluster, deadline_seconds=deadline_seconds) as ours:
                yield Crowded(server, cluster, ours)
        finally:
            cluster.stop()
            api.close()


def test_while_one_team_has_four_pods_of_64_slow_claims_each_every_pod_of_another_gets_its_own_seconds():
    with crowded("team-a", "team-b") as crowd:
        crowd.put_fast_claims("team-b", 30)
        crowd.api.delays[claims_of("team-a")] = 1.5
        with crowd.flooded_by("team-a"):
            assert crowd.seconds_of_pods("team-b", 30) == {101: 30}
        assert crowd.api.count(f"GET {claims_of('team-a')}") > 8


def test_while_twelve_teams_have_a_pod_of_64_slow_claims_each_every_pod_of_another_gets_its_own_seconds():
    teams = [f"crowd-{number}" for number in range(12)]
    with crowded(*teams, "team-b") as crowd:
        crowd.put_fast_claims("team-b", 30)
        for team in teams:
            crowd.api.delays[claims_of(team)] = 0.5
        with crowd.flooded_by(*teams, pods=1):
            assert crowd.seconds_of_pods("team-b", 30) == {101: 30}


def test_pods_whose_objects_were_read_before_get_their_seconds_while_the_api_server_hangs():
    with crowded("team-b", deadline_seconds=1.0) as crowd:
        for name in ("data-0", "data-1"):
            crowd.api.put(f"{claims_of('team-b')}/{name}", kind="PersistentVolumeClaim", metadata=FAST, spec={})
        assert crowd.seconds_of_pods("team-b", 2) == {101: 2}
        crowd.api.delays[claims_of("team-b")] = 30.0
        time.sleep(2.1)  # a claim that is not bound is asked for again
        assert crowd.seconds_of_pods("team-b", 3) == {101: 2, 1983: 1}
        assert crowd.cluster.facts_out_of_date() == 2
