"""The observer stops wrapping in a namespace, with an API server in memory: from Events and pods to the ConfigMap."""

import copy
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import jsonpatch
import pytest

from tests import fake_api
from tests.policy_calls import decide_pod
from tests.test_automatic import READY
from tests.test_cluster import QUICK, eventually
from tests.test_observer import MEMORY, PODS, play, remembered
from tests.test_wrapping_stopped import CONFIG, a_pod
from tests.tls_cluster import logger_into
from webhook.api import Api
from webhook.observer.breaker import Breaker
from webhook.observer.memory_object import MemoryObject
from webhook.observer.observer import PodObserver, Rules
from webhook.observer.observer_metrics import ObserverMetrics
from webhook.observer.pods import read_observed_pod
from webhook.observer.refusals import REASONS, RefusalEvent, Refusals, read_refusal
from webhook.observer.supervise_waits import SuperviseWaits
from webhook.policy.observed.memory import DATA_KEY
from webhook.policy.observed.wrapping_stops import STOPS_KEY, StopCause, next_stops, stops_in, text_of_stops
from webhook.policy.patch import operations

EVENTS = "/api/v1/events"
DENIED = (
    "Error creating: pods \"train-\" is forbidden: ValidatingAdmissionPolicy 'no-supervise' with binding "
    "'no-supervise' denied request: no such image here"
)


class Clock:
    """The observer's and the API server's clock."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 28, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def seconds(self) -> int:
        return int(self.time.timestamp())

    def text(self) -> str:
        return self.time.strftime("%Y-%m-%dT%H:%M:%SZ")

    def pass_by(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def server():
    with fake_api.running() as server:
        server.serve_collection(PODS)
        server.serve_collection(EVENTS)
        server.put(MEMORY, kind="ConfigMap")
        yield server


@pytest.fixture
def lines():
    return []


@pytest.fixture
def observers(server, lines, clock):
    """Starts an observer; all are stopped at the end."""
    api, started = Api.from_address(server.address), []

    def start():
        memory, rules = MemoryObject(api, "gk", "gk-terminations"), Rules(5, write_seconds=0.1)
        observer = PodObserver(api, memory, rules, logger=logger_into(lines), patience=QUICK, now=clock.now)
        observer.start()
        started.append(observer)
        eventually(lambda: not observer.lacks())
        watches = len(REASONS) * len(started)
        eventually(lambda: EVENTS in server.refusals or server.count(f"WATCH {EVENTS}") >= watches)
        return observer

    yield start
    for observer in started:
        observer.stop()
    api.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("watch-", "memory"))]


def an_event(clock, message=DENIED, *, namespace="ml", owner="train-x7f2k", reason="FailedCreate"):
    return {
        "metadata": {"name": f"{owner}.17a", "namespace": namespace},
        "reason": reason,
        "message": message,
        "involvedObject": {"apiVersion": "batch/v1", "kind": "Job", "name": owner, "uid": "u", "namespace": namespace},
        "firstTimestamp": clock.text(),
        "lastTimestamp": clock.text(),
    }


def a_refusal(clock: Clock, **event: str) -> RefusalEvent:
    refusal = read_refusal(an_event(clock, **event))
    assert refusal is not None
    return refusal


def refuse(server, clock, **event):
    """A controller's pods are refused twice, 5 s apart."""
    for _ in range(2):
        clock.pass_by(5)
        made = an_event(clock, **event)
        server.put(f"{EVENTS}/{made['metadata']['namespace']}-{made['metadata']['name']}", **made)


def stops(server):
    return stops_in((server.get(MEMORY).get("data") or {}).get(STOPS_KEY))


def stopped(server, clock):
    return {namespace: stop.cause for namespace, stop in stops(server).items() if stop.lasts(clock.seconds())}


def posted(server, namespace="ml"):
    events = [
        held for path, held in server.objects.items() if path.startswith(f"/api/v1/namespaces/{namespace}/events/")
    ]
    return [(event["reason"], event["involvedObject"]["name"]) for event in events]


def test_given_pods_that_are_refused_again_and_again_then_wrapping_stops_there_and_everybody_is_told(
    server, observers, clock, lines
):
    observer = observers()
    refuse(server, clock)
    eventually(lambda: stopped(server, clock) == {"ml": StopCause.REFUSED})
    eventually(lambda: posted(server) == [("WrappingStopped", "train-x7f2k")])
    assert b"gracekeeper_wrapping_stopped_namespaces 1.0" in observer.metrics.text()
    assert b'gracekeeper_wrapping_stops_total{cause="refused"} 1.0' in observer.metrics.text()
    (line,) = [line for line in lines if line["event"] == "wrapping stopped"]
    assert (line["namespace"], line["owner"]) == ("ml", "Job/train<id>")
    assert observer.notes() == []


def test_given_a_stop_when_pods_are_refused_all_the_same_then_wrapping_goes_on_and_that_owner_counts_no_more(
    server, observers, clock
):
    observers()
    refuse(server, clock)
    eventually(lambda: stopped(server, clock) == {"ml": StopCause.REFUSED})
    clock.pass_by(60)
    refuse(server, clock)
    eventually(lambda: stopped(server, clock) == {})
    eventually(lambda: ("WrappingResumed", "train-x7f2k") in posted(server))
    clock.pass_by(600)
    refuse(server, clock, owner="train-b9c4d")
    refuse(server, clock, namespace="other")
    eventually(lambda: stopped(server, clock) == {"other": StopCause.REFUSED})


@pytest.mark.parametrize(
    ("event", "counts"),
    [
        ({}, True),
        ({"reason": "FailedCreatePod"}, True),
        (
            {"message": 'create Pod w-0 in StatefulSet w failed error: admission webhook "x" denied the request: no'},
            True,
        ),
        (
            {"message": '(combined from similar events): Error creating: pods "a" is forbidden: violates PodSecurity'},
            True,
        ),
        ({"message": 'Error creating: Pod "a" is invalid: spec.initContainers[0].image: Invalid value'}, True),
        ({"message": 'Error creating: pods "a" is forbidden: failed quota: q: must specify limits.cpu'}, True),
        ({"message": 'Error creating: pods "a" is forbidden: exceeded quota: q, requested: pods=1'}, False),
        ({"message": 'Error creating: pods "a" already exists'}, False),
        (
            {"message": 'pods "a" is forbidden: error looking up service account ml/x: serviceaccount "x" not found'},
            False,
        ),
        (
            {
                "message": "pods is forbidden: unable to create new content in namespace ml because it is being terminated"
            },
            False,
        ),
        ({"message": 'pods "a" is forbidden: no PriorityClass with name high was found'}, False),
        ({"message": "Error creating: Internal error occurred: failed calling webhook"}, False),
        ({"message": None}, False),
        ({"reason": "FailedScheduling"}, False),
        ({"owner": "No Name"}, False),
        ({"namespace": "../x"}, False),
    ],
)
def test_an_admission_s_refusal_counts_and_another_does_not(clock, event, counts):
    assert (read_refusal(an_event(clock, **event)) is not None) == counts


@pytest.mark.parametrize("broken", [{"involvedObject": None}, {"lastTimestamp": None, "firstTimestamp": 7}])
def test_an_event_without_owner_or_time_does_not_count(clock, broken):
    assert read_refusal(an_event(clock) | broken) is None


@pytest.mark.parametrize(
    "times", [{"eventTime": "2026-11-28T12:00:00.123456Z"}, {"series": {"lastObservedTime": "2026-11-28T12:00:00.1Z"}}]
)
def test_an_event_of_the_newer_api_counts_at_its_time(clock, times):
    event = {**an_event(clock), "lastTimestamp": None, "firstTimestamp": None, **times}
    refusal = read_refusal(event)
    assert refusal is not None
    assert refusal.at == clock.seconds()


def test_refusals_of_one_owner_at_one_time_count_once_and_old_ones_do_not(clock):
    refusals = Refusals(clock.seconds)
    for _ in range(8):
        refusals.add(a_refusal(clock))
    refusals.add(replace(a_refusal(clock), owner="Job/old", at=clock.seconds() - 121))
    refusals.add(replace(a_refusal(clock), owner="Job/from-a-fast-clock", at=clock.seconds() + 121))
    assert {owner: len(held) for owner, held in refusals.recent()["ml"].items()} == {"Job/train<id>": 1}
    clock.pass_by(121)
    assert refusals.recent() == {}


def test_given_many_events_from_before_then_they_are_neither_read_nor_counted(server, observers, clock):
    for number in range(20):
        server.put(f"{EVENTS}/{number}", **an_event(clock, owner=f"job-{chr(ord('a') + number)}"))
    observers()
    assert server.queries[f"GET {EVENTS}"]["limit"] == "1"
    refuse(server, clock, namespace="other")
    eventually(lambda: stopped(server, clock) == {"other": StopCause.REFUSED})


def test_given_a_namespace_full_of_noise_then_another_s_stop_is_written_and_the_writes_stay_few(
    server, observers, clock
):
    observers()
    refuse(server, clock, namespace="ml")
    for number in range(300):
        owner = "".join(chr(ord("a") + int(digit)) for digit in str(number))
        refuse(server, clock, namespace="noisy", owner=f"job-{owner}")
        clock.pass_by(-10)
    refuse(server, clock, namespace="research")
    eventually(lambda: stopped(server, clock).keys() == {"ml", "noisy", "research"})
    assert server.count(f"PUT {MEMORY}") <= 4 + 3
    assert len(server.get(MEMORY)["data"][STOPS_KEY]) < 2000


def test_given_news_soon_after_a_write_then_it_waits_and_without_news_nothing_is_read_or_written(server, clock):
    api = Api.from_address(server.address)
    memory = MemoryObject(api, "gk", "gk-terminations")
    breaker = Breaker(api, memory, ObserverMetrics(), logger_into([]), clock.now, between_writes_seconds=3600)
    for namespace in ("ml", "other"):
        for age in (1, 3):
            breaker.refusals.add(replace(a_refusal(clock, namespace=namespace), at=clock.seconds() - age))
        breaker.look()
    assert stopped(server, clock).keys() == {"ml"}
    breaker.between_writes_seconds = 0
    for _ in range(5):
        breaker.look()
    assert stopped(server, clock).keys() == {"ml", "other"}
    assert (server.count(f"GET {MEMORY}"), server.count(f"PUT {MEMORY}")) == (2, 2)
    api.close()


def test_the_refusals_that_are_held_are_bounded(clock):
    refusals = Refusals(clock.seconds)
    for namespace in range(600):
        for owner in range(20 if namespace == 599 else 1):
            letters = "".join(chr(ord("a") + int(digit)) for digit in str(owner))
            refusals.add(a_refusal(clock, namespace=f"n-{namespace}", owner=f"j-{letters}"))
    held = refusals.recent()
    assert len(held) == 500
    assert len(held["n-599"]) == 16


def a_wrapped_pod(clock, name, state, *, namespace="ml"):
    """A pod as gracekeeper wraps and labels it, with the state of its init container."""
    raw = a_pod()
    pod = copy.deepcopy(jsonpatch.apply_patch(raw, operations(raw, decide_pod(raw, READY, CONFIG))))
    pod["metadata"] |= {"name": name, "namespace": namespace, "uid": name, "creationTimestamp": clock.text()}
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "train", "uid": "u", "controller": True}
    pod["metadata"]["ownerReferences"] = [owner]
    pod["status"] = {"phase": "Pending", "initContainerStatuses": [{"name": "gracekeeper-init", "state": state}]}
    return pod


NO_IMAGE = {"waiting": {"reason": "ImagePullBackOff"}}
BEING_MADE = {"waiting": {"reason": "PodInitializing"}}


@pytest.fixture
def waits(clock):
    return SuperviseWaits(clock.seconds)


def show(waits, clock, name, state, **pod):
    waits.seen(name, read_observed_pod(a_wrapped_pod(clock, name, state, **pod)))


def waiting(waits):
    return {namespace: sorted(owners) for namespace, owners in waits.too_long().items()}


@pytest.mark.parametrize(
    ("state", "counts"),
    [
        (NO_IMAGE, True),
        ({"waiting": {"reason": "ErrImagePull"}}, True),
        ({"waiting": {"reason": "InvalidImageName"}}, True),
        ({"waiting": {"reason": "CreateContainerError"}}, True),
        ({"waiting": {"reason": "CrashLoopBackOff"}}, True),
        ({"terminated": {"exitCode": 1}}, True),
        ({"terminated": {"exitCode": 0, "finishedAt": "2026-11-28T12:00:00Z"}}, False),
        ({"running": {"startedAt": "2026-11-28T12:00:00Z"}}, False),
        (BEING_MADE, False),
        ({"waiting": {}}, False),
        ({}, False),
    ],
)
def test_a_pod_that_cannot_start_our_container_for_two_minutes_counts(waits, clock, state, counts):
    show(waits, clock, "a", state)
    clock.pass_by(119)
    assert waiting(waits) == {}
    clock.pass_by(1)
    assert waiting(waits) == ({"ml": ["Job/train"]} if counts else {})


def starts(waits, clock, name):
    show(waits, clock, name, {"terminated": {"exitCode": 0, "finishedAt": clock.text()}})


@pytest.mark.parametrize(
    "change",
    [
        lambda waits, clock: starts(waits, clock, "ml/a"),
        lambda waits, clock: starts(waits, clock, "ml/b"),
        lambda waits, _: waits.gone("ml/a"),
        lambda waits, _: waits.listed("ml/", {}),
        lambda waits, _: waits.counted(),
    ],
)
def test_a_pod_that_waits_does_not_count_once_it_or_another_of_its_namespace_starts_it_is_gone_or_has_counted(
    waits, clock, change
):
    show(waits, clock, "ml/a", NO_IMAGE)
    clock.pass_by(200)
    show(waits, clock, "other/a", NO_IMAGE, namespace="other")
    assert waiting(waits) == {"ml": ["Job/train"]}
    change(waits, clock)
    assert waiting(waits) == {}
    clock.pass_by(200)
    assert waiting(waits) == {"other": ["Job/train"]}


def test_given_a_start_before_the_pod_began_to_wait_then_the_pod_counts(waits, clock):
    starts(waits, clock, "ml/b")
    clock.pass_by(1)
    show(waits, clock, "ml/a", NO_IMAGE)
    clock.pass_by(120)
    starts_again = a_wrapped_pod(clock, "ml/b", {"terminated": {"exitCode": 0, "finishedAt": "2026-11-28T12:00:00Z"}})
    waits.seen("ml/b", read_observed_pod(starts_again))
    assert waiting(waits) == {"ml": ["Job/train"]}


def test_given_a_pod_that_waits_for_the_image_then_wrapping_stops_there_and_its_controller_is_told(
    server, observers, clock
):
    observers()
    server.put(f"{PODS}/a", **a_wrapped_pod(clock, "a", NO_IMAGE))
    eventually(lambda: clock.pass_by(10) or stopped(server, clock) == {"ml": StopCause.IMAGE})
    eventually(lambda: posted(server) == [("WrappingStopped", "train")])


def test_given_a_stop_then_it_survives_a_restart_of_the_observer_and_what_was_learned_stays(server, observers, clock):
    server.put(MEMORY, kind="ConfigMap", data={DATA_KEY: "of the terminations"})
    observers().stop()
    observers()
    refuse(server, clock)
    eventually(lambda: stopped(server, clock) == {"ml": StopCause.REFUSED})
    again = observers()
    eventually(lambda: b"gracekeeper_wrapping_stopped_namespaces 1.0" in again.metrics.text())
    assert server.get(MEMORY)["data"][DATA_KEY] == "of the terminations"


@pytest.mark.parametrize("text", ["nonsense", '{"version":1,"namespaces":[{}]}'])
def test_given_stops_that_cannot_be_read_then_nothing_is_stopped_and_the_next_is_written(
    server, observers, clock, text
):
    server.put(MEMORY, kind="ConfigMap", data={STOPS_KEY: text})
    observers()
    refuse(server, clock)
    eventually(lambda: stopped(server, clock) == {"ml": StopCause.REFUSED})


def test_given_no_right_on_events_then_the_rest_works_and_says_so(server, observers, clock):
    server.refusals[EVENTS] = 403
    observer = observers()
    eventually(lambda: any("Events are not watched" in note for note in observer.notes()))
    assert observer.lacks() == []
    play(server, "stopped")
    eventually(lambda: len(remembered(server)) == 2)
    server.put(f"{PODS}/a", **a_wrapped_pod(clock, "a", NO_IMAGE))
    eventually(lambda: clock.pass_by(10) or stopped(server, clock) == {"ml": StopCause.IMAGE})


def test_given_a_config_map_that_cannot_be_written_then_it_says_so_and_stops_later(server, observers, clock, lines):
    observer = observers()
    server.refusals[MEMORY] = 403
    refuse(server, clock)
    eventually(lambda: any("stops of wrapping cannot be written" in note for note in observer.notes()))
    server.refusals.clear()
    eventually(lambda: stopped(server, clock) == {"ml": StopCause.REFUSED})
    eventually(lambda: observer.notes() == [])
    assert [line["event"] for line in lines if "stops" in line["event"]] == ["stops not written", "stops written again"]


def test_given_somebody_who_takes_a_stop_back_then_the_next_refusals_stop_wrapping_again(server, observers, clock):
    observers()
    refuse(server, clock)
    eventually(lambda: stopped(server, clock) == {"ml": StopCause.REFUSED})
    clock.pass_by(300)
    text = text_of_stops(next_stops({}, {}, clock.seconds()), clock.seconds())
    server.put(MEMORY, kind="ConfigMap", data={STOPS_KEY: text})
    refuse(server, clock)
    eventually(lambda: stopped(server, clock) == {"ml": StopCause.REFUSED})
