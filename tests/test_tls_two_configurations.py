"""The release has two webhook configurations: the CA gets into both, and one that is gone holds up nothing."""

from collections.abc import Iterator

import pytest

from tests.test_tls_watch import eventually, running
from tests.tls_cluster import (
    CONFIGURATION,
    LAST_CONFIGURATION,
    LATE_SECONDS,
    SETTLE_SECONDS,
    TWO,
    Cluster,
    cluster,
    handshake,
)
from webhook.tls.certificates import read_bundle


@pytest.fixture
def world() -> Iterator[Cluster]:
    with cluster(objects=TWO) as world:
        yield world


def test_given_a_fresh_installation_then_both_configurations_trust_the_certificate(world):
    replica = world.replica()
    assert world.step(replica)
    for path in (CONFIGURATION, LAST_CONFIGURATION):
        handshake(replica.certificate, world.bundle(path=path))


def test_given_a_rotation_then_no_call_by_either_configuration_is_lost(world):
    replicas = [world.replica(), world.replica()]
    world.settle()
    first = replicas[0].leaf
    world.ask_for_rotation("1")
    world.settle()
    assert first not in {replica.leaf for replica in replicas}
    assert world.handshakes > 8


def test_given_a_new_ca_that_only_one_configuration_kept_then_nothing_is_signed_with_it_before_both_have_it(world):
    replica = world.replica()
    world.step(replica)
    before, leaf = world.bundle(path=LAST_CONFIGURATION), replica.leaf
    world.ask_for_rotation("1")
    world.step(replica)
    world.wait(SETTLE_SECONDS - 1)
    world.write_bundles(before, LAST_CONFIGURATION)
    world.step(replica)
    world.wait(LATE_SECONDS)
    world.step(replica)
    assert replica.leaf == leaf
    world.wait(SETTLE_SECONDS)
    world.step(replica)
    assert replica.leaf != leaf


@pytest.mark.parametrize(("gone", "left"), [(LAST_CONFIGURATION, CONFIGURATION), (CONFIGURATION, LAST_CONFIGURATION)])
def test_given_a_configuration_that_was_deleted_then_the_other_is_kept_in_step_and_the_replica_says_so(
    world, gone, left
):
    replica = world.replica()
    world.step(replica)
    first = replica.leaf
    world.server.remove(gone)
    world.ask_for_rotation("1")
    for _ in range(3):
        assert not world.step(replica)
        world.wait(SETTLE_SECONDS)
    assert replica.leaf != first
    handshake(replica.certificate, world.bundle(path=left))
    assert replica.source.lacks() == ()
    name = gone.rpartition("/")[2]
    assert f"the webhook configuration {name} cannot be read: 404" in replica.source.notes()[0]
    assert "helm upgrade creates it again" in replica.source.notes()[0]


def test_given_a_start_without_the_second_configuration_then_the_server_serves(world):
    world.server.remove(LAST_CONFIGURATION)
    replica = world.replica()
    assert not world.step(replica)
    assert replica.source.lacks() == ()
    assert not replica.source.in_step()


def test_given_a_configuration_that_cannot_be_read_now_then_no_certificate_is_changed(world):
    """It may be there, so API servers may call it: what it trusts is not known."""
    replica = world.replica()
    world.step(replica)
    leaf = replica.leaf
    world.ask_for_rotation("1")
    world.server.refusals[LAST_CONFIGURATION] = 503
    for _ in range(3):
        assert not world.step(replica)
        world.wait(SETTLE_SECONDS)
    assert replica.leaf == leaf
    world.server.refusals.clear()
    world.settle()
    assert replica.leaf != leaf


@pytest.mark.parametrize("path", [CONFIGURATION, LAST_CONFIGURATION])
def test_given_a_bundle_that_somebody_empties_then_it_is_written_again_long_before_the_next_pass(world, path):
    with running(world, TWO) as replica:
        eventually(lambda: world.server.count(f"WATCH {path.rpartition('/')[0]}") >= len(TWO.configurations))
        eventually(lambda: all(watch.up for watch in replica.source._watches))  # noqa: SLF001  # nothing else tells
        world.write_bundles(b"", path)
        eventually(lambda: read_bundle(world.bundle(path=path)))
        handshake(replica.certificate, world.bundle(path=path))
