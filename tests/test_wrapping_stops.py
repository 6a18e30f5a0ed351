"""Stops of wrapping as tables: signs in, the state of each namespace out."""

from dataclasses import replace

import pytest

from webhook.policy.observed.wrapping_stops import (
    MOST_BYTES,
    Signs,
    StopCause,
    WrappingStop,
    next_stops,
    resumed,
    stops_in,
    text_of_stops,
)

NOW = 1_780_000_000
HOUR, DAY = 3600, 24 * 3600
STOP = WrappingStop(NOW, NOW + HOUR, HOUR, StopCause.REFUSED, "Job/train")
IMAGE_STOP = replace(STOP, cause=StopCause.IMAGE)


def refused(*ages, owner="Job/train", now=NOW):
    return Signs(refusals={owner: tuple(now - age for age in ages)})


def waiting(created, owner="Job/train"):
    return Signs(waits={owner: created})


def after(signs, before=None, now=NOW):
    """The state of the namespace `ml`; None without an entry."""
    return next_stops({} if before is None else {"ml": before}, {"ml": signs}, now).get("ml")


@pytest.mark.parametrize(
    ("signs", "cause"),
    [
        (refused(0), None),
        (refused(0, 0), StopCause.REFUSED),
        (refused(1, 3), StopCause.REFUSED),
        (refused(0, 120), StopCause.REFUSED),
        (refused(0, 121), None),
        (Signs(refusals={"Job/a": (NOW - 1,), "Job/b": (NOW,)}), None),
        (waiting(NOW - 200), StopCause.IMAGE),
        (Signs(), None),
    ],
)
def test_two_refusals_of_one_owner_within_two_minutes_or_a_pod_that_waited_stop_wrapping_for_an_hour(signs, cause):
    stop = after(signs)
    assert (None if stop is None else stop.cause) == cause
    if stop is not None:
        assert (stop.since, stop.until, stop.about) == (NOW, NOW + HOUR, "Job/train")
        assert stop.lasts(NOW)
        assert not stop.lasts(NOW + HOUR)


@pytest.mark.parametrize(("before", "seconds"), [(STOP, 2), (IMAGE_STOP, 2), (replace(STOP, seconds=15 * HOUR), 24)])
def test_given_a_stop_that_is_over_when_pods_are_refused_again_within_a_day_then_the_next_lasts_twice_as_long(
    before, seconds
):
    now = before.until + HOUR
    stop = after(refused(1, 3, now=now), before, now)
    assert (stop.since, stop.until) == (now, now + seconds * HOUR)


def test_given_a_stop_that_was_over_a_day_ago_when_pods_are_refused_then_the_next_lasts_an_hour():
    now = STOP.until + DAY + 1
    assert after(refused(1, 3, now=now), STOP, now).seconds == HOUR


def test_given_a_stop_when_its_owner_s_pods_are_refused_all_the_same_then_wrapping_goes_on_and_that_owner_counts_for_nothing():
    now = NOW + 60
    over = after(refused(1, now=now), STOP, now)
    assert not over.lasts(now)
    assert after(refused(1, 3, now=now + HOUR), over, now + HOUR) == over
    other = after(refused(1, 3, owner="Job/other", now=now + HOUR), over, now + HOUR)
    assert (other.about, other.seconds) == ("Job/other", HOUR)
    later = now + DAY
    assert after(refused(1, 3, now=later), over, later).lasts(later)


@pytest.mark.parametrize(
    "signs",
    [
        refused(0, now=NOW + 29),
        refused(5, 70, now=NOW + 29),
        Signs(),
        waiting(NOW + 10),
    ],
)
def test_given_a_stop_when_pods_were_reviewed_before_the_servers_heard_of_it_then_it_stays(signs):
    assert after(signs, STOP, NOW + 31) == STOP


def test_given_a_stop_when_pods_of_another_owner_are_refused_then_it_stays_and_that_owner_does_not_count_later():
    now = NOW + 600
    for before in (STOP, IMAGE_STOP):
        stop = after(refused(1, owner="Job/other", now=now), before, now)
        assert stop.lasts(now)
        over = stop.until + 600
        assert not after(refused(1, 3, owner="Job/other", now=over), stop, over).lasts(over)


def test_given_a_pod_that_still_waits_since_before_the_stop_when_that_is_over_then_wrapping_is_tried_again():
    over = IMAGE_STOP.until
    assert not after(waiting(NOW - 200), IMAGE_STOP, over).lasts(over)
    assert after(waiting(over + 1), IMAGE_STOP, over + 200).seconds == 2 * HOUR


def test_given_an_admin_who_resumes_then_signs_from_before_count_for_nothing():
    now = NOW + 60
    entry = resumed(replace(STOP, cleared={"Job/other": now + DAY}), now)
    assert not entry.lasts(now)
    for signs in (refused(61, 63, now=now), waiting(NOW - 200)):
        assert not after(signs, entry, now).lasts(now)
    assert after(refused(1, 3, now=now + 60), entry, now + 60).seconds == HOUR


def test_signs_of_a_namespace_change_no_other_entry():
    noise = {f"Job/{number}": (NOW - 1, NOW + 100) for number in range(1000)}
    stops = next_stops({"ml": STOP}, {"noisy": Signs(refusals=noise)}, NOW + 100)
    assert stops["ml"] == STOP
    assert stops["noisy"].lasts(NOW + 100)
    many = next_stops(stops, {"noisy": Signs(refusals=dict.fromkeys(noise, (NOW + 200,)))}, NOW + 200)
    assert many["ml"] == STOP
    assert len(many["noisy"].cleared) == 4


def test_an_entry_that_cannot_change_anything_is_dropped():
    assert next_stops({"ml": STOP}, {}, STOP.until + DAY) == {"ml": STOP}
    assert next_stops({"ml": STOP}, {}, STOP.until + DAY + 1) == {}


def test_stops_survive_their_text():
    stops = {"ml": replace(STOP, cleared={"Job/a": NOW, "Job/b": NOW + 1}), "other": IMAGE_STOP}
    assert stops_in(text_of_stops(stops, NOW)) == stops
    assert stops_in(text_of_stops({}, NOW)) == {}


def test_given_more_namespaces_than_the_text_holds_then_those_whose_stop_is_over_go_first():
    longest = {f"Job/{letter}{'x' * 59}": 2**40 for letter in "abcd"}
    over = {f"{number:03}{'o' * 60}": replace(STOP, until=NOW, cleared=longest) for number in range(500)}
    lasting = {f"ml-{number}": STOP for number in range(50)}
    text = text_of_stops(over | lasting, NOW + 1)
    assert len(text.encode()) <= MOST_BYTES
    kept = stops_in(text)
    assert lasting.keys() <= kept.keys()
    assert len(kept) > len(lasting) + 50


ENTRY = '{"namespace":"ml","since":1,"until":2,"seconds":1,"cause":"refused","about":"Job/train","cleared":{}}'


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"until":2', '"until":90000000'),
        ('"until":2', '"until":0'),
        ('"until":2', '"until":"2"'),
        ('"since":1', '"since":true'),
        ('"refused"', '"whim"'),
        ('"refused"', "[]"),
        ('"about":"Job/train"', '"about":""'),
        ('"cleared":{}', '"cleared":{"a":"b"}'),
        ('"cleared":{}', '"cleared":[]'),
        ('"namespace":"ml"', '"namespace":7'),
        (ENTRY, "7"),
        (f"[{ENTRY}]", "7"),
        ('"version":1', '"version":2'),
        ("{", "["),
    ],
)
def test_what_cannot_be_read_stops_nothing(old, new):
    text = f'{{"version":1,"namespaces":[{ENTRY}]}}'
    assert list(stops_in(text)) == ["ml"]
    assert stops_in(text.replace(old, new)) == {}


@pytest.mark.parametrize("text", [None, 7, "", "nonsense", "[" * 100_000, " " * (2 * MOST_BYTES) + "{}"])
def test_a_text_that_is_none_stops_nothing(text):
    assert stops_in(text) == {}


def test_a_stop_that_begins_in_the_future_stops_nothing():
    future = replace(STOP, since=NOW + 2 * HOUR, until=NOW + 3 * HOUR)
    assert not future.lasts(NOW)
    assert next_stops({"ml": future}, {}, NOW) == {}
