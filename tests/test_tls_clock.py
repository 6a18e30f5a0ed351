"""Clocks that are wrong: ours, the API server's, or both; and certificates that are not valid yet."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.tls_cluster import (
    CONFIGURATION,
    LIFE,
    OBJECTS,
    SECRET,
    SETTLE_SECONDS,
    Cluster,
    Replica,
    cluster,
    count,
    handshake,
)
from webhook.api import ApiError
from webhook.tls.certificates import new_authority, new_leaf, read_bundle, read_pair, service_names
from webhook.tls.clock import TOLERANCE, Clock

NAMES = service_names(OBJECTS.service, OBJECTS.namespace)
DAYS_3 = timedelta(days=3)
AGE = LIFE / 2
"""Of the certificate in `world`: it is due in another sixth of its life."""


@pytest.fixture
def world() -> Iterator[Cluster]:
    """Two replicas that serve a certificate of middle age; their clocks and the API server's are right."""
    with cluster(datetime.now(UTC) - AGE) as world:
        replicas = [world.replica(), world.replica()]
        for replica in replicas:
            assert replica.source.reconcile()
        world.wait(AGE.total_seconds())
        yield world


@pytest.fixture
def fresh() -> Iterator[Cluster]:
    """A fresh installation without a replica."""
    with cluster() as world:
        yield world


def serves_what_api_servers_accept(world: Cluster, *replicas: Replica) -> bool:
    """Whether each is ready, and a strict client that trusts the caBundle accepts its certificate by the real clock."""
    for replica in replicas:
        handshake(replica.certificate, world.bundle())
    return all(replica.source.lacks() == () for replica in replicas)


def write_pairs(world: Cluster, begins_in: timedelta, *, also_the_authority: bool = False) -> None:
    """By hand: a leaf that is not valid yet, of the CA that is there or of one that is not valid yet either."""
    secret = world.secret()
    begin = world.now + begins_in + timedelta(hours=1)  # what is issued begins an hour earlier
    authority = read_pair(secret["ca.crt"], secret["ca.key"])
    if also_the_authority:
        authority = new_authority(3 * LIFE, begin)
    leaf = new_leaf(authority, NAMES, LIFE, begin)
    world.write_secret(
        {
            "ca.crt": authority.certificate_pem,
            "ca.key": authority.key_pem,
            "tls.crt": leaf.certificate_pem,
            "tls.key": leaf.key_pem,
        }
    )


def begin_of(certificate_pem: bytes) -> datetime:
    return read_bundle(certificate_pem)[0].not_valid_before_utc


def events(replica: Replica) -> list[str]:
    return [line["event"] for line in replica.log]


AHEAD_OR_BEHIND = [timedelta(days=20), timedelta(days=4000), -timedelta(days=20), -timedelta(days=4000)]
"""The certificate is due, has ended, is not valid yet, by such a clock."""


@pytest.mark.parametrize("ahead", AHEAD_OR_BEHIND, ids=str)
def test_a_replica_whose_clock_is_days_off_issues_and_drops_nothing_and_says_so(world, ahead):
    wrong, right = world.replicas
    secret, bundle = world.secret(), world.bundle()
    wrong.ahead = ahead
    for _ in range(4):
        assert wrong.source.reconcile()
        assert right.source.reconcile()
        world.wait(SETTLE_SECONDS)
    assert (world.secret(), world.bundle()) == (secret, bundle)
    assert serves_what_api_servers_accept(world, wrong, right)
    assert wrong.source.clock.ahead_seconds() == pytest.approx(ahead.total_seconds(), abs=2)
    (note,) = wrong.source.notes()
    side = "ahead of" if ahead > timedelta(0) else "behind"
    assert note.startswith(f"the clock of this node is {abs(ahead).days} d {side} the API server's")
    assert events(wrong)[1:].count("clock differs from the API server's") == 1
    assert right.source.notes() == ()
    assert right.source.clock.ahead_seconds() == 0


@pytest.mark.parametrize("ahead", AHEAD_OR_BEHIND, ids=str)
def test_a_clock_that_is_right_again_needs_nobody(world, ahead):
    wrong, _ = world.replicas
    wrong.ahead = ahead
    wrong.source.reconcile()
    wrong.ahead = timedelta(0)
    assert wrong.source.reconcile()
    assert wrong.source.notes() == ()
    assert wrong.source.clock.ahead_seconds() == 0
    assert wrong.log[-1]["event"] == "clock agrees with the API server's again"
    world.ask_for_rotation("now")
    world.settle()
    assert serves_what_api_servers_accept(world, *world.replicas)
    assert count(world.bundle()) == 2


@pytest.mark.parametrize("ahead", AHEAD_OR_BEHIND, ids=str)
def test_a_new_replica_with_a_wrong_clock_serves_what_the_secret_holds(world, ahead):
    newcomer = world.replica()
    newcomer.ahead = ahead
    assert newcomer.source.reconcile()
    assert newcomer.leaf == world.secret()["tls.crt"]
    assert serves_what_api_servers_accept(world, newcomer)


@pytest.mark.parametrize("ahead", [DAYS_3, -DAYS_3], ids=str)
def test_a_first_start_with_a_wrong_clock_waits_and_begins_when_it_is_right(fresh, ahead):
    replica = fresh.replica()
    replica.ahead = ahead
    assert not replica.source.reconcile()
    assert "data" not in fresh.server.get(SECRET)
    assert fresh.bundle() == b""
    assert replica.leaf is None
    (problem,) = replica.source.lacks()
    assert problem.startswith("the clock of this node is 3 d ")
    replica.ahead = timedelta(0)
    assert replica.source.reconcile()
    assert serves_what_api_servers_accept(fresh, replica)


@pytest.mark.parametrize("ahead", [TOLERANCE - timedelta(seconds=10), timedelta(seconds=10) - TOLERANCE], ids=str)
def test_within_the_tolerance_what_is_issued_is_accepted_at_once(fresh, ahead):
    replica = fresh.replica()
    replica.ahead = ahead
    assert replica.source.reconcile()
    assert serves_what_api_servers_accept(fresh, replica)
    assert replica.source.notes() == ()


def test_a_replica_with_a_wrong_clock_still_repairs_the_ca_bundle_and_drops_no_ca(world):
    wrong, _ = world.replicas
    another = new_authority(timedelta(days=9), world.now)
    wrong.ahead = timedelta(days=4000)  # by which every CA has ended
    world.write_bundles(another.certificate_pem)
    wrong.source.reconcile()
    assert another.certificate_pem in world.bundle()
    assert serves_what_api_servers_accept(world, wrong)


def test_a_secret_that_was_emptied_is_left_to_replicas_with_a_right_clock(world):
    wrong, right = world.replicas
    wrong.ahead = DAYS_3
    world.write_secret({})
    wrong.source.reconcile()
    assert world.secret() == {}
    assert serves_what_api_servers_accept(world, wrong, right)
    right.source.reconcile()
    world.settle()
    assert serves_what_api_servers_accept(world, wrong, right)
    assert {wrong.leaf, right.leaf} == {world.secret()["tls.crt"]}


def test_a_leaf_that_is_not_valid_yet_is_issued_again_at_once_under_its_ca(world):
    before = world.secret()
    leaves = {replica.leaf for replica in world.replicas}
    write_pairs(world, DAYS_3)
    first, second = world.replicas
    assert first.source.reconcile()
    assert second.source.reconcile()
    after = world.secret()
    assert begin_of(after["tls.crt"]) < world.now
    assert after["ca.key"] == before["ca.key"]
    assert {first.leaf, second.leaf} == {after["tls.crt"]}
    assert leaves.isdisjoint({first.leaf})
    assert serves_what_api_servers_accept(world, first, second)
    faults = next(line["faults"] for line in first.log if "unsound" in line["event"])
    assert faults[0].startswith("the certificate is not valid before ")


def test_a_ca_that_is_not_valid_yet_is_rotated_while_what_is_served_stays(world):
    leaves = {replica.leaf for replica in world.replicas}
    write_pairs(world, DAYS_3, also_the_authority=True)
    for replica in world.replicas:
        assert replica.source.reconcile()
    assert {replica.leaf for replica in world.replicas} == leaves
    assert serves_what_api_servers_accept(world, *world.replicas)
    world.settle()
    assert begin_of(world.secret()["tls.crt"]) < world.now
    assert begin_of(world.secret()["ca.crt"]) < world.now
    assert serves_what_api_servers_accept(world, *world.replicas)


def test_a_new_replica_does_not_serve_a_certificate_that_is_not_valid_yet(world):
    write_pairs(world, DAYS_3, also_the_authority=True)
    newcomer = world.replica()
    newcomer.source.reconcile()
    assert newcomer.leaf is None
    assert newcomer.source.lacks()
    world.settle()
    assert serves_what_api_servers_accept(world, newcomer, *world.replicas)


def test_a_new_replica_with_a_wrong_clock_does_not_serve_it_either(world):
    """By its own clock the certificate is valid; API servers would refuse it."""
    write_pairs(world, DAYS_3)
    newcomer = world.replica()
    newcomer.ahead = timedelta(days=4)
    assert not newcomer.source.reconcile()
    assert newcomer.leaf is None
    assert newcomer.source.lacks()[0].startswith("the clock of this node is 4 d ahead of ")


def test_a_next_ca_that_is_not_valid_yet_is_replaced(world):
    first, _ = world.replicas
    world.ask_for_rotation("now")
    first.source.reconcile()
    future = new_authority(LIFE, world.now + DAYS_3)
    world.write_secret(
        {**world.secret(), "next-ca.crt": future.certificate_pem, "next-ca.key": future.key_pem},
    )
    world.settle()
    assert begin_of(world.secret()["ca.crt"]) < world.now
    assert "next-ca.key" not in world.secret()
    assert serves_what_api_servers_accept(world, *world.replicas)


@pytest.mark.parametrize("share_of_a_life", [0.0, 0.7], ids=["first start", "renewal"])
def test_clocks_that_were_all_ahead_and_are_right_again_are_mended(share_of_a_life):
    """Nobody could see it while all agreed, the API server included."""
    with cluster(datetime.now(UTC) - LIFE * share_of_a_life) as world:
        replicas = [world.replica(), world.replica()]
        if share_of_a_life:
            for replica in replicas:
                assert replica.source.reconcile()
            world.wait((LIFE * share_of_a_life).total_seconds())
        world.skew = DAYS_3
        for replica in replicas:
            assert replica.source.reconcile()
            assert replica.source.lacks() == ()
        assert begin_of(world.secret()["tls.crt"]) > datetime.now(UTC)
        world.skew = timedelta(0)
        for replica in replicas:
            replica.api.before = no_writes
            assert not replica.source.reconcile()
            assert replica.source.lacks()[0].startswith("the serving certificate is not valid before ")
            replica.api.before = lambda _method, _path: None
        for _ in range(2):
            for replica in replicas:
                replica.source.reconcile()
        assert serves_what_api_servers_accept(world, *replicas)


def no_writes(method: str, _path: str) -> None:
    if method == "PUT":
        raise ApiError(503, "Unavailable", "of a test")


@pytest.mark.parametrize(
    "date", [None, "", "yesterday", "Sat, 99 Nov 2026 00:00:00 GMT", "Sat, 28 Nov 2026 09:00:00 -0000"]
)
def test_without_a_date_to_compare_with_the_own_clock_counts_and_it_says_so_once(fresh, date):
    fresh.server.date = lambda: date
    replica = fresh.replica()
    for _ in range(3):
        assert replica.source.reconcile()
    assert serves_what_api_servers_accept(fresh, replica)
    assert replica.source.clock.ahead_seconds() == 0
    assert events(replica).count("clock cannot be compared") == 1


def test_without_a_date_a_certificate_that_is_not_valid_yet_by_the_own_clock_is_issued_again(world):
    world.server.date = lambda: None
    write_pairs(world, DAYS_3)
    assert world.replicas[0].source.reconcile()
    assert serves_what_api_servers_accept(world, world.replicas[0])


def test_an_api_server_with_a_wrong_clock_looks_like_a_wrong_clock_of_ours(world):
    """Nobody can tell which of the two is wrong; API servers verify by theirs."""
    secret = world.secret()
    world.server.date = lambda: world.now + 4 * LIFE
    first, second = world.replicas
    for replica in world.replicas:
        assert replica.source.reconcile()
        (problem,) = replica.source.lacks()
        assert problem.startswith("the serving certificate ended at ")
        assert "the clock of this node is 360 d behind the API server's" in problem
    assert world.secret() == secret
    world.server.date = lambda: world.now
    for replica in world.replicas:
        assert replica.source.reconcile()
    assert serves_what_api_servers_accept(world, first, second)


def test_a_clock_that_jumps_while_the_api_server_is_away_is_noticed_at_once(world):
    replica, _ = world.replicas
    world.server.refusals["/"] = 503
    replica.ahead = timedelta(days=4000)
    assert not replica.source.reconcile()
    assert replica.source.lacks() == ()  # by the API server's time, which goes on without it
    assert replica.source.clock.ahead_seconds() > TOLERANCE.total_seconds()


NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("own_seconds", "sent_at", "answered_at", "ahead_seconds"),
    [
        (0.0, 0.0, 0.0, 0.0),
        (0.9, 0.0, 0.0, 0.0),  # Date has whole seconds
        (3.0, 0.0, 0.0, 2.0),
        (-3.0, 0.0, 0.0, -3.0),
        (10.0, 0.0, 10.0, 0.0),  # a slow call: answered at its beginning, at its end, or between
        (0.5, -10.0, 0.0, 0.0),
        (11.0, -10.0, 0.0, 0.0),
        (12.0, -10.0, 0.0, 1.0),
    ],
)
def test_the_difference_is_the_least_that_a_date_leaves_possible(own_seconds, sent_at, answered_at, ahead_seconds):
    clock = Clock(lambda: NOON + timedelta(seconds=own_seconds), lambda: answered_at)
    clock.heard(NOON, sent_at, answered_at)
    assert clock.ahead_seconds() == pytest.approx(ahead_seconds)


def test_the_api_servers_time_goes_on_between_its_answers():
    seconds, ahead = 0.0, timedelta(0)
    clock = Clock(lambda: NOON + timedelta(seconds=seconds) + ahead, lambda: seconds)
    clock.heard(NOON, 0, 0)
    seconds, ahead = 86400.0, timedelta(hours=7)
    assert clock.now() == NOON + timedelta(seconds=86401)
    assert clock.differs()
    ahead = timedelta(0)
    assert clock.now() == NOON + timedelta(seconds=86400)
    assert not clock.differs()


def test_what_is_public_only_from_the_future_makes_nobody_wait(fresh):
    """No API server accepts anything under such a CA, so no call can be lost."""
    future = new_authority(LIFE, fresh.now + DAYS_3)
    fresh.write_bundles(future.certificate_pem)
    replica = fresh.replica()
    assert replica.source.reconcile()
    assert serves_what_api_servers_accept(fresh, replica)
    entry = fresh.server.get(CONFIGURATION)["webhooks"][0]
    assert future.certificate_pem in base64.b64decode(entry["clientConfig"]["caBundle"])
