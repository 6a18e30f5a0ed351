"""What is shown to an API server for the probe, and what is kept of its answer."""

import pytest

from tests.fake_api import FakeApi, running, status
from webhook.api import Api
from webhook.doctor.dry_run import probe_answers
from webhook.doctor.probe import GRACE_SECONDS, STATED_SECONDS, read_probe

PODS = "/api/v1/namespaces/ml/pods"


@pytest.fixture
def server():
    with running() as api:
        yield api


def answers(server: FakeApi, pods=(), namespaces=("ml",)):
    api = Api.from_address(server.address)
    return [read_probe(each) for each in probe_answers(api, namespaces, pods, call_seconds=5)]


def test_the_pod_is_shown_and_never_stored(server):
    [answer] = answers(server)
    shown, owners = server.shown
    assert server.queries[f"POST {PODS}"]["dryRun"] == "All"
    assert server.objects == {}
    assert answer.pod == answer.shown == shown
    assert shown["spec"]["terminationGracePeriodSeconds"] == GRACE_SECONDS
    assert shown["metadata"]["annotations"] == {"gracekeeper.dev/grace-seconds": str(STATED_SECONDS)}
    assert [each["restartPolicy"] for each in shown["spec"]["initContainers"]] == ["Always"]
    assert answer.owners_pod == owners
    assert "annotations" not in owners["metadata"]


def test_its_image_is_one_that_the_namespace_allows(server):
    def pod(namespace, image):
        return {"metadata": {"namespace": namespace}, "spec": {"containers": [{"image": image}]}}

    answers(server, [pod("web", "nginx"), pod("ml", "pytorch")], ["ml", "other"])
    assert [each["spec"]["containers"][0]["image"] for each in server.shown[::2]] == ["pytorch", "gracekeeper"]


def test_a_pod_that_is_refused_is_shown_again_without_the_sidecar(server):
    def created(pod):
        return status(403, "Forbidden", "too small") if "initContainers" in pod["spec"] else pod

    server.as_created = created
    [answer] = answers(server)
    assert answer.refusal is not None
    assert (answer.refusal.status, answer.refusal.message) == (403, "too small")
    assert answer.pod is not None
    assert "initContainers" not in answer.pod["spec"]


def test_what_is_refused_both_times_has_no_pod(server):
    server.refusals[PODS] = 403
    [answer] = answers(server)
    assert answer.pod is None
    assert answer.refusal is not None
    assert answer.refusal.status == 403
    assert server.count(f"POST {PODS}") == 2


def test_a_server_that_is_away_is_asked_once(server):
    server.refusals[PODS] = 503
    [answer] = answers(server)
    assert answer.pod is None
    assert server.count(f"POST {PODS}") == 1
