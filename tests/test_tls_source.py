import base64
import threading
import time
from datetime import timedelta

import pytest
import trustme

from tests.tls_cluster import (
    CONFIGURATION,
    LIFE,
    NAME,
    OBJECTS,
    SECRET,
    SETTLE_SECONDS,
    Cluster,
    cluster,
    count,
    entry,
    handshake,
    logger_into,
)
from webhook.api import Api
from webhook.server.certificate import Certificate
from webhook.tls.objects import Objects
from webhook.tls.source import SecretSource


@pytest.fixture
def world():
    with cluster() as world:
        yield world


def test_the_first_start_issues_publishes_reads_back_and_serves_at_once(world):
    replica = world.replica()
    assert replica.source.lacks() == ("the certificate is not in the webhook configuration yet",)
    assert world.step(replica)
    assert world.server.calls == [
        f"GET {SECRET}",
        f"GET {CONFIGURATION}",
        f"PUT {SECRET}",
        f"PUT {CONFIGURATION}",
        f"GET {CONFIGURATION}",
    ]
    assert replica.source.lacks() == ()
    assert world.bundle(0) == world.bundle(1) == world.secret()["ca.crt"]
    handshake(replica.certificate, world.bundle(), NAME)
    assert replica.ends[0] == pytest.approx((world.now + LIFE).timestamp(), abs=2)


def test_a_pass_without_need_writes_nothing(world):
    replica = world.replica()
    world.step(replica)
    world.server.calls.clear()
    world.step(replica)
    assert world.server.calls == [f"GET {SECRET}", f"GET {CONFIGURATION}"]
    assert len(replica.ends) == 1


def test_fields_and_entries_that_are_not_ours_stay(world):
    held = world.server.get(SECRET)
    world.server.put(SECRET, **{**held, "data": {"mine": "bWluZQ=="}})
    world.step(world.replica())
    secret, configuration = world.server.get(SECRET), world.server.get(CONFIGURATION)
    assert secret["aFieldOfTomorrow"] is True
    assert (secret["type"], secret["data"]["mine"]) == ("Opaque", "bWluZQ==")
    assert [entry["aFieldOfTomorrow"] for entry in configuration["webhooks"]] == [[1], [1], [1]]
    assert configuration["webhooks"][2] == entry("foreign", "another")


@pytest.mark.parametrize("call", range(5))
def test_replicas_that_start_together_agree_on_one_ca_and_leaf(world, call):
    first, second, third = world.replica(), world.replica(), world.replica()
    calls = 0

    def between(_method, _path):
        nonlocal calls
        calls += 1
        if calls == call + 1:
            world.step(second)
            world.step(third)

    first.api.before = between
    world.step(first)
    assert first.leaf == second.leaf == third.leaf == world.secret()["tls.crt"]
    assert count(world.bundle()) == 1


@pytest.mark.parametrize("write", [1, 2])
def test_a_first_start_that_was_cut_off_is_continued(world, write):
    cut_off, writes = world.replica(), 0

    def cut(method, _path):
        nonlocal writes
        writes += method == "PUT"
        if writes == write:
            raise KeyboardInterrupt

    cut_off.api.before = cut
    with pytest.raises(KeyboardInterrupt):
        world.step(cut_off)
    world.kill(cut_off)
    replica = world.replica()
    assert world.step(replica)
    assert replica.source.lacks() == ()
    assert count(world.bundle()) == 1


def test_a_wiped_bundle_is_repaired(world):
    replica = world.replica()
    world.step(replica)
    held, leaf = world.bundle(), replica.leaf
    world.write_bundles(b"")
    world.step(replica)
    assert world.bundle(0) == world.bundle(1) == held
    assert replica.leaf == leaf


def test_a_bundle_wiped_in_one_entry_only_is_repaired(world):
    replica = world.replica()
    world.step(replica)
    configuration = world.server.get(CONFIGURATION)
    del configuration["webhooks"][1]["clientConfig"]["caBundle"]
    world.server.put(CONFIGURATION, **configuration)
    world.step(replica)
    assert world.bundle(0) == world.bundle(1) == world.secret()["ca.crt"]


def test_a_foreign_ca_stays_and_gets_ours_beside_it(world):
    replica = world.replica()
    world.step(replica)
    ours, foreign = world.bundle(), trustme.CA().cert_pem.bytes()
    world.write_bundles(foreign)
    assert replica.source.reconcile()
    assert world.bundle() == foreign + ours
    assert world.secret()["ca.crt"] == ours + foreign


def test_what_is_double_or_unreadable_in_a_bundle_goes(world):
    replica = world.replica()
    world.step(replica)
    held = world.bundle()
    world.write_bundles(b"# by hand\n" + held + b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n" + held)
    assert replica.source.reconcile()
    assert world.bundle() == held


def test_a_bundle_that_is_no_base64_is_as_if_it_were_empty(world):
    configuration = world.server.get(CONFIGURATION)
    configuration["webhooks"][0]["clientConfig"]["caBundle"] = "#"
    world.server.put(CONFIGURATION, **configuration)
    replica = world.replica()
    assert world.step(replica)
    assert world.bundle() == world.secret()["ca.crt"]


def test_secret_data_that_is_no_base64_is_as_if_it_were_absent(world):
    world.server.put(SECRET, type="Opaque", data={"tls.crt": "#", "tls.key": "a"})
    replica = world.replica()
    assert world.step(replica)
    assert replica.leaf == world.secret()["tls.crt"]
    assert replica.log[0]["faults"]


def test_where_others_are_trusted_already_the_first_certificate_waits_for_its_ca(world):
    """Somebody may be serving with theirs: a rollout from source files to source secret."""
    foreign = trustme.CA().cert_pem.bytes()
    world.write_bundles(foreign)
    replica = world.replica()
    assert world.step(replica)
    assert replica.leaf is None
    assert replica.source.lacks() == ("a new CA is made known for 30 s first",)
    world.wait(SETTLE_SECONDS)
    world.step(replica)
    assert replica.source.lacks() == ()
    assert foreign in world.bundle()


def test_a_renamed_service_gets_a_certificate_of_its_new_name(world):
    world.step(world.replica())
    configuration = world.server.get(CONFIGURATION)
    for renamed in configuration["webhooks"][:2]:
        renamed["clientConfig"]["service"]["name"] = "renamed"
    world.server.put(CONFIGURATION, **configuration)
    world.objects = Objects("ops", "renamed", OBJECTS.secret, OBJECTS.configurations)
    replica = world.replica()
    replica.source.reconcile()
    assert "not for renamed, renamed.ops" in replica.log[0]["faults"][0]
    world.wait(SETTLE_SECONDS)
    assert replica.source.reconcile()
    handshake(replica.certificate, world.bundle(), "renamed.ops.svc")


@pytest.mark.parametrize(
    ("path", "code", "says"),
    [
        (SECRET, 403, "the Secret grace-tls cannot be read: 403 Forbidden: "),
        (SECRET, 404, "the Secret grace-tls cannot be read: 404 "),
        (CONFIGURATION, 403, "the webhook configuration ops-grace cannot be read: 403 Forbidden: "),
        (CONFIGURATION, 404, "the webhook configuration ops-grace cannot be read: 404 "),
    ],
)
def test_an_object_that_cannot_be_read_is_said_to_be_lacking(world, path, code, says):
    world.server.refusals[path] = code
    replica = world.replica()
    assert not world.step(replica)
    (problem,) = replica.source.lacks()
    assert problem.startswith(says)
    world.server.refusals.clear()
    assert world.step(replica)
    assert replica.source.lacks() == ()


@pytest.mark.parametrize(
    ("path", "says"),
    [
        (SECRET, "the Secret grace-tls cannot be written: 403 Forbidden: "),
        (CONFIGURATION, "the certificate is not in the webhook configuration yet: 403 Forbidden: "),
    ],
)
def test_an_object_that_cannot_be_written_is_said_to_be_lacking(world, path, says):
    replica = world.replica()

    def before(method, called):
        world.server.refusals.clear()
        if (method, called) == ("PUT", path):
            world.server.refusals[path] = 403

    replica.api.before = before
    assert not world.step(replica)
    assert replica.leaf is None
    assert replica.source.lacks()[0].startswith(says)


def test_a_configuration_that_does_not_call_us_is_said_to_be_lacking(world):
    world.server.put(CONFIGURATION, webhooks=[entry("foreign", "another")])
    replica = world.replica()
    assert not world.step(replica)
    (problem,) = replica.source.lacks()
    assert problem == "no entry of the webhook configuration ops-grace calls the Service ops/grace"


def test_a_bundle_that_somebody_takes_back_at_once_is_no_readiness(world):
    replica = world.replica()
    replica.api.after = lambda method, path: (
        world.write_bundles(b"") if (method, path) == ("PUT", CONFIGURATION) else None
    )
    assert not world.step(replica)
    assert replica.leaf is None
    assert replica.source.lacks()[0].endswith("something else has changed it back")


def test_an_outage_leaves_a_ready_replica_ready_and_is_logged_once(world):
    replica = world.replica()
    world.step(replica)
    replica.log.clear()
    world.server.refusals["/"] = 503
    for _ in range(5):
        assert not world.step(replica)
        assert replica.source.lacks() == ()
    assert [line["event"] for line in replica.log] == ["certificate not kept in step"]
    world.wait((LIFE + timedelta(hours=1)).total_seconds())
    (problem,) = replica.source.lacks()
    assert problem.startswith("the serving certificate ended at ")
    assert "503" in problem


def test_failures_are_tried_again_soon_and_then_less_soon(world):
    source = world.replica().source
    assert [source.pause_seconds(failures) for failures in (1, 2, 3, 4, 5, 5000)] == [0.5, 1, 2, 4, 5, 5]


def test_a_bug_does_not_end_the_loop_and_is_logged_without_contents(world):
    world.server.put(SECRET, data="no object")
    replica = world.replica()
    assert not world.step(replica)
    assert replica.source.lacks()[0].startswith("a bug: ")
    assert "no object" not in str(replica.log)


def test_no_key_is_ever_logged(world):
    replica = world.replica()
    world.step(replica)
    world.write_secret({**world.secret(), "tls.crt": b"nonsense"})
    world.settle()
    data = world.server.get(SECRET)["data"]
    lines = str(replica.log)
    assert not any(part in lines for part in (data["tls.key"], data["ca.key"], "PRIVATE", "nonsense"))


def test_the_state_is_all_in_the_objects(world: Cluster):
    world.step(world.replica())
    assert set(world.secret()) == {"ca.crt", "ca.key", "tls.crt", "tls.key"}
    assert base64.b64decode(world.server.get(SECRET)["data"]["ca.crt"]) == world.bundle()


def test_three_replicas_in_threads_start_rotate_and_end_together(world):
    stop, apis, sources, served = threading.Event(), [], [], []
    for _ in range(3):
        apis.append(Api.from_address(world.server.address))
        served.append(Certificate())
        source = SecretSource(
            apis[-1],
            OBJECTS,
            served[-1].use,
            lambda _end: None,
            logger_into([]),
            settle_seconds=0.2,
            interval_seconds=0.05,
        )
        sources.append(source)
    threads = [threading.Thread(target=source.run, args=(stop,), daemon=True) for source in sources]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: not any(source.lacks() for source in sources))
        first = presented(world, served)
        assert len(first) == 1
        world.server.objects[SECRET]["metadata"]["annotations"] = {"gracekeeper.dev/rotate": "now"}
        wait_until(lambda: presented(world, served).isdisjoint(first) and len(presented(world, served)) == 1)
        assert count(world.bundle()) == 2
    finally:
        stop.set()
        for thread in threads:
            thread.join(10)
        for api in apis:
            api.close()
    assert not any(thread.is_alive() for thread in threads)


def presented(world, served):
    return {handshake(certificate, world.bundle()) for certificate in served}


def wait_until(true, seconds=30):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)
