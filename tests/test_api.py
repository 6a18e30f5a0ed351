import socket
import ssl
import threading
import time
from datetime import UTC, datetime

import pytest
import trustme

from tests import fake_api
from tests.fake_api import FakeApi
from webhook.api import Api, ApiError

POD = "/api/v1/namespaces/team-a/pods/train"
CONFIG_MAPS = "/api/v1/namespaces/team-a/configmaps"


@pytest.fixture
def server():
    with fake_api.running() as server:
        yield server


@pytest.fixture
def api(server):
    api = Api.from_address(server.address, token="s3cret")
    yield api
    api.close()


def test_an_object_is_read_as_it_is(server, api):
    server.put(POD, spec={"aFieldOfTomorrow": 1})
    assert api.get(POD, timeout_seconds=2)["spec"] == {"aFieldOfTomorrow": 1}


def test_every_call_carries_the_token(server, api):
    server.put(POD)
    api.get(POD, timeout_seconds=2)
    assert server.authorizations == ["Bearer s3cret"]


def test_a_refusal_says_status_reason_and_message_in_one_line(server, api):
    server.refusals["/api"] = 403
    with pytest.raises(ApiError) as refused:
        api.get(POD, timeout_seconds=2)
    assert str(refused.value) == f"403 Forbidden: {POD} is refused"
    assert (refused.value.status, refused.value.reason) == (403, "Forbidden")


def test_an_object_that_is_not_there_is_a_404(api):
    with pytest.raises(ApiError) as refused:
        api.get(POD, timeout_seconds=2)
    assert (refused.value.status, refused.value.reason) == (404, "NotFound")


def test_replacing_an_older_version_is_a_conflict(server, api):
    server.put(POD, spec={})
    held = api.get(POD, timeout_seconds=2)
    api.put(POD, {**held, "spec": {"first": True}}, timeout_seconds=2)
    with pytest.raises(ApiError) as refused:
        api.put(POD, {**held, "spec": {"second": True}}, timeout_seconds=2)
    assert refused.value.status == 409
    assert server.get(POD)["spec"] == {"first": True}


def test_an_object_is_created(server, api):
    api.post(CONFIG_MAPS, {"metadata": {"name": "made"}}, timeout_seconds=2)
    assert server.get(f"{CONFIG_MAPS}/made")["metadata"]["name"] == "made"


def test_a_connection_that_nobody_takes_is_given_up_long_before_the_call_is_over(monkeypatch):
    monkeypatch.setattr("webhook.api.CONNECT_SECONDS", 0.1)
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        with socket.create_connection(full.getsockname()):  # the kernel drops the packets of all others now
            api = Api.from_address("http://{}:{}".format(*full.getsockname()))
            began = time.monotonic()
            with pytest.raises(ApiError, match="Timeout"):
                api.get(POD, timeout_seconds=30)
            assert time.monotonic() - began < 10


def test_a_server_that_does_not_answer_in_time_is_a_timeout(server, api):
    server.delays["/api"] = 30
    with pytest.raises(ApiError) as failed:
        api.get(POD, timeout_seconds=0.1)
    assert (failed.value.status, failed.value.reason) == (0, "Timeout")


def test_a_server_that_is_not_there_is_no_answer():
    api = Api.from_address("http://127.0.0.1:9")
    with pytest.raises(ApiError) as failed:
        api.get(POD, timeout_seconds=1)
    assert (failed.value.status, failed.value.reason) == (0, "NoAnswer")


def test_events_arrive_while_the_watch_is_open(server, api):
    server.put(f"{CONFIG_MAPS}/one")
    watch = api.watch(CONFIG_MAPS, query={"resourceVersion": "0", "timeoutSeconds": "5"}, read_timeout_seconds=6)
    assert next(watch)["object"]["metadata"]["name"] == "one"
    server.put(f"{CONFIG_MAPS}/two")
    assert next(watch)["object"]["metadata"]["name"] == "two"
    stopped_after(watch, 0)


def test_a_silent_watch_times_out(server, api):
    server.serve_collection(CONFIG_MAPS)
    server.hang_watches = True
    watch = api.watch(CONFIG_MAPS, query={"resourceVersion": "0", "timeoutSeconds": "5"}, read_timeout_seconds=0.1)
    with pytest.raises(ApiError) as failed:
        next(watch)
    assert failed.value.reason == "Timeout"


def stopped_after(watch, seconds: float) -> float:
    """How long a reader waits that is told to stop from another thread."""
    timer = threading.Timer(seconds, watch.stop)
    began = time.monotonic()
    timer.start()
    try:
        list(watch)
    except ApiError as error:
        assert error.status == 0  # noqa: PT017  # an error and an end are both fine
    timer.join()
    return time.monotonic() - began


def test_another_thread_can_stop_a_silent_watch(server, api):
    server.serve_collection(CONFIG_MAPS)
    server.hang_watches = True
    watch = api.watch(CONFIG_MAPS, query={"resourceVersion": "0", "timeoutSeconds": "5"}, read_timeout_seconds=30)
    assert stopped_after(watch, 0.1) < 1


def test_stopping_a_watch_that_has_ended_does_nothing(server, api):
    server.serve_collection(CONFIG_MAPS)
    watch = api.watch(CONFIG_MAPS, query={"resourceVersion": "0", "timeoutSeconds": "0"}, read_timeout_seconds=1)
    assert list(watch) == []
    watch.stop()


@pytest.fixture
def authority():
    return trustme.CA()


@pytest.fixture
def secure_server(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with fake_api.running(context) as server:
        yield server


@pytest.fixture
def service_account(secure_server: FakeApi, authority, tmp_path, monkeypatch):
    host, port = secure_server.address.removeprefix("https://").split(":")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    (tmp_path / "ca.crt").write_bytes(authority.cert_pem.bytes())
    (tmp_path / "token").write_text("first\n")
    return tmp_path


def test_in_a_pod_a_replaced_token_is_used_at_once(secure_server, service_account):
    secure_server.put(POD)
    api = Api.from_service_account(service_account)
    api.get(POD, timeout_seconds=2)
    (service_account / "token").write_text("second\n")
    api.get(POD, timeout_seconds=2)
    api.close()
    assert secure_server.authorizations == ["Bearer first", "Bearer second"]


def test_a_watch_over_tls_can_be_stopped(secure_server, service_account):
    secure_server.serve_collection(CONFIG_MAPS)
    secure_server.hang_watches = True
    api = Api.from_service_account(service_account)
    watch = api.watch(CONFIG_MAPS, query={"resourceVersion": "0", "timeoutSeconds": "5"}, read_timeout_seconds=30)
    assert stopped_after(watch, 0.1) < 1
    api.close()


def test_a_server_with_a_foreign_certificate_is_refused(service_account):
    (service_account / "ca.crt").write_bytes(trustme.CA().cert_pem.bytes())
    with pytest.raises(ApiError) as failed:
        Api.from_service_account(service_account).get(POD, timeout_seconds=2)
    assert (failed.value.status, failed.value.reason) == (0, "Tls")


def test_a_kubeconfig_is_enough_elsewhere(server, tmp_path):
    server.put(POD)
    path = tmp_path / "config"
    path.write_text(
        f"""
apiVersion: v1
kind: Config
current-context: here
contexts: [{{name: here, context: {{cluster: here, user: me}}}}]
clusters: [{{name: here, cluster: {{server: "{server.address}"}}}}]
users: [{{name: me, user: {{token: mine}}}}]
"""
    )
    api = Api.from_kubeconfig(str(path))
    assert api.get(POD, timeout_seconds=2)["metadata"]["name"] == "train"
    api.close()
    assert server.authorizations == ["Bearer mine"]


def test_without_any_configuration_one_line_says_so(tmp_path):
    with pytest.raises(ApiError) as failed:
        Api.from_kubeconfig(str(tmp_path / "missing"))
    assert failed.value.reason == "NoConfiguration"
    assert "\n" not in str(failed.value)


def test_the_date_of_the_newest_answer_is_kept_also_of_a_refusal(server, api):
    assert api.date is None
    server.put(POD)
    server.date = lambda: datetime(2026, 11, 28, 12, 0, 1, 900_000, tzinfo=UTC)
    api.get(POD, timeout_seconds=2)
    assert api.date == datetime(2026, 11, 28, 12, 0, 1, tzinfo=UTC)
    server.date = lambda: datetime(2026, 11, 29, tzinfo=UTC)
    with pytest.raises(ApiError):
        api.get(f"{POD}-not", timeout_seconds=2)
    assert api.date == datetime(2026, 11, 29, tzinfo=UTC)
    server.date = lambda: "the day after"
    api.get(POD, timeout_seconds=2)
    assert api.date is None
