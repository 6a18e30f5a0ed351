"""What is remembered of workloads: as text of bounded size, that anybody may have spoiled."""

import json
import random
from dataclasses import replace

import pytest

from webhook.policy.observed.memory import (
    MOST_BYTES,
    Entry,
    Key,
    Lesson,
    Memory,
    Sample,
    forgetting,
    memory_in,
    remembering,
    text_of,
    without_old,
)
from webhook.policy.observed.termination import Termination, TerminationClass

NOON = 1_795_867_200
DAY = 86_400
KEY = ("ml", "0123456789abcdef")


def stop(seconds: int = 40, granted: int = 60) -> Termination:
    return Termination(TerminationClass.STOPPED, seconds, granted)


def cut(granted: int = 30) -> Termination:
    return Termination(TerminationClass.CUT, granted, granted)


def with_pod(memory: Memory, key: Key, termination: Termination, at: int, owner: str = "") -> Memory:
    """The memory with a pod that ran for an hour before it was told to stop."""
    return remembering(memory, key, replace(termination, began=at, created=at - 3600), owner)


def filled(namespaces: int, workloads: int, at: int = NOON) -> Memory:
    """As many workloads in each namespace, with the longest legal names and five samples each."""
    samples = tuple(Sample(at + index * DAY, 2_592_000, 2_592_000, Lesson.SECOND_CLOCK) for index in range(5))
    return Memory(
        {
            (f"n{number}".ljust(63, "x"), f"w{workload}".ljust(63, "x")): Entry(samples, "o" * 253)
            for number in range(namespaces)
            for workload in range(workloads)
        }
    )


def test_what_is_written_is_read_again():
    memory = with_pod(Memory(), KEY, stop(), NOON, "llama")
    memory = with_pod(memory, KEY, cut(), NOON + DAY, "llama-2")
    memory = with_pod(memory, ("ml", "other"), stop(12), NOON)
    assert memory_in(text_of(memory)) == memory
    assert memory.samples_of(*KEY) == (Sample(NOON, 40, 60, Lesson.STOPPED), Sample(NOON + DAY, 30, 30, Lesson.CUT))
    assert memory.entries[KEY].owner == "llama-2"


def test_five_runs_are_remembered():
    memory = Memory()
    for day in range(9):
        memory = with_pod(memory, KEY, stop(10 + day), NOON + day * DAY)
    assert [sample.seconds for sample in memory.samples_of(*KEY)] == [14, 15, 16, 17, 18]


def test_the_cut_that_showed_that_more_grace_does_not_help_is_remembered_longer():
    memory = Memory()
    for day, granted in enumerate([30, 60, 180, 30, 30, 30, 30, 30]):
        memory = with_pod(memory, KEY, cut(granted), NOON + day * DAY)
    assert [sample.granted_seconds for sample in memory.samples_of(*KEY)] == [180, 30, 30, 30, 30]
    later = with_pod(memory, KEY, stop(), NOON + 9 * DAY)
    assert 180 not in [sample.granted_seconds for sample in later.samples_of(*KEY)]


def test_pods_that_stop_together_are_one_run_with_its_longest_stop():
    memory = Memory()
    for seconds, at in ((20, NOON), (45, NOON + 30), (30, NOON + 500)):
        memory = with_pod(memory, KEY, stop(seconds), at)
    assert memory.samples_of(*KEY) == (Sample(NOON + 500, 45, 60, Lesson.STOPPED),)


def test_a_run_that_begins_after_another_was_told_to_stop_is_the_next():
    memory = remembering(Memory(), KEY, replace(cut(30), began=NOON, created=NOON - 60))
    memory = remembering(memory, KEY, replace(stop(45), began=NOON + 90, created=NOON + 1))
    assert [sample.lesson for sample in memory.samples_of(*KEY)] == [Lesson.CUT, Lesson.STOPPED]


@pytest.mark.parametrize("order", [1, -1])
def test_one_pod_that_was_cut_makes_the_run_a_cut(order):
    memory = Memory()
    for termination in [stop(20), cut(60), stop(50)][::order]:
        memory = with_pod(memory, KEY, termination, NOON)
    assert [sample.lesson for sample in memory.samples_of(*KEY)] == [Lesson.CUT]


def test_a_peer_without_a_handler_does_not_hide_the_save_of_the_first():
    memory = with_pod(Memory(), KEY, stop(20), NOON)
    memory = with_pod(memory, KEY, Termination(TerminationClass.NO_HANDLER, granted_seconds=60), NOON)
    assert [sample.lesson for sample in memory.samples_of(*KEY)] == [Lesson.STOPPED]


@pytest.mark.parametrize(
    "kind",
    [kind for kind in TerminationClass if not kind.is_in_time and not kind.is_cut and kind != "no-handler"],
)
def test_a_termination_that_teaches_nothing_is_not_remembered(kind):
    assert with_pod(Memory(), KEY, Termination(kind, 10, 30), NOON) == Memory()


def test_what_supervise_saw_is_remembered():
    termination = Termination(TerminationClass.CUT, 30, 30, nobody_caught=True)
    assert with_pod(Memory(), KEY, termination, NOON).samples_of(*KEY)[0].lesson is Lesson.IGNORED


def test_another_namespace_that_uses_the_same_name_changes_nothing():
    memory = with_pod(Memory(), KEY, stop(300, 600), NOON)
    for day in range(20):
        memory = with_pod(memory, ("attacker", KEY[1]), stop(3), NOON + day * DAY)
    assert memory.samples_of(*KEY) == (Sample(NOON, 300, 600, Lesson.STOPPED),)


def test_runs_of_more_than_30_days_ago_are_forgotten():
    memory = with_pod(Memory(), KEY, stop(), NOON)
    memory = with_pod(memory, KEY, stop(50), NOON + 20 * DAY)
    memory = with_pod(memory, ("ml", "old"), stop(), NOON)
    later = without_old(memory, NOON + 31 * DAY)
    assert [sample.seconds for sample in later.samples_of(*KEY)] == [50]
    assert later.entries.keys() == {KEY}


def test_a_workload_is_forgotten_on_demand():
    memory = with_pod(with_pod(Memory(), KEY, stop(), NOON), ("ml", "other"), stop(), NOON)
    assert forgetting(memory, KEY).entries.keys() == {("ml", "other")}


def test_a_full_memory_keeps_within_its_bytes_and_loses_the_oldest_of_the_largest_namespace():
    # given
    memory = filled(namespaces=30, workloads=60)
    victim, newest = ("victim", "w"), ("n0".ljust(63, "x"), "newest")
    memory = with_pod(memory, victim, stop(300), NOON - 10 * DAY)
    memory = with_pod(memory, newest, stop(20), NOON + 100 * DAY)
    # when
    text = text_of(memory)
    read = memory_in(text)
    # then
    assert len(text.encode()) <= MOST_BYTES
    assert len(read.entries) > 1000
    assert read.samples_of(*victim) == memory.samples_of(*victim)
    assert read.samples_of(*newest) == memory.samples_of(*newest)
    counts = [sum(key[0] == name for key in read.entries) for name in {key[0] for key in read.entries} - {"victim"}]
    assert max(counts) - min(counts) <= 1


def test_a_memory_for_which_there_is_no_room_is_empty():
    assert memory_in(text_of(filled(1, 3), most_bytes=50)) == Memory()


@pytest.mark.parametrize(
    "text",
    [
        None,
        5,
        "",
        "not json",
        "[]",
        "{}",
        "null",
        '{"version": 2, "workloads": []}',
        '{"version": 1, "workloads": {}}',
        "[" * 100_000,
        "x" * (3 * MOST_BYTES),
    ],
    ids=range(11),
)
def test_a_text_that_is_no_memory_teaches_nothing(text):
    assert memory_in(text) == Memory()


GOOD = {"namespace": "ml", "workload": "w", "samples": [[NOON, 40, 60, "stopped"]]}


@pytest.mark.parametrize(
    "change",
    [
        {"namespace": None},
        {"namespace": ""},
        {"workload": 5},
        {"workload": "x" * 300},
        {"samples": None},
        {"samples": []},
        {"samples": {}},
        {"samples": [[NOON, 40, 60]]},
        {"samples": ["stopped"]},
        {"samples": [[NOON, -1, 60, "stopped"]]},
        {"samples": [[NOON, 1e9, 60, "stopped"]]},
        {"samples": [[NOON, True, 60, "stopped"]]},
        {"samples": [[NOON, 2**60, 60, "stopped"]]},
        {"samples": [[NOON, 40, 60, "slow"]]},
        {"samples": [[NOON, 40, 60, ["stopped"]]]},
        {"samples": [[NOON, 40, 60, "stopped"], None]},
    ],
    ids=str,
)
def test_an_entry_that_cannot_be_read_is_left_out_and_the_others_stay(change):
    other = {**GOOD, "workload": "other"}
    text = json.dumps({"version": 1, "workloads": [{**GOOD, **change}, "nonsense", other]})
    assert memory_in(text).entries.keys() == {("ml", "other")}


def test_samples_out_of_order_and_beyond_five_are_put_in_order():
    samples = [[NOON + day * DAY, 10 + day, 60, "stopped"] for day in range(8)]
    random.Random(1).shuffle(samples)
    text = json.dumps({"version": 1, "workloads": [{**GOOD, "samples": samples, "owner": 5}]})
    memory = memory_in(text)
    assert [sample.seconds for sample in memory.samples_of("ml", "w")] == [13, 14, 15, 16, 17]
    assert memory.entries["ml", "w"].owner == ""
