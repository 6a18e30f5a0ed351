"""How often pods were given less than their own grace: as text of bounded size, that anybody may have spoiled."""

import json

import pytest

from webhook.policy.observed.interruptions import EndedPod, Interruption, Tallies, Tally, counted, tallies_in, text_of
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


def test_the_text_is_bounded_and_keeps_the_newest():
    tallies = {
        Interruption("n" * 253, KEY.kind, number, "c" * 253): Tally(1, NOON, NOON + number, 1, "p" * 253)
        for number in range(1000)
    }
    text = text_of(tallies, NOON + 1000)
    assert len(text) < 200 * 1024
    assert min(key.granted_seconds for key in tallies_in(text)) == 800


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
