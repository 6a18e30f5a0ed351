"""What is remembered of the API server's answers, and who loses what when the memory is full."""

from webhook.cluster.answers import Answer, Answers
from webhook.policy.facts import MissingReason

OBJECT = Answer({"spec": {"volumeName": "pv-1"}})


def numbers_in(answers: Answers, namespace: str, number: int) -> list[int]:
    return [each for each in range(number) if answers.fresh(namespace, f"/{each}") is not None]


def test_a_namespace_with_answers_without_end_loses_its_oldest_and_others_lose_none():
    answers = Answers(longest_seconds=60, most_bytes=100_000)
    for number in range(20):
        answers.keep("team-b", f"/{number}", OBJECT, 60)
    for number in range(10_000):
        answers.keep("team-a", f"/{number}", OBJECT, 60)
    assert numbers_in(answers, "team-b", 20) == list(range(20))
    of_team_a = numbers_in(answers, "team-a", 10_000)
    assert of_team_a == list(range(10_000 - len(of_team_a), 10_000))
    assert 100 < len(of_team_a) < 200


def test_large_objects_leave_sooner_than_small_ones():
    answers = Answers(longest_seconds=60, most_bytes=100_000)
    large = Answer({"metadata": {"annotations": {"gracekeeper.dev/x": "x" * 30_000}}})
    for number in range(10):
        answers.keep("team-a", f"/{number}", large, 60)
    assert numbers_in(answers, "team-a", 10) == [7, 8, 9]


def test_an_object_that_is_larger_than_the_memory_is_not_kept_and_costs_nobody_else_an_answer():
    answers = Answers(longest_seconds=60, most_bytes=100_000)
    answers.keep("team-b", "/0", OBJECT, 60)
    answers.keep("team-a", "/0", Answer({"spec": "x" * 200_000}), 60)
    assert (numbers_in(answers, "team-a", 1), numbers_in(answers, "team-b", 1)) == ([], [0])
    answers.keep("team-a", "/0", OBJECT, 60)
    assert numbers_in(answers, "team-a", 1) == [0]


def test_what_one_namespace_was_answered_is_not_known_to_another():
    answers = Answers(longest_seconds=60)
    answers.keep("team-a", "/0", OBJECT, 60)
    assert (answers.fresh("team-b", "/0"), answers.former("team-b", "/0")) == (None, None)


def test_an_answer_replaces_the_one_before():
    answers = Answers(longest_seconds=60, most_bytes=1500)
    for _ in range(100):
        answers.keep("team-a", "/0", OBJECT, 60)
        answers.keep("team-a", "/1", Answer(missing=MissingReason.NOT_FOUND), 60)
    assert numbers_in(answers, "team-a", 2) == [0, 1]
