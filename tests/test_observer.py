"""The observer with an API server in memory: from the watch of recorded pods to the ConfigMap, whatever fails meanwhile."""

import copy
import json
import threading
import time
from datetime import datetime
from typing import Any

import pytest

from tests import fake_api
from tests.terminations import NEWEST, SECONDS_THAT_A_POD_RAN, events_of
from tests.test_cluster import QUICK, eventually
from tests.test_observer_tracker import labelled
from tests.tls_cluster import logger_into
from webhook.api import Api
from webhook.observer.memory_object import LABELS, MemoryObject
from webhook.observer.observer import PodObserver, Rules
from webhook.policy.observed.interruptions import DATA_KEY as INTERRUPTIONS_KEY
from webhook.policy.observed.interruptions import tallies_in
from webhook.policy.observed.memory import DATA_KEY, Entry, Lesson, Memory, Sample, memory_in, text_of
from webhook.policy.prefix import EXACT_WORKLOAD_LABEL, WORKLOAD_LABEL

PODS = "/api/v1/pods"
RECORDED_AT = datetime.fromisoformat(json.loads((NEWEST / "stopped.jsonl").read_text().splitlines()[0])["recorded"])
MEMORY = "/api/v1/namespaces/gk/configmaps/gk-terminations"


@pytest.fixture
def server():
    with fake_api.running() as server:
        server.serve_collection(PODS)
        server.put(MEMORY, kind="ConfigMap")
        yield server


@pytest.fixture
def lines():
    return []


@pytest.fixture
def observer(server, lines):
    api = Api.from_address(server.address)
    rules = Rules(SECONDS_THAT_A_POD_RAN, write_seconds=0.1)
    observer = PodObserver(
        api,
        MemoryObject(api, "gk", "gk-terminations"),
        rules,
        logger=logger_into(lines),
        patience=QUICK,
        now=lambda: RECORDED_AT,
    )
    observer.start()
    eventually(lambda: not observer.lacks())
    yield observer
    observer.stop()
    api.close()
    assert not [thread for thread in threading.enumerate() if thread.name in {"watch-Pod", "memory"}]


def play(server, scenario: str, name: str = "", owner: dict[str, Any] | None = None) -> dict[str, Any]:
    """Let the API server show what it showed when this was recorded; the result is the last state of the first pod."""
    events = events_of(NEWEST / f"{scenario}.jsonl")
    first = events[0]["object"]["metadata"]["uid"]
    last = {}
    for event in events:
        pod = labelled(copy.deepcopy(event["object"]))
        pod["metadata"]["name"] += name
        pod["metadata"]["uid"] += name
        if owner is not None:
            pod["metadata"]["ownerReferences"] = [owner]
        path = f"{PODS}/{pod['metadata']['name']}"
        server.put(path, **pod)
        if event["type"] == "DELETED":
            server.remove(path)
        if event["object"]["metadata"]["uid"] == first:
            last = pod
        time.sleep(0.02)
    return last


def remembered(server):
    return memory_in((server.get(MEMORY).get("data") or {}).get(DATA_KEY)).entries


def lessons(server):
    return {sample.lesson for entry in remembered(server).values() for sample in entry.samples}


def interruptions(server):
    return tallies_in((server.get(MEMORY).get("data") or {}).get(INTERRUPTIONS_KEY))


@pytest.mark.usefixtures("observer")
def test_given_a_trainer_that_stops_in_time_then_it_is_remembered_under_both_names_of_its_namespace(server):
    pod = play(server, "stopped")
    eventually(lambda: len(remembered(server)) == 2)
    names = {
        (pod["metadata"]["namespace"], pod["metadata"]["labels"][label])
        for label in (WORKLOAD_LABEL, EXACT_WORKLOAD_LABEL)
    }
    assert remembered(server).keys() == names
    (sample,) = next(iter(remembered(server).values())).samples
    assert sample.lesson is Lesson.STOPPED
    assert 8 <= sample.seconds <= 10


@pytest.mark.usefixtures("observer")
def test_given_a_cut_then_the_controller_gets_an_event(server):
    pod = play(server, "cut")
    events = f"/api/v1/namespaces/{pod['metadata']['namespace']}/events"
    eventually(lambda: [path for path in server.objects if path.startswith(events)])
    (event,) = [held for path, held in server.objects.items() if path.startswith(events)]
    assert event["reason"] == "CheckpointCut"
    assert event["involvedObject"]["name"] == pod["metadata"]["name"]
    assert "was killed; its grace is 10 s" in event["message"]


@pytest.mark.usefixtures("observer")
@pytest.mark.parametrize("scenario", ["too-young", "overridden", "gang-broken", "node-lost", "oom"])
def test_given_an_end_that_teaches_nothing_then_nothing_is_written(server, scenario):
    play(server, scenario)
    play(server, "stopped")
    eventually(lambda: len(remembered(server)) >= 2)
    assert lessons(server) == {Lesson.STOPPED}


@pytest.mark.usefixtures("observer")
def test_given_a_grace_that_was_overridden_then_it_is_counted_and_teaches_nothing(server):
    pod = play(server, "overridden")
    play(server, "overridden", name="-b")
    eventually(lambda: sum(tally.count for tally in interruptions(server).values()) == 2)
    [(interruption, tally)] = interruptions(server).items()
    assert (interruption.kind, interruption.granted_seconds, tally.own_seconds) == ("overridden", 5, 40)
    assert (interruption.namespace, tally.pod) == (pod["metadata"]["namespace"], f"{pod['metadata']['name']}-b")
    assert remembered(server) == {}


def test_given_a_memory_that_cannot_be_written_then_it_says_so_and_writes_later(server, observer, lines):
    server.refusals[MEMORY] = 403
    play(server, "stopped")
    eventually(lambda: any("what was learned cannot be written" in note for note in observer.notes()))
    assert b"gracekeeper_memory_write_failures_total 0.0" not in observer.metrics.text()
    server.refusals.clear()
    eventually(lambda: len(remembered(server)) == 2)
    eventually(lambda: observer.notes() == [])
    assert [line["event"] for line in lines if "memory" in line["event"]] == [
        "memory not written",
        "memory written again",
    ]


@pytest.mark.parametrize("data", [{}, {DATA_KEY: "nonsense"}, {DATA_KEY: '{"version":1,"workloads":[[1]]}'}])
def test_given_a_memory_that_somebody_emptied_or_broke_then_it_says_so_and_learns_anew(server, observer, lines, data):
    play(server, "stopped")
    eventually(lambda: len(remembered(server)) == 2)
    server.put(MEMORY, kind="ConfigMap", data=data)
    eventually(lambda: any("learning starts anew" in note for note in observer.notes()))
    assert b"gracekeeper_memory_losses_total 1.0" in observer.metrics.text()
    play(server, "stopped", name="-again")
    eventually(lambda: len(remembered(server)) == 2)
    eventually(lambda: observer.notes() == [])
    assert [line["event"] for line in lines if "memory" in line["event"]] == ["memory lost"]


def test_given_a_memory_that_somebody_deleted_then_it_is_made_again_and_learning_starts_anew(server, observer, lines):
    play(server, "stopped")
    eventually(lambda: len(remembered(server)) == 2)
    of_helm = {"labels": {"app.kubernetes.io/managed-by": "Helm"}, "annotations": {"meta.helm.sh/release-name": "gk"}}
    labels = {"helm.sh/chart": "gracekeeper-0.1.0", **LABELS, **of_helm["labels"]}
    server.put(MEMORY, kind="ConfigMap", metadata={**of_helm, "labels": labels}, data=server.get(MEMORY)["data"])
    reads = server.count(f"GET {MEMORY}")
    eventually(lambda: server.count(f"GET {MEMORY}") > reads + 1)
    server.remove(MEMORY)
    eventually(lambda: MEMORY in server.objects)
    made = server.get(MEMORY)["metadata"]
    assert made["labels"] == {**LABELS, **of_helm["labels"]}
    assert made["annotations"] == of_helm["annotations"]
    assert any("learning starts anew" in note for note in observer.notes())
    play(server, "stopped", name="-again")
    eventually(lambda: len(remembered(server)) == 2)
    eventually(lambda: observer.notes() == [])
    assert [line["event"] for line in lines if "memory" in line["event"]] == [
        "memory not written",
        "memory lost",
        "memory written again",
    ]


def test_given_no_memory_and_no_right_to_make_one_then_it_says_so_and_what_it_saw_waits(server, observer):
    server.remove(MEMORY)
    collection = MEMORY.rpartition("/")[0]
    server.refusals[collection] = 403
    play(server, "stopped")
    eventually(lambda: any("403" in note for note in observer.notes()))
    server.refusals.clear()
    eventually(lambda: MEMORY in server.objects and len(remembered(server)) == 2)


def test_when_a_release_is_removed_then_the_observer_leaves_no_memory_behind(server, lines):
    """Helm may remove the ConfigMap before the observer's pod has ended."""
    api = Api.from_address(server.address)
    memory = MemoryObject(api, "gk", "gk-terminations")
    rules = Rules(SECONDS_THAT_A_POD_RAN, write_seconds=3600)
    observer = PodObserver(api, memory, rules, logger=logger_into(lines), patience=QUICK)
    observer.start()
    eventually(lambda: not observer.lacks())
    play(server, "stopped")
    eventually(lambda: b'gracekeeper_terminations_total{class="stopped"} 1.0' in observer.metrics.text())
    server.remove(MEMORY)
    observer.stop()
    api.close()
    assert MEMORY not in server.objects


def test_an_observer_that_starts_tells_how_much_is_remembered(server, observer):
    entry = Entry((Sample(int(RECORDED_AT.timestamp()), 8, 30, Lesson.STOPPED),))
    server.put(MEMORY, kind="ConfigMap", data={DATA_KEY: text_of(Memory({("ml", "sft"): entry}))})
    eventually(lambda: b"gracekeeper_remembered_workloads 1.0" in observer.metrics.text())


@pytest.mark.usefixtures("observer")
def test_given_somebody_who_writes_at_the_same_time_then_neither_is_lost(server):
    """Another key of the ConfigMap is somebody else's, and stays."""
    server.put(MEMORY, kind="ConfigMap", data={"of-somebody-else": "yes"})
    play(server, "stopped")
    eventually(lambda: len(remembered(server)) == 2)
    assert server.get(MEMORY)["data"]["of-somebody-else"] == "yes"


def test_when_the_observer_is_stopped_then_what_it_saw_is_written(server, lines):
    api = Api.from_address(server.address)
    observer = PodObserver(
        api,
        MemoryObject(api, "gk", "gk-terminations"),
        Rules(SECONDS_THAT_A_POD_RAN, write_seconds=3600),
        logger=logger_into(lines),
        patience=QUICK,
    )
    observer.start()
    eventually(lambda: not observer.lacks())
    play(server, "stopped")
    eventually(lambda: b'gracekeeper_terminations_total{class="stopped"} 1.0' in observer.metrics.text())
    observer.stop()
    api.close()
    assert server.count(f"PUT {MEMORY}") == 1


def test_given_a_peer_that_lives_then_a_pod_s_end_is_counted_at_once_and_written_when_the_peer_is_gone(
    server, observer
):
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "gang", "uid": "gang", "controller": True}
    peer, *_ = (labelled(event["object"]) for event in events_of(NEWEST / "stopped.jsonl"))
    peer["metadata"] |= {"name": "peer", "uid": "peer", "ownerReferences": [owner]}
    server.put(f"{PODS}/peer", **peer)
    play(server, "stopped", owner=owner)
    eventually(lambda: b'gracekeeper_terminations_total{class="stopped"} 1.0' in observer.metrics.text())
    play(server, "cut")
    eventually(lambda: lessons(server))
    assert lessons(server) == {Lesson.CUT}
    server.remove(f"{PODS}/peer")
    eventually(lambda: lessons(server) == {Lesson.CUT, Lesson.STOPPED})


def test_before_the_first_list_it_says_what_is_in_the_way(server, lines):
    server.refusals[PODS] = 403
    api = Api.from_address(server.address)
    observer = PodObserver(api, MemoryObject(api, "gk", "m"), Rules(600), logger=logger_into(lines), patience=QUICK)
    observer.start()
    eventually(lambda: "403 Forbidden" in "".join(observer.lacks()))
    observer.stop()
    api.close()
