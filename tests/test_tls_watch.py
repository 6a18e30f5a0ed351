"""What others do to the webhook configuration or the Secret is noticed at once, told, and mended where it can be."""

import base64
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.tls_cluster import CONFIGURATION, OBJECTS, SECRET, Cluster, cluster, handshake, logger_into
from webhook.api import Api
from webhook.server.certificate import Certificate
from webhook.tls.certificates import new_authority
from webhook.tls.objects import Objects
from webhook.tls.source import SecretSource

COLLECTION = CONFIGURATION.rpartition("/")[0]
LATE = 40.0
"""Long before the next pass, which is a minute away, on a slow machine too."""


@pytest.fixture
def world() -> Iterator[Cluster]:
    with cluster() as world:
        yield world


class Running:
    """A source in a thread, by the real clock, with the pauses that it has on a cluster."""

    def __init__(self, address: str, objects: Objects) -> None:
        self.api = Api.from_address(address)
        self.certificate = Certificate()
        self.log: list[dict[str, object]] = []
        self.source = SecretSource(
            self.api, objects, self.certificate.use, lambda _end: None, logger_into(self.log), settle_seconds=0.2
        )
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.source.run, args=(self.stop,), daemon=True)
        self.thread.start()

    def events(self) -> list[object]:
        return [line["event"] for line in self.log]


@contextmanager
def running(world: Cluster, objects: Objects = OBJECTS) -> Iterator[Running]:
    """A replica that serves, and has ended afterwards with all its threads."""
    before = set(threading.enumerate())
    replica = Running(world.server.address, objects)
    try:
        eventually(lambda: not replica.source.lacks())
        yield replica
    finally:
        replica.stop.set()
        replica.thread.join(LATE)
        replica.api.close()
    eventually(lambda: set(threading.enumerate()) - before <= server_threads())


def server_threads() -> set[threading.Thread]:
    """Those that answer for the API server in memory, which end with their connections."""
    return {thread for thread in threading.enumerate() if "process_request" in thread.name}


def eventually(is_true) -> None:
    end = time.monotonic() + LATE
    while not is_true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def slept(seconds: float) -> float:
    """Sleep for so long; the result is how long it was, more on a machine that is busy."""
    began = time.monotonic()
    time.sleep(seconds)
    return time.monotonic() - began


def overwrite(world: Cluster) -> bytes:
    """The caBundle by hand, with a CA that signed nothing; the result is what it was."""
    held = world.bundle()
    world.write_bundles(new_authority(world.replica().source.life, world.now).certificate_pem)
    return held


def test_an_overwritten_ca_bundle_is_repaired_long_before_the_next_pass(world):
    with running(world) as replica:
        eventually(lambda: world.server.count(f"WATCH {COLLECTION}"))
        time.sleep(1.5)  # nothing happens: the next pass is a minute away
        ours = world.secret()["ca.crt"]
        for _ in range(3):
            overwrite(world)
            eventually(lambda: ours in world.bundle(0) and ours in world.bundle(1))
            handshake(replica.certificate, world.bundle())


def test_it_watches_its_own_configuration_by_name_and_is_not_woken_by_others(world):
    with running(world):
        eventually(lambda: world.server.count(f"WATCH {COLLECTION}"))
        time.sleep(1.5)
        world.server.calls.clear()
        for number in range(20):
            world.server.put(f"{COLLECTION}/of-somebody-else", webhooks=[], number=number)
        time.sleep(1.5)
        assert world.server.count(f"GET {SECRET}") == 0
    assert world.server.queries[f"WATCH {COLLECTION}"]["fieldSelector"] == f"metadata.name={OBJECTS.configurations[0]}"


def test_where_it_may_not_watch_it_looks_every_five_seconds_and_says_so_once(world):
    world.server.watch_refusals[COLLECTION] = 403
    with running(world) as replica:
        eventually(lambda: "not watching" in replica.events())
        held = overwrite(world)
        eventually(lambda: held in world.bundle())
        assert replica.source.pause_seconds(0) == 5
        assert replica.events().count("not watching") == 1
        world.server.watch_refusals.clear()
        eventually(lambda: "watching again" in replica.events())
        assert replica.source.pause_seconds(0) == 60


def test_a_watch_that_breaks_is_begun_again_and_what_happened_between_is_seen(world):
    with running(world):
        eventually(lambda: world.server.count(f"WATCH {COLLECTION}"))
        time.sleep(1.5)
        world.server.watch_refusals[COLLECTION] = 503
        world.server.end_watches()
        time.sleep(0.3)
        held = overwrite(world)
        world.server.watch_refusals.clear()
        eventually(lambda: held in world.bundle())


def test_an_api_server_that_ends_every_watch_is_asked_less_and_less(world):
    with running(world) as replica:
        eventually(lambda: world.server.count(f"WATCH {COLLECTION}"))
        world.server.oldest = world.server.version + 1000  # the answer to a watch is that its version has expired
        world.server.end_watches()
        eventually(lambda: "not watching" in replica.events())
        world.server.calls.clear()
        seconds = slept(4)
        eventually(lambda: world.server.count(f"WATCH {COLLECTION}"))
        assert world.server.count(f"WATCH {COLLECTION}") <= 1 + seconds
        assert replica.source.lacks() == ()
        world.server.oldest = 0
        eventually(lambda: "watching again" in replica.events())


def test_who_overwrites_the_ca_bundle_again_and_again_gets_at_most_a_write_a_second(world):
    """Two that fight must not flood the API server."""
    foreign = new_authority(world.replica().source.life, world.now).certificate_pem
    with running(world):
        eventually(lambda: world.server.count(f"WATCH {COLLECTION}"))
        world.server.calls.clear()
        began = time.monotonic()
        while world.server.count(f"PUT {CONFIGURATION}") < 3:
            if world.bundle() != foreign:
                world.write_bundles(foreign)
            time.sleep(0.005)
        assert time.monotonic() - began > 2
        eventually(lambda: world.bundle() != foreign)


def test_a_deleted_secret_is_told_while_the_replica_serves_on(world):
    replica = world.replica()
    assert not replica.source.in_step()
    assert world.step(replica)
    assert replica.source.in_step()
    assert replica.source.notes() == ()
    former = world.server.get(SECRET)
    world.server.remove(SECRET)
    assert not replica.source.reconcile()
    assert replica.source.lacks() == ()
    (note,) = replica.source.notes()
    assert note.startswith("the certificate is not kept in step: the Secret grace-tls cannot be read: 404 NotFound: ")
    assert note.endswith("; helm upgrade creates it again")
    assert not replica.source.in_step()
    assert replica.log[-1]["event"] == "certificate not kept in step"
    world.server.put(SECRET, type=former["type"])
    assert replica.source.reconcile()
    world.settle()
    assert replica.source.in_step()
    assert replica.source.notes() == ()
    assert replica.leaf == world.secret()["tls.crt"]


@pytest.mark.parametrize("gone", ["deleted", "forbidden"])
def test_without_the_secret_an_overwritten_ca_bundle_is_repaired_all_the_same(world, gone):
    replica = world.replica()
    assert world.step(replica)
    if gone == "deleted":
        world.server.remove(SECRET)
    else:
        world.server.refusals[SECRET] = 403
    overwrite(world)
    assert not replica.source.reconcile()
    handshake(replica.certificate, world.bundle())
    assert not replica.source.in_step()


@pytest.mark.parametrize("path", [SECRET, CONFIGURATION])
def test_every_object_that_cannot_be_had_is_told_by_a_ready_replica(world, path):
    replica = world.replica()
    assert world.step(replica)
    world.server.refusals[path] = 403
    assert not replica.source.reconcile()
    assert replica.source.lacks() == ()
    assert "403 Forbidden" in replica.source.notes()[0]
    assert not replica.source.in_step()


def test_a_deleted_webhook_configuration_is_told_at_once(world):
    with running(world) as replica:
        eventually(lambda: world.server.count(f"WATCH {COLLECTION}"))
        time.sleep(1.5)
        world.server.remove(CONFIGURATION)
        eventually(lambda: not replica.source.in_step())
        assert replica.source.lacks() == ()
        assert "webhook configuration ops-grace cannot be read: 404" in replica.source.notes()[0]


def test_a_bundle_with_a_byte_too_many_is_decoded_by_nobody_and_written_again(world):
    replica = world.replica()
    assert world.step(replica)
    held = world.server.get(CONFIGURATION)
    held["webhooks"][0]["clientConfig"]["caBundle"] = base64.b64encode(b"no PEM").decode() + "="
    world.server.put(CONFIGURATION, **held)
    assert replica.source.reconcile()
    assert world.bundle(0) == world.bundle(1)


def test_given_a_watch_that_is_just_being_opened_when_told_to_stop_then_its_thread_ends(world):
    with running(world):
        eventually(lambda: world.server.count(f"WATCH {COLLECTION}"))
        world.server.delays[COLLECTION] = 0.5
        opened = world.server.count(f"WATCH {COLLECTION}")

        def is_opened_again():
            world.server.end_watches()  # again where a watch began in this moment, which would last a minute
            return world.server.count(f"WATCH {COLLECTION}") > opened

        eventually(is_opened_again)
