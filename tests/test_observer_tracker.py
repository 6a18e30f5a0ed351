"""Each end of a pod is told once, whatever the watch went through; what was not seen is not told."""

import copy

import pytest

from tests.terminations import EXPECTED, NEWEST, SECONDS_THAT_A_POD_RAN, events_of
from webhook.cluster.stream import key_of
from webhook.observer.gangs import ObservedEnd
from webhook.observer.pods import read_observed_pod
from webhook.observer.tracker import Tracker
from webhook.policy.observed.termination import TerminationClass
from webhook.policy.pod import read_pod
from webhook.policy.prefix import EXACT_WORKLOAD_LABEL, WORKLOAD_LABEL
from webhook.policy.workload.workload_names import names_of


def labelled(pod):
    """The pod as gracekeeper would have labelled it."""
    names = names_of(read_pod(pod))
    labels = {**(pod["metadata"].get("labels") or {}), WORKLOAD_LABEL: names.coarse, EXACT_WORKLOAD_LABEL: names.exact}
    return {**pod, "metadata": {**pod["metadata"], "labels": labels}}


@pytest.fixture
def told() -> list[ObservedEnd]:
    return []


@pytest.fixture
def taught() -> list[ObservedEnd]:
    return []


@pytest.fixture
def tracker(told, taught) -> Tracker:
    return Tracker(SECONDS_THAT_A_POD_RAN, told.append, taught.append)


def show(tracker: Tracker, event) -> None:
    pod = labelled(event["object"])
    act = tracker.removed if event["type"] == "DELETED" else tracker.changed
    act(key_of(pod), read_observed_pod(pod))


@pytest.mark.parametrize("scenario", EXPECTED)
def test_given_a_recorded_watch_then_the_deleted_pod_s_end_is_told_once(tracker, told, scenario):
    events = events_of(NEWEST / f"{scenario}.jsonl")
    for event in events:
        show(tracker, event)
    first = events[0]["object"]["metadata"]["uid"]
    (end,) = [end for end in told if end.pod.uid == first]
    assert end.termination.kind is EXPECTED[scenario][0]


def test_when_the_list_is_read_again_then_an_end_is_not_told_twice(tracker, told):
    events = events_of(NEWEST / "in-a-job.jsonl")
    for event in events[:-1]:
        show(tracker, event)
    last = labelled(events[-2]["object"])
    tracker.listed({key_of(last): read_observed_pod(last)})
    show(tracker, events[-1])
    assert len(told) == 1


def test_given_a_pod_that_is_missing_in_a_new_list_then_nothing_is_told_and_nothing_kept(tracker, told):
    events = events_of(NEWEST / "stopped.jsonl")
    show(tracker, events[0])
    assert tracker.count == 1
    tracker.listed({})
    assert (tracker.count, told) == (0, [])


def test_given_another_pod_of_the_same_name_then_its_end_is_its_own(tracker, told):
    events = events_of(NEWEST / "stopped.jsonl")
    show(tracker, events[0])
    for event in copy.deepcopy(events):
        event["object"]["metadata"]["uid"] = "another"
        show(tracker, event)
    assert [(end.pod.uid, end.termination.kind) for end in told] == [("another", TerminationClass.STOPPED)]


def test_given_a_peer_by_the_same_name_in_another_namespace_that_failed_then_it_breaks_no_gang_here(tracker, told):
    """Anybody can write the label of a JobSet on a pod of their own."""
    events = copy.deepcopy(events_of(NEWEST / "gang-broken.jsonl"))
    first = events[0]["object"]["metadata"]["uid"]
    for event in events:
        if event["object"]["metadata"]["uid"] != first:
            event["object"]["metadata"]["namespace"] = "of-somebody-else"
        show(tracker, event)
    (end,) = [end for end in told if end.pod.uid == first]
    assert end.termination.kind is not TerminationClass.GANG_BROKEN


def test_given_a_pod_that_no_kubelet_had_when_it_is_deleted_then_nothing_is_told(tracker, told):
    """The API server deletes a pod that waits for a node, or in a queue, with a grace of 0: nobody cut it."""
    waiting = copy.deepcopy(events_of(NEWEST / "stopped.jsonl")[0])
    waiting["object"]["status"] = {"phase": "Pending"}
    show(tracker, waiting)
    metadata = {
        **waiting["object"]["metadata"],
        "deletionTimestamp": "2026-11-28T21:00:00Z",
        "deletionGracePeriodSeconds": 0,
    }
    show(tracker, {"type": "DELETED", "object": {**waiting["object"], "metadata": metadata}})
    assert told == []


def test_given_a_pod_without_the_label_or_with_that_of_another_workload_then_it_is_not_observed():
    pod = events_of(NEWEST / "stopped.jsonl")[0]["object"]
    ours = labelled(pod)
    copied = copy.deepcopy(ours)
    copied["spec"]["containers"][0]["image"] = "somebody/else:1"
    assert read_observed_pod(ours) is not None
    assert read_observed_pod(pod) is None
    assert read_observed_pod(copied) is None


@pytest.mark.parametrize("of", ["annotations", "labels", "env"])
def test_given_a_name_that_the_owner_states_then_the_pod_is_observed_under_it(of):
    pod = copy.deepcopy(events_of(NEWEST / "stopped.jsonl")[0]["object"])
    if of == "env":
        pod["spec"]["containers"][0].setdefault("env", []).append({"name": "GRACEKEEPER_WORKLOAD", "value": "sft"})
    else:
        pod["metadata"].setdefault(of, {})["gracekeeper.dev/workload"] = "sft"
    pod["metadata"].setdefault("labels", {}).update({WORKLOAD_LABEL: "sft", EXACT_WORKLOAD_LABEL: "sft"})
    seen = read_observed_pod(pod)
    assert seen is not None
    assert (seen.workload.coarse, seen.workload.exact) == ("sft", "sft")


class TestPodsOfOneOwner:
    """Nothing that a pod's end teaches counts while a pod lives that ran beside it."""

    def member(self, name: str, event, *, created: str = "2026-11-28T00:00:00Z", namespace: str = "ml"):
        """One recorded event, as one of a pod of the Job `gang`."""
        pod = copy.deepcopy(event["object"])
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "gang", "uid": "gang", "controller": True}
        pod["metadata"] |= {"name": name, "uid": name, "namespace": namespace, "ownerReferences": [owner]}
        pod["metadata"]["creationTimestamp"] = created
        return {"type": event["type"], "object": pod}

    def starts(self, tracker, name, **how):
        show(tracker, self.member(name, events_of(NEWEST / "stopped.jsonl")[0], **how))

    def ends(self, tracker, name, scenario="stopped", **how):
        for event in events_of(NEWEST / f"{scenario}.jsonl"):
            show(tracker, self.member(name, event, **how))

    def test_given_a_peer_that_lives_then_the_end_is_told_and_teaches_when_the_peer_has_ended(
        self, tracker, told, taught
    ):
        self.starts(tracker, "one")
        self.starts(tracker, "two")
        self.ends(tracker, "one")
        assert ([end.pod.name for end in told], taught) == (["one"], [])
        self.ends(tracker, "two")
        assert [end.pod.name for end in taught] == ["one", "two"]

    def test_given_a_pod_that_was_created_in_place_of_the_ended_one_then_nobody_waits_for_it(self, tracker, taught):
        self.starts(tracker, "one")
        self.starts(tracker, "two")
        self.ends(tracker, "one")
        self.starts(tracker, "one-again", created="2030-01-01T00:00:00Z")
        assert taught == []
        self.ends(tracker, "two")
        assert [end.pod.name for end in taught] == ["one", "two"]

    @pytest.mark.parametrize("how", ["removed", "missing in a new list"])
    def test_given_a_peer_that_is_gone_without_an_end_then_nobody_waits_for_it(self, tracker, told, taught, how):
        self.starts(tracker, "one")
        self.starts(tracker, "two")
        self.ends(tracker, "one")
        if how == "removed":
            event = self.member("two", events_of(NEWEST / "stopped.jsonl")[0])
            show(tracker, {**event, "type": "DELETED"})
        else:
            tracker.listed({})
        assert [end.pod.name for end in taught] == ["one"]
        assert [end.pod.name for end in told] == ["one"]

    def test_given_a_peer_that_ended_by_itself_then_nobody_waits_for_it(self, tracker, taught):
        event = self.member("two", events_of(NEWEST / "stopped.jsonl")[0])
        event["object"]["status"]["phase"] = "Succeeded"
        show(tracker, event)
        self.ends(tracker, "one")
        assert [end.pod.name for end in taught] == ["one"]

    def test_given_another_namespace_that_names_the_same_owner_then_nobody_waits_for_its_pods(self, tracker, taught):
        self.starts(tracker, "foreign", namespace="somebody-else")
        self.ends(tracker, "one")
        assert [end.pod.name for end in taught] == ["one"]

    @pytest.mark.parametrize(
        ("namespace", "kind"), [("ml", TerminationClass.GANG_BROKEN), ("somebody-else", TerminationClass.STOPPED)]
    )
    def test_given_a_pod_that_failed_shortly_before_then_it_breaks_the_gang_in_its_own_namespace_alone(
        self, tracker, told, namespace, kind
    ):
        failed = self.member("failed", events_of(NEWEST / "gang-broken.jsonl")[3], namespace=namespace)
        failed["object"]["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"] = "2026-11-28T16:49:45Z"
        show(tracker, failed)
        self.ends(tracker, "one")
        assert [end.termination.kind for end in told if end.pod.name == "one"] == [kind]

    def test_given_an_end_that_teaches_nothing_then_it_is_told_and_not_taught(self, tracker, told, taught):
        self.ends(tracker, "one", "oom")
        assert ([end.pod.name for end in told], taught) == (["one"], [])

    def test_when_the_observer_ends_then_what_waits_is_taught(self, tracker, taught):
        self.starts(tracker, "two")
        self.ends(tracker, "one")
        assert taught == []
        tracker.teach_all()
        tracker.teach_all()
        assert [end.pod.name for end in taught] == ["one"]
