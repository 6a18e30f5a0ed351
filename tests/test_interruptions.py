"""How often pods were given less than their own grace: as text of bounded size, that anybody may have spoiled."""

import json

import pytest

from webhook.policy.observed import memory, wrapping_stops
from webhook.policy.observed.interruptions import (
    MOST_BYTES,
    EndedPod,
    Interruption,
    Tallies,
    Tally,
    counted,
    tallies_in,
    text_of,
)
from webhook.policy.observed.termination import Termination, TerminationClass

NOON = 1_795_867_200
DAY = 86_400
OVERRIDE = Termination(TerminationClass.OVERRIDDEN, granted_seconds=60, cause="EvictionByEvictionAPI")
KEY = Interruption("ml", TerminationClass.OVERRIDDEN, 60, "EvictionByEvictionAPI")


def seen(*times: int, termination: Termination = OVERRIDE, namespace: str = "ml", own: int = 600) -> Tallies:
    tallies: Tallies = {}
    for index, at in enumerate(times):
        tallies = counted(tallies, EndedPod(namespace, f"llama-{index}", own + index), termination, at)
    return tallies


def test_pods_that_were_ended_the_same_way_are_one_count():
    tallies = seen(NOON, NOON + DAY, NOON + 2 * DAY)
    assert tallies == {KEY: Tally(3, NOON, NOON + 2 * DAY, 602, "llama-2")}
    assert tallies_in(text_of(tallies, NOON + 2 * DAY)) == tallies


@pytest.mark.parametrize("kind", [*TerminationClass])
def test_only_ends_with_less_than_the_own_grace_are_counted(kind):
    is_counted = kind in {"overridden", "evicted", "shutdown"}
    assert bool(seen(NOON, termination=Termination(kind, granted_seconds=60))) == is_counted


def test_what_was_last_seen_more_than_30_days_ago_is_forgotten():
    tallies = {**seen(NOON), **seen(NOON + 20 * DAY, namespace="web")}
    assert [key.namespace for key in tallies_in(text_of(tallies, NOON + 31 * DAY))] == ["web"]


def test_the_text_is_bounded_so_that_the_whole_config_map_is_never_too_large():
    tallies = {
        Interruption(f"{number:0>63}", KEY.kind, number, "c" * 1000): Tally(2**40, 2**40, 2**40, 2**40, "p" * 253)
        for number in range(1000)
    }
    text = text_of(tallies, 2**40)
    assert len(text) <= MOST_BYTES
    assert len(tallies_in(text)) > 50
    one_mebibyte, of_metadata = 2**20, 8 * 1024
    assert one_mebibyte - of_metadata >= memory.MOST_BYTES + wrapping_stops.MOST_BYTES + MOST_BYTES


def test_the_newest_of_a_namespace_are_kept_and_one_namespace_drives_out_no_other():
    noise = {
        Interruption("noise", KEY.kind, number, ""): Tally(1, NOON, NOON + 1 + number, 1, "p") for number in range(1000)
    }
    kept = tallies_in(text_of({**seen(NOON), **noise}, NOON + 1001))
    assert kept[KEY].count == 1
    assert min(key.granted_seconds for key in kept if key.namespace == "noise") == 980


GOOD = json.loads(text_of(seen(NOON), NOON))["interruptions"][0]


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "nonsense",
        "[]",
        '{"version":2,"interruptions":[]}',
        '{"version":1}',
        '{"version":1,"interruptions":{}}',
    ],
)
def test_a_text_that_is_none_counts_nothing(text):
    assert tallies_in(text) == {}


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "saved"},
        {"count": "3"},
        {"count": -1},
        {"last": True},
        {"own": 2**50},
        {"pod": None},
        {"cause": "x" * 999},
    ],
    ids=str,
)
def test_a_row_that_cannot_be_read_is_left_out(change):
    text = json.dumps({"version": 1, "interruptions": [{**GOOD, **change}, "row", GOOD]})
    assert tallies_in(text) == seen(NOON)
