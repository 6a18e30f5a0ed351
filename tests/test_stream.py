"""A stream of the part of a collection that a selector chooses."""

import threading

import pytest

from tests import fake_api
from tests.test_cluster import QUICK, eventually
from webhook import log
from webhook.api import Api
from webhook.cluster.stream import Kind, Stream

PODS = "/api/v1/pods"
LABEL = "example.com/mine"


class Heard(Stream):
    """Notes what it is told: name and phase."""

    def __init__(self, api):
        super().__init__(
            api, Kind("Pod", (PODS,), phase_of, {"labelSelector": LABEL}, page_objects=2), log.logger(), QUICK
        )
        self.lists, self.changes, self.removals = [], [], []

    def take_list(self, objects):
        self.lists.append(dict(objects))

    def take_change(self, key, shortened):
        self.changes.append((key, shortened))

    def take_removal(self, key, shortened):
        self.removals.append((key, shortened))


def phase_of(pod):
    return pod["status"]["phase"]


@pytest.fixture
def server():
    with fake_api.running() as server:
        server.serve_collection(PODS)
        yield server


@pytest.fixture
def heard(server):
    for number in range(3):
        put(server, f"there-{number}", "Running")
    put(server, "of-somebody-else", "Running", label=None)
    api, stop = Api.from_address(server.address), threading.Event()
    heard = Heard(api)
    thread = threading.Thread(target=heard.run, args=(stop,), name="watch-test")
    thread.start()
    eventually(lambda: heard.synced and server.count(f"WATCH {PODS}"))
    yield heard
    stop.set()
    heard.end_watch()
    thread.join(30)
    api.close()
    assert not thread.is_alive()


def put(server, name: str, phase: str, label: str | None = LABEL) -> None:
    labels = {label: "yes"} if label else {}
    server.put(f"{PODS}/{name}", metadata={"namespace": "team", "labels": labels}, status={"phase": phase})


ALL = {f"team/there-{number}": "Running" for number in range(3)}


def test_given_pods_that_are_there_then_those_that_are_selected_come_as_one_list(heard):
    assert heard.lists == [ALL]


def test_when_pods_change_then_each_change_of_a_selected_one_comes_in_order(server, heard):
    put(server, "of-somebody-else", "Failed", label=None)
    put(server, "there-1", "Failed")
    put(server, "new", "Pending")
    eventually(lambda: ("team/new", "Pending") in heard.changes)
    assert heard.changes == [("team/there-1", "Failed"), ("team/new", "Pending")]


def test_when_a_pod_is_deleted_then_its_last_state_comes(server, heard):
    put(server, "there-2", "Failed")
    server.remove(f"{PODS}/there-2")
    eventually(lambda: heard.removals == [("team/there-2", "Failed")])


def test_when_history_is_lost_then_a_new_list_comes(server, heard):
    server.forget_history()
    server.end_watches()
    eventually(lambda: len(heard.lists) == 2)
    assert heard.lists[1] == ALL
