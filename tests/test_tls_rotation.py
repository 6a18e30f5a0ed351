from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.tls_cluster import (
    CONFIGURATION,
    INTERVAL_SECONDS,
    LIFE,
    SECRET,
    SETTLE_SECONDS,
    Killed,
    cluster,
    count,
    handshake,
)
from webhook.tls import rotation
from webhook.tls.certificates import new_authority, new_leaf, pem, read_bundle, read_pair, service_names
from webhook.tls.secret import SecretContent, Serving


@pytest.fixture
def world():
    with cluster() as world:
        yield world


def started(world, replicas=2):
    replicas_made = [world.replica() for _ in range(replicas)]
    for replica in replicas_made:
        assert world.step(replica)
    return replicas_made


def all_agree(world):
    """Everybody serves the Secret's certificate, and nothing is under way."""
    secret = world.secret()
    assert {replica.leaf for replica in world.replicas} == {secret["tls.crt"]}
    assert set(secret) == {"ca.crt", "ca.key", "tls.crt", "tls.key"}
    for entry in (0, 1):
        assert set(read_bundle(world.bundle(entry))) == set(read_bundle(secret["ca.crt"]))
    assert all(replica.source.lacks() == () for replica in world.replicas)
    return secret


def test_a_rotation_has_three_steps_and_waits_between_publishing_and_using(world):
    first, second = started(world)
    before = all_agree(world)
    world.ask_for_rotation("2026")

    world.step(first)  # the new CA is kept and published, and nothing is signed with it
    staged = world.secret()
    assert staged["tls.crt"] == before["tls.crt"]
    assert count(staged["ca.crt"]) == count(world.bundle()) == 2
    assert staged["next-ca.crt"] in world.bundle()
    assert first.source.pause_seconds(0) == SETTLE_SECONDS

    world.wait(SETTLE_SECONDS - 1)
    world.step(first)
    assert world.secret() == staged
    world.wait(1)
    world.step(first)
    assert first.leaf == world.secret()["tls.crt"] != before["tls.crt"]
    assert second.leaf == before["tls.crt"]

    world.step(second)  # has only now seen the CA, and waits for itself
    assert second.leaf == before["tls.crt"]
    assert second.source.pause_seconds(0) == SETTLE_SECONDS
    world.settle()
    after = all_agree(world)
    assert after["ca.key"] != before["ca.key"]
    assert after["ca.crt"] == staged["next-ca.crt"] + before["ca.crt"]
    assert world.handshakes > 10


def test_a_rotation_that_was_asked_for_happens_once(world):
    started(world)
    world.ask_for_rotation("2026")
    world.settle()
    after = all_agree(world)
    world.settle()
    assert world.secret() == after
    assert world.server.get(SECRET)["metadata"]["annotations"]["gracekeeper.dev/rotated"] == "2026"
    world.ask_for_rotation("again")
    world.settle()
    assert all_agree(world)["ca.key"] != after["ca.key"]
    assert count(world.bundle()) == 3


def test_a_rotation_asked_for_before_the_first_start_is_the_first_start(world):
    world.write_secret({}, rotate="early")
    started(world)
    world.settle()
    all_agree(world)
    assert count(world.bundle()) == 1


def rotate(world, replica):
    for _ in range(3):
        world.step(replica)
        world.wait(SETTLE_SECONDS)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("write", [1, 2, 3])
def test_a_replica_killed_at_any_write_of_a_rotation_loses_no_call(world, write, when):
    victim, _ = started(world)
    before = all_agree(world)
    world.ask_for_rotation("2026")
    writes = 0

    def kill(method, _path):
        nonlocal writes
        writes += method == "PUT"
        if method == "PUT" and writes == write:
            raise Killed

    setattr(victim.api, when, kill)
    with pytest.raises(Killed):
        rotate(world, victim)
    world.kill(victim)
    world.check()
    world.step(world.replica())  # in its place
    world.settle()
    assert all_agree(world)["ca.key"] != before["ca.key"]
    assert count(world.bundle()) == 2


@pytest.mark.parametrize("call", range(8))
def test_replicas_that_get_between_each_others_calls_agree_and_lose_no_call(world, call):
    first, second, third = started(world, 3)
    before = all_agree(world)
    world.ask_for_rotation("2026")
    for _ in range(3):
        calls = 0

        def between(_method, _path):
            nonlocal calls
            calls += 1
            if calls == call + 1:
                world.step(second)
                world.step(third)

        first.api.before = between
        world.step(first)
        world.wait(SETTLE_SECONDS)
    first.api.before = lambda _method, _path: None
    world.settle()
    assert all_agree(world)["ca.key"] != before["ca.key"]
    assert count(world.bundle()) == 2


def test_replicas_rolled_out_during_a_rotation_serve_what_the_secret_holds(world):
    started(world)
    world.ask_for_rotation("2026")
    for _ in range(6):
        newcomer = world.replica()
        world.step(newcomer)
        assert newcomer.leaf == world.secret()["tls.crt"]
        world.kill(world.replicas[0])
        world.wait(SETTLE_SECONDS / 2)
        for replica in world.replicas:
            world.step(replica)
    world.settle()
    all_agree(world)
    assert count(world.bundle()) == 2


def without(*keys):
    return lambda data: {key: value for key, value in data.items() if key not in keys}


def garbled(key):
    return lambda data: {**data, key: b"nonsense"}


WIPES = {
    "all": lambda _data: {},
    "without its key": without("tls.key"),
    "without its certificate": without("tls.crt"),
    "without the CA": without("ca.crt"),
    "without the CA's key": without("ca.key"),
    "garbled certificate": garbled("tls.crt"),
    "garbled key": garbled("tls.key"),
    "garbled CA": garbled("ca.crt"),
    "garbled key of the CA": garbled("ca.key"),
    "a key that does not fit": lambda secret_content: {**secret_content, "tls.key": secret_content["ca.key"]},
    "a leaf as its own CA": lambda secret_content: {
        **secret_content,
        "ca.crt": secret_content["tls.crt"],
        "ca.key": secret_content["tls.key"],
    },
}


@pytest.mark.parametrize("wipe", WIPES.values(), ids=WIPES)
def test_a_secret_that_was_wiped_or_spoilt_is_rotated_and_loses_no_call(world, wipe):
    first, second = started(world)
    before = all_agree(world)
    world.write_secret(wipe(before))
    world.step(first)
    world.step(second)
    assert first.leaf == second.leaf == before["tls.crt"]  # from memory
    newcomer = world.replica()
    world.step(newcomer)
    assert newcomer.source.lacks() == ("a new CA is made known for 30 s first",)
    world.settle()
    after = all_agree(world)
    assert after["tls.crt"] != before["tls.crt"]
    assert after["ca.key"] != before["ca.key"]
    assert before["ca.crt"] in world.bundle()


def test_a_spoilt_next_ca_is_replaced(world):
    first, _ = started(world)
    world.ask_for_rotation("2026")
    world.step(first)
    world.write_secret({**world.secret(), "next-ca.key": b"nonsense"})
    world.settle()
    all_agree(world)


def test_bundle_and_secret_wiped_in_mid_rotation_come_back_with_the_served_ca(world):
    first, _ = started(world)
    before = all_agree(world)
    world.ask_for_rotation("2026")
    world.step(first)
    world.write_secret({})
    world.write_bundles(b"")
    world.step(first)
    assert before["ca.crt"] in world.bundle()
    assert first.leaf == before["tls.crt"]
    world.settle()
    assert all_agree(world)["ca.key"] != before["ca.key"]


def test_a_bundle_wiped_while_a_new_ca_settles_starts_the_wait_anew(world):
    first, _ = started(world)
    before = all_agree(world)
    world.ask_for_rotation("2026")
    world.step(first)
    world.wait(SETTLE_SECONDS - 1)
    world.write_bundles(b"")
    world.step(first)
    assert count(world.bundle()) == 2
    world.wait(SETTLE_SECONDS - 1)
    world.step(first)
    assert first.leaf == world.secret()["tls.crt"] == before["tls.crt"]
    world.wait(1)
    world.step(first)
    assert first.leaf != before["tls.crt"]


def test_a_secret_restored_from_a_backup_is_served_only_when_its_ca_has_settled(world):
    started(world)
    backup = all_agree(world)
    world.ask_for_rotation("2026")
    world.settle()
    newest, _ = read_bundle(world.secret()["ca.crt"])
    world.write_bundles(pem([newest]))
    world.write_secret(backup)
    world.settle()
    assert all_agree(world)["tls.crt"] == backup["tls.crt"]


def test_a_leaf_is_renewed_under_its_ca_when_a_third_of_its_life_is_left():
    issued = datetime.now(UTC) - LIFE * 2 / 3
    with cluster(issued) as world:
        first, second = [world.replica(), world.replica()]
        first.source.reconcile()
        second.source.reconcile()
        before = all_agree(world)
        world.wait((LIFE * 2 / 3 - timedelta(minutes=30)).total_seconds())
        world.step(first)
        assert all_agree(world) == before
        world.wait(timedelta(minutes=20).total_seconds())  # its life began an hour early, so its last third 20 min
        version = world.server.get(CONFIGURATION)["metadata"]["resourceVersion"]
        world.step(first)  # the CA stays, so there is nothing to wait for
        assert first.leaf == world.secret()["tls.crt"] != before["tls.crt"]
        world.step(second)
        after = all_agree(world)
        assert after["ca.crt"] == before["ca.crt"]
        assert world.server.get(CONFIGURATION)["metadata"]["resourceVersion"] == version
        assert (
            first.ends[-1] == read_pair(after["tls.crt"], after["tls.key"]).certificate.not_valid_after_utc.timestamp()
        )


def test_years_of_minding_itself_rotate_leaf_and_ca_and_drop_each_ca_after_its_end():
    with cluster(datetime.now(UTC) - 5 * LIFE) as world:
        replica = world.replica()
        days = timedelta(days=3).total_seconds()
        authorities: dict[Any, datetime] = {}
        while world.seconds < 8 * LIFE.total_seconds():
            for _ in range(4):
                assert replica.source.reconcile()
                world.wait(SETTLE_SECONDS)
            world.wait(days)
            secret_content = world.secret()
            leaf = read_pair(secret_content["tls.crt"], secret_content["tls.key"]).certificate
            bundle = read_bundle(world.bundle())
            assert leaf.not_valid_after_utc - world.now > LIFE / 4
            authorities |= {authority: authority.not_valid_after_utc for authority in bundle}
            alive = {authority for authority, end in authorities.items() if end > world.now - timedelta(seconds=days)}
            assert alive >= set(bundle) >= {authority for authority in alive if authorities[authority] > world.now}
            assert leaf.not_valid_after_utc <= bundle[-1].not_valid_after_utc
        assert len(authorities) == 4  # one each 180 days, when a third of 270 is left
        assert len(set(replica.ends)) > 10


def test_a_leaf_is_not_issued_again_where_its_cas_end_leaves_it_no_longer_life():
    """Else it would be with each pass: close to the CA's end every leaf is due from its first moment."""
    now, names = datetime.now(UTC), service_names("grace", "ops")
    authority = new_authority(timedelta(minutes=10), now)
    serving = Serving(authority, new_leaf(authority, names, LIFE, now))
    secret_content = SecretContent(serving, new_authority(LIFE, now), (authority.certificate,))
    step = rotation.following(secret_content, [], [], rotation.Terms(names, LIFE), now)
    assert step.serving == serving


def test_what_was_off_for_too_long_starts_over_at_once():
    with cluster(datetime.now(UTC) - 4 * LIFE) as world:
        replica = world.replica()
        replica.source.reconcile()
        before = world.secret()
        world.wait(4 * LIFE.total_seconds())
        assert replica.source.lacks()[0].startswith("the serving certificate ended at ")
        assert world.replica().source.reconcile()
        assert replica.source.reconcile()
        handshake(replica.certificate, world.bundle())
        assert all_agree(world)["ca.key"] != before["ca.key"]
        assert count(world.bundle()) == 1


def test_a_leaf_that_ended_while_its_ca_lives_is_renewed_at_once():
    with cluster(datetime.now(UTC) - LIFE * 1.5) as world:
        replica = world.replica()
        replica.source.reconcile()
        before = world.secret()
        world.wait(LIFE.total_seconds() * 1.5)
        assert world.step(replica)
        after = all_agree(world)
        assert after["ca.key"] == before["ca.key"]
        assert after["tls.crt"] != before["tls.crt"]


def test_nobody_waits_longer_than_a_minute(world):
    first, _ = started(world)
    assert first.source.pause_seconds(0) == INTERVAL_SECONDS
