"""How pods ended, from what real kubelets showed (tests/recorded/terminations), and from recordings that are altered."""

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scripts.terminations import SCENARIOS
from tests.terminations import EXPECTED, FILES, NEWEST, Event, classified, events_of, histories_of
from webhook.policy.observed.termination import TerminationClass
from webhook.policy.pod.timestamp import seconds_of


def altered(scenario: str, change: Callable[[Event], object]) -> list[Event]:
    """A recording of the newest kubelet, with every object changed."""
    events = copy.deepcopy(events_of(NEWEST / f"{scenario}.jsonl"))
    for event in events:
        change(event["object"])
    return events


def ends_of(pod: Event) -> list[dict[str, Any]]:
    states = (container["state"] for container in pod["status"].get("containerStatuses", ()))
    return [state["terminated"] for state in states if "terminated" in state]


def with_end(scenario: str, **fields: Any) -> list[Event]:
    return altered(scenario, lambda pod: [end.update(fields) for end in ends_of(pod)])


def moved(text: str, seconds: int) -> str:
    return (datetime.fromisoformat(text) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_every_scenario_is_recorded_with_kubelet_and_date():
    assert {file.stem for file in NEWEST.iterdir()} == {each.name for each in SCENARIOS} == set(EXPECTED)
    for file in FILES:
        header = json.loads(file.read_text().splitlines()[0])
        assert header["kubelet"] == file.parent.name
        assert datetime.fromisoformat(header["recorded"])


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_a_recorded_end_has_its_class_and_its_seconds(file):
    kind, seconds = EXPECTED[file.stem]
    termination = classified(events_of(file))
    assert termination is not None
    assert termination.kind is kind
    if seconds is None:
        assert termination.seconds is None
    else:
        assert termination.seconds is not None
        assert seconds <= termination.seconds <= seconds + 2


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_the_last_object_alone_never_teaches_a_time(file):
    """A list after the watch was away may show only that. It teaches nothing rather than something wrong."""
    last = events_of(file)[-1]
    termination = classified([last])
    assert termination is None or termination.seconds is None


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_a_pod_that_runs_has_not_ended(file):
    alive = [event for event in events_of(file) if event["object"]["status"]["phase"] == "Running"]
    alive = [event for event in alive if event["type"] != "DELETED"]
    assert classified(alive) is None


@pytest.mark.parametrize("scenario", ["stopped", "cut", "second-clock", "deleted-again"])
@pytest.mark.parametrize("offset", [30, -30])
def test_on_a_node_whose_clock_is_30_s_off_nothing_is_known(scenario, offset):
    # given
    def move(pod: Event) -> None:
        status = pod["status"]
        status["startTime"] = moved(status["startTime"], offset)
        of_kubelet = [each for each in status["conditions"] if each["type"] != "PodScheduled"]
        times = [state for each in status["containerStatuses"] for state in each["state"].values()]
        for holder in (*of_kubelet, *times):
            for name in ("lastTransitionTime", "startedAt", "finishedAt"):
                if holder.get(name):
                    holder[name] = moved(holder[name], offset)

    # when
    termination = classified(altered(scenario, move))
    # then
    assert termination is not None
    assert termination.kind is TerminationClass.UNKNOWN
    assert termination.seconds is None


def test_a_clock_that_is_2_s_off_is_right_enough():
    def move(pod: Event) -> None:
        for end in ends_of(pod):
            end["finishedAt"] = moved(end["finishedAt"], 2)

    termination = classified(altered("stopped", move))
    assert termination is not None
    assert termination.kind is TerminationClass.STOPPED


@pytest.mark.parametrize(
    ("scenario", "fields", "kind"),
    [
        ("stopped", {"finishedAt": None}, TerminationClass.UNKNOWN),
        ("stopped", {"reason": "ContainerStatusUnknown", "exitCode": 137}, TerminationClass.UNKNOWN),
        ("stopped", {"finishedAt": "2026-11-28T16:49:40Z"}, TerminationClass.ENDED_BEFORE),
        ("stopped", {"finishedAt": "2026-11-28T16:49:51Z"}, TerminationClass.UNKNOWN),
        ("stopped", {"startedAt": "2026-11-28T16:49:50Z"}, TerminationClass.TOO_YOUNG),
        ("stopped-fast", {"exitCode": 1}, TerminationClass.NO_HANDLER),
        ("second-clock", {"exitCode": 137}, TerminationClass.KILLED_EARLY),
        ("cut", {"exitCode": 0}, TerminationClass.STOPPED),
        ("cut", {"exitCode": 1}, TerminationClass.UNKNOWN),
        ("no-handler-pre-stop", {"exitCode": 1}, TerminationClass.NO_HANDLER),
    ],
)
def test_an_altered_end_has_another_class(scenario, fields, kind):
    termination = classified(with_end(scenario, **fields))
    assert termination is not None
    assert termination.kind is kind


def with_grace(scenario: str, grace_seconds: int, **fields: Any) -> list[Event]:
    """A recording of a pod that has another grace, and is deleted at the same moment."""

    def change(pod: Event) -> None:
        granted = pod["metadata"].get("deletionGracePeriodSeconds")
        if granted == pod["spec"]["terminationGracePeriodSeconds"]:
            pod["metadata"]["deletionTimestamp"] = moved(pod["metadata"]["deletionTimestamp"], grace_seconds - granted)
            pod["metadata"]["deletionGracePeriodSeconds"] = grace_seconds
        pod["spec"]["terminationGracePeriodSeconds"] = grace_seconds
        for end in ends_of(pod):
            end.update(fields)

    return altered(scenario, change)


@pytest.mark.parametrize(
    ("grace_seconds", "code", "kind"),
    [
        (13, 0, TerminationClass.STOPPED),
        (12, 0, TerminationClass.UNKNOWN),
        (5, 137, TerminationClass.CUT),
        (4, 137, TerminationClass.UNKNOWN),
        (16, 137, TerminationClass.CUT),
        (18, 137, TerminationClass.KILLED_EARLY),
    ],
)
def test_an_end_after_the_grace_is_a_cut_or_is_not_known(grace_seconds, code, kind):
    """The pod of this recording ends 15 s after its deletion began."""
    termination = classified(with_grace("deleted-again", grace_seconds, exitCode=code))
    assert termination is not None
    assert termination.kind is kind


def test_a_hook_of_unknown_length_hides_whether_143_was_at_once():
    def hook(pod: Event) -> None:
        pod["spec"]["containers"][0]["lifecycle"] = {"preStop": {"exec": {"command": ["sleep", "5"]}}}

    for scenario, kind in {"no-handler": TerminationClass.UNKNOWN, "stopped": TerminationClass.STOPPED}.items():
        termination = classified(altered(scenario, hook))
        assert termination is not None
        assert termination.kind is kind


@pytest.mark.parametrize(
    ("variables", "kind"),
    [
        ({}, TerminationClass.UNKNOWN),
        ({"PET_NNODES": "2"}, TerminationClass.SECOND_CLOCK),
        ({"TORCH_ELASTIC_SHUTDOWN_TIMEOUT": "7"}, TerminationClass.SECOND_CLOCK),
        ({"TORCH_ELASTIC_SHUTDOWN_TIMEOUT": "20"}, TerminationClass.UNKNOWN),
        ({"TORCH_ELASTIC_SHUTDOWN_TIMEOUT": "soon"}, TerminationClass.UNKNOWN),
    ],
)
def test_an_error_is_a_second_clock_only_where_torch_may_run_and_its_clock_fits(variables, kind):
    scenario = "second-clock" if "PET_NNODES" in variables or not variables else "failed-while-saving"

    def set_variables(pod: Event) -> None:
        pod["spec"]["containers"][0]["env"] = [{"name": name, "value": value} for name, value in variables.items()]

    termination = classified(altered(scenario, set_variables))
    assert termination is not None
    assert termination.kind is kind


SAVED = "gracekeeper: told=2 as=rank written=1048576 killed=0 ended=7.5s\n"


@pytest.mark.parametrize(
    ("scenario", "message", "code", "kind"),
    [
        ("stopped", SAVED, 0, TerminationClass.SAVED),
        ("stopped", SAVED, 143, TerminationClass.SAVED),
        ("no-handler", SAVED, 143, TerminationClass.SAVED),
        ("stopped", SAVED.replace("1048576", "0"), 0, TerminationClass.STOPPED),
        ("stopped", SAVED.replace("killed=0", "killed=1"), 0, TerminationClass.STOPPED),
        ("stopped", SAVED.replace(" ended=7.5s", ""), 0, TerminationClass.STOPPED),
        ("stopped", "the program's own words", 0, TerminationClass.STOPPED),
    ],
)
def test_only_supervise_says_that_a_checkpoint_was_saved(scenario, message, code, kind):
    termination = classified(with_end(scenario, message=message, exitCode=code))
    assert termination is not None
    assert termination.kind is kind


def test_supervise_says_that_nobody_caught_the_signal():
    message = "gracekeeper: told=0 as= written=0 killed=0\n"
    termination = classified(with_end("ignores", message=message))
    assert termination is not None
    assert (termination.kind, termination.nobody_caught) == (TerminationClass.CUT, True)


def test_who_asked_is_told():
    terminations = [classified(events_of(NEWEST / f"{name}.jsonl")) for name in ("evicted-by-the-api", "stopped")]
    assert [each.cause for each in terminations if each] == ["EvictionByEvictionAPI", ""]
    evicted = classified(events_of(NEWEST / "evicted-by-its-disk.jsonl"))
    assert evicted is not None
    assert evicted.cause == "ephemeral-storage-limit"


def test_a_gang_that_a_peer_broke_is_not_another_gang():
    events = events_of(NEWEST / "gang-broken.jsonl")
    alone = [event for event in events if event["object"]["metadata"]["name"].startswith("gang-broken-0")]
    others = altered("gang-broken", lambda pod: pod["metadata"].pop("ownerReferences"))
    for recording in (alone, others):
        termination = classified(recording)
        assert termination is not None
        assert termination.kind is TerminationClass.STOPPED


def test_a_job_set_is_one_gang():
    def in_a_job_set(pod: Event) -> None:
        pod["metadata"]["labels"]["jobset.sigs.k8s.io/jobset-uid"] = "one"
        pod["metadata"]["ownerReferences"][0]["uid"] = pod["metadata"]["name"]

    termination = classified(altered("gang-broken", in_a_job_set))
    assert termination is not None
    assert termination.kind is TerminationClass.GANG_BROKEN


def test_a_peer_that_lost_its_node_has_broken_its_gang():
    lost = events_of(NEWEST / "node-lost.jsonl")
    events = events_of(NEWEST / "stopped.jsonl")
    start = lost[-1]["object"]["status"]["conditions"][-1]["lastTransitionTime"]
    for event in (*events, *lost):
        event["object"]["metadata"]["ownerReferences"] = [{"kind": "Job", "controller": True, "uid": "one"}]
    offset = (datetime.fromisoformat(start) - datetime(2026, 11, 28, 16, 49, 50, tzinfo=UTC)).seconds
    for event in lost:
        for condition in event["object"]["status"]["conditions"]:
            condition["lastTransitionTime"] = moved(condition["lastTransitionTime"], -offset)
    termination = classified([*events, *lost])
    assert termination is not None
    assert termination.kind is TerminationClass.GANG_BROKEN


def test_a_container_that_failed_and_was_started_again_has_broken_its_gang():
    events = events_of(NEWEST / "gang-broken.jsonl")
    failed = [event["object"] for event in events if event["object"]["metadata"]["name"].startswith("gang-broken-1")]
    for pod in failed:
        for container in pod["status"]["containerStatuses"]:
            if "terminated" in container["state"]:
                container["lastState"] = container["state"]
                container["state"] = {"running": {"startedAt": "2026-11-28T16:49:54Z"}}
                pod["status"]["phase"] = "Running"
    termination = classified(events)
    assert termination is not None
    assert termination.kind is TerminationClass.GANG_BROKEN


def test_a_pod_that_had_ended_was_not_told_to_stop():
    events = events_of(NEWEST / "gang-broken.jsonl")
    failed = [event for event in events if event["object"]["metadata"]["name"].startswith("gang-broken-1")]
    alive = [event for event in failed if "deletionTimestamp" not in event["object"]["metadata"]]
    assert classified(alive) is None
    deleted = classified(failed)
    assert deleted is not None
    assert deleted.kind is TerminationClass.ENDED_BEFORE


@pytest.mark.parametrize(
    ("reason", "message", "kind", "cause"),
    [
        ("Terminated", "Pod was terminated in response to imminent node shutdown.", "shutdown", "node-shutdown"),
        ("Preempting", "Preempted in order to admit critical pod", "evicted", "other"),
        ("Evicted", "The node was low on resource: memory. Threshold quantity: 1", "evicted", "memory-pressure"),
        ("Evicted", "The node was low on resource: pids.", "evicted", "node-pressure"),
        ("Evicted", 'Usage of EmptyDir volume "x" exceeds the limit "1Mi".', "evicted", "emptydir-limit"),
    ],
)
def test_a_kubelet_that_ends_a_pod_by_itself_says_why(reason, message, kind, cause):
    def change(pod: Event) -> None:
        if pod["status"]["phase"] == "Failed":
            pod["status"].update(reason=reason, message=message)

    termination = classified(altered("evicted-by-its-disk", change))
    assert termination is not None
    assert (termination.kind, termination.cause) == (kind, cause)


def test_when_a_pod_was_made_and_told_to_stop_is_known():
    events = events_of(NEWEST / "stopped.jsonl")
    termination = classified(events)
    assert termination is not None
    assert termination.created == seconds_of(events[0]["object"]["metadata"]["creationTimestamp"])
    assert termination.began == seconds_of("2026-11-28T16:49:52Z")


def test_the_names_of_a_pods_workload_are_those_of_its_labels():
    labels = {"gracekeeper.dev/workload-coarse": "a1", "gracekeeper.dev/workload-exact": "b2", "other": "c3"}
    events = altered("stopped", lambda pod: pod["metadata"]["labels"].update(labels))
    assert [history.workloads for history in histories_of(events)] == [{"a1", "b2"}]


def test_a_pod_without_status_teaches_nothing():
    pod = {"metadata": {"uid": "1"}, "spec": {"containers": [{"name": "t"}]}}
    assert classified([{"type": "DELETED", "object": pod}]) is None
    deleted = {**pod, "metadata": {"uid": "1", "deletionTimestamp": "2026-11-28T16:49:40Z"}}
    assert classified([{"type": "DELETED", "object": deleted}]) is None


@pytest.mark.parametrize(
    "text", ["1970-01-01T00:00:00Z", "2024-02-29T23:59:59Z", "2000-03-01T00:00:00Z", "2100-12-31T12:00:00Z"]
)
def test_a_time_is_read_as_the_calendar_has_it(text):
    assert seconds_of(text) == datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize("text", [None, "", "soon", 5, "2026-11-28", "2026-11-28T16:49:40+01:00"])
def test_what_is_no_time_is_none(text):
    assert seconds_of(text) is None


def test_fractions_of_a_second_are_cut():
    assert seconds_of("1970-01-01T00:00:01.999999Z") == 1
