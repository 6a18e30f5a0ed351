"""What pods get in a namespace where wrapping is stopped, and how the servers hear of it."""

import asyncio
from dataclasses import replace

import jsonpatch
import pytest

from tests import fake_api, golden
from tests.policy_calls import decide_pod
from tests.test_automatic import CONFIG as WITH_SUPERVISE
from tests.test_automatic import READY
from tests.test_cluster import QUICK, eventually
from tests.tls_cluster import logger_into
from webhook.api import Api
from webhook.cluster.cluster import Cluster
from webhook.cluster.earlier_runs import EarlierRuns
from webhook.policy.configuration import Observer
from webhook.policy.facts import Facts, Lookups
from webhook.policy.observed.memory import DATA_KEY, Entry, Lesson, Memory, Sample, text_of
from webhook.policy.observed.wrapping_stops import STOPS_KEY, StopCause, WrappingStop, text_of_stops
from webhook.policy.patch import operations
from webhook.policy.prefix import WORKLOAD_LABEL
from webhook.policy.report import warnings

CONFIG = replace(WITH_SUPERVISE, observer=Observer(enabled=True))
STOP = WrappingStop(0, 3600, 3600, StopCause.REFUSED, "Job/train")
MEMORY = "/api/v1/namespaces/gk/configmaps/gk-terminations"


def a_pod(**keys):
    """A trainer behind a shell, that says how large its checkpoint is."""
    container = {"name": "trainer", "image": "x", "command": ["bash", "-c", "torchrun train.py | tee log"]}
    annotations = {f"gracekeeper.dev/{key.replace('_', '-')}": value for key, value in keys.items()}
    return {
        "metadata": {
            "labels": {"training.kubeflow.org/job-name": "j"},
            "annotations": {"gracekeeper.dev/checkpoint-size": "9.2GB", **annotations},
        },
        "spec": {"containers": [container]},
    }


@pytest.mark.parametrize("keys", [{}, {"forward_sigterm": "true"}])
@pytest.mark.parametrize("cause", StopCause)
def test_given_a_stop_then_a_pod_keeps_its_start_gets_its_grace_and_no_label_and_a_whole_warning_says_why(keys, cause):
    before = decide_pod(a_pod(**keys), READY, CONFIG)
    assert before.changes is not None
    assert WORKLOAD_LABEL in before.labels
    decision = decide_pod(a_pod(**keys), replace(READY, wrapping_stop=replace(STOP, cause=cause)), CONFIG)
    patched = jsonpatch.apply_patch(a_pod(**keys), operations(a_pod(**keys), decision))
    assert patched["spec"]["containers"][0]["command"] == a_pod()["spec"]["containers"][0]["command"]
    assert "initContainers" not in patched["spec"]
    assert patched["metadata"]["labels"] == a_pod()["metadata"]["labels"]
    assert decision.grace_seconds == before.grace_seconds
    (warning,) = [text for text in warnings(decision) if "observed resume" in text]
    assert warning.endswith("(gracekeeper observed resume)")


def test_given_a_stop_when_a_pod_has_an_uploader_then_neither_is_wrapped():
    pod = a_pod(upload_container="sync", upload_size="1GB")
    pod["spec"]["containers"].append({"name": "sync", "image": "x", "command": ["sync"]})
    assert decide_pod(pod, READY, CONFIG).changes is not None
    assert decide_pod(pod, replace(READY, wrapping_stop=STOP), CONFIG).changes is None


@pytest.mark.parametrize("pod", [a_pod(forward_sigterm="false"), {**a_pod(), "spec": {"containers": [{"name": "a"}]}}])
def test_given_a_pod_that_would_not_be_wrapped_then_nothing_is_said(pod):
    decision = decide_pod(pod, replace(READY, wrapping_stop=STOP), CONFIG)
    assert not [text for text in warnings(decision) if "resume" in text]


def test_given_a_stop_when_an_osmo_task_comes_then_it_is_converted_as_before():
    case = golden.load("osmo-best-effort")
    assert decide_pod(case.pod, replace(case.facts, wrapping_stop=STOP), case.config, case.namespace.name).changes


@pytest.fixture
def server():
    with fake_api.running() as server:
        for path in ("nodes", "namespaces"):
            server.serve_collection(f"/api/v1/{path}")
        for path in ("storageclasses", "volumeattributesclasses"):
            server.serve_collection(f"/apis/storage.k8s.io/v1/{path}")
        yield server


@pytest.fixture
def clock():
    """The servers' clock, in seconds since 1970: the first entry."""
    return [STOP.since + 1]


@pytest.fixture
def cluster(server, clock):
    api, logger = Api.from_address(server.address), logger_into([])
    cluster = Cluster(api, logger, QUICK)
    earlier_runs = EarlierRuns(api, "gk", "gk-terminations", logger, QUICK)
    earlier_runs.clock = lambda: clock[0]
    cluster.learn_from(earlier_runs)
    server.put(MEMORY, kind="ConfigMap", metadata={"namespace": "gk"})
    cluster.start()
    eventually(lambda: not cluster.lacks())
    yield cluster
    cluster.stop()
    api.close()


def facts_of(cluster: Cluster, namespace: str, lookups: Lookups | None = None) -> Facts:
    return asyncio.run(cluster.facts(namespace, lookups or Lookups(), 1.0))


def held(server, **data):
    """The ConfigMap says that wrapping is stopped in the namespace `ml`, unless `data` says otherwise."""
    stops = {STOPS_KEY: text_of_stops({"ml": STOP}, STOP.since)}
    server.put(MEMORY, kind="ConfigMap", metadata={"namespace": "gk"}, data=stops | data)


def test_when_the_config_map_says_that_wrapping_is_stopped_then_the_servers_know_it_of_that_namespace_alone(
    cluster, server
):
    held(server)
    eventually(lambda: facts_of(cluster, "ml").wrapping_stop == STOP)
    assert facts_of(cluster, "other").wrapping_stop is None
    server.put(MEMORY, kind="ConfigMap", metadata={"namespace": "gk"})
    eventually(lambda: facts_of(cluster, "ml").wrapping_stop is None)


def test_given_an_observer_that_is_gone_when_its_stop_is_over_then_pods_are_wrapped_again(cluster, server, clock):
    held(server)
    eventually(lambda: facts_of(cluster, "ml").wrapping_stop == STOP)
    clock[0] = STOP.until
    assert facts_of(cluster, "ml").wrapping_stop is None


@pytest.mark.parametrize("broken", [STOPS_KEY, DATA_KEY])
def test_given_a_key_that_cannot_be_read_then_the_other_counts(cluster, server, broken):
    runs = {("ml", "a"): Entry((Sample(1, 30, 30, Lesson.CUT),))}
    held(server, **{DATA_KEY: text_of(Memory(runs)), broken: "nonsense"})
    lookups = Lookups(workload_names=("a", "a"))
    expected = (broken == DATA_KEY, broken == STOPS_KEY)
    eventually(lambda: (facts_of(cluster, "ml").wrapping_stop is not None, knows_a_run(cluster, lookups)) == expected)


def knows_a_run(cluster, lookups):
    return facts_of(cluster, "ml", lookups).exact_runs != ()
