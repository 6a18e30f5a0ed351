"""What the server tells pods of earlier runs: one answer for the pods of one owner, whatever ends while they are created."""

import pytest

from tests import fake_api
from tests.policy_calls import look_at
from tests.test_cluster import QUICK, eventually, started, watching
from webhook import log
from webhook.api import Api
from webhook.cluster.earlier_runs import _MOST_GANGS, EarlierRuns, GangAnswers
from webhook.policy.configuration import Config, Observer
from webhook.policy.facts import Lookups
from webhook.policy.observed.memory import DATA_KEY, Entry, Lesson, Memory, Sample, text_of

MEMORY = "/api/v1/namespaces/gk/configmaps/gk-terminations"
NAMES = ("exact", "coarse")
CUT, STOPPED = (Sample(1, 30, 30, Lesson.CUT),), (Sample(2, 40, 600, Lesson.STOPPED),)
GANG_SECONDS = 600


def lookups(gang="a", names=NAMES):
    return Lookups(workload_names=names, gang=gang, gang_seconds=GANG_SECONDS)


class Clock:
    """Seconds, as a test sets them."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def answers(clock):
    return GangAnswers(clock)


def test_given_pods_of_one_owner_when_a_run_ends_between_them_then_they_get_one_answer(answers, clock):
    first = answers.of("ml", lookups(), (CUT, CUT))
    clock.seconds += GANG_SECONDS - 1
    second = answers.of("ml", lookups(), (STOPPED, STOPPED))
    clock.seconds += GANG_SECONDS - 1
    third = answers.of("ml", lookups(), (STOPPED, STOPPED))
    assert first == second == third == (CUT, CUT)


def test_given_an_owner_whose_pods_ran_long_enough_to_teach_then_its_next_pod_learns(answers, clock):
    answers.of("ml", lookups(), (CUT, CUT))
    clock.seconds += GANG_SECONDS
    assert answers.of("ml", lookups(), (STOPPED, STOPPED)) == (STOPPED, STOPPED)


@pytest.mark.parametrize(
    ("namespace", "other"),
    [("ml", lookups(gang="b")), ("ml", lookups(gang="")), ("ml", lookups(names=("x", "y"))), ("other", lookups())],
)
def test_given_another_owner_no_owner_another_workload_or_another_namespace_then_the_memory_counts(
    answers, namespace, other
):
    answers.of("ml", lookups(), (CUT, CUT))
    assert answers.of(namespace, other, (STOPPED, STOPPED)) == (STOPPED, STOPPED)


def test_given_pods_of_more_owners_than_are_kept_then_the_one_that_came_longest_ago_is_forgotten(answers):
    for number in range(_MOST_GANGS):
        answers.of("ml", lookups(gang=f"gang-{number}"), (CUT, CUT))
    answers.of("ml", lookups(gang="gang-0"), (STOPPED, STOPPED))
    answers.of("ml", lookups(gang="one-more"), (CUT, CUT))
    kept, forgotten = (answers.of("ml", lookups(gang=f"gang-{n}"), (STOPPED, STOPPED)) for n in (0, 1))
    assert (kept, forgotten) == ((CUT, CUT), (STOPPED, STOPPED))


async def test_given_a_memory_that_changes_between_two_pods_of_an_owner_then_both_are_told_the_same():
    def remember(samples):
        memory = Memory({("ml", name): Entry(samples) for name in NAMES})
        server.put(MEMORY, kind="ConfigMap", metadata={"namespace": "gk"}, data={DATA_KEY: text_of(memory)})

    async def told(gang):
        facts = await cluster.facts("ml", lookups(gang), 2.0)
        return facts.exact_runs, facts.coarse_runs

    with fake_api.running() as server, watching(server) as cluster:
        server.serve_collection(MEMORY.rsplit("/", 1)[0])
        remember(CUT)
        earlier = EarlierRuns(Api.from_address(server.address), "gk", "gk-terminations", log.logger(), QUICK)
        cluster.learn_from(earlier)
        started(cluster)
        eventually(lambda: earlier.now().samples_of("ml", "exact") == CUT)
        assert await told("a") == (CUT, CUT)
        remember(STOPPED)
        eventually(lambda: earlier.now().samples_of("ml", "exact") == STOPPED)
        assert (await told("a"), await told("b")) == ((CUT, CUT), (STOPPED, STOPPED))


@pytest.mark.parametrize(
    ("metadata", "gang"),
    [
        ({}, ""),
        ({"ownerReferences": [{"kind": "Job", "name": "j", "uid": "u", "controller": True}]}, "u"),
        ({"ownerReferences": [{"kind": "Job", "name": "j", "uid": "u"}]}, ""),
        (
            {"ownerReferences": [{"kind": "Job", "name": "j", "uid": ["u"] * 999, "controller": True}]},
            str(["u"] * 99)[:253],
        ),
        (
            {
                "ownerReferences": [{"kind": "Job", "name": "j", "uid": "u", "controller": True}],
                "labels": {"jobset.sigs.k8s.io/jobset-uid": "s"},
            },
            "s",
        ),
    ],
)
def test_the_pods_of_a_job_set_or_of_a_controller_are_one_gang_for_as_long_as_a_run_needs_to_teach(metadata, gang):
    labels = {"training.kubeflow.org/job-name": "j", **metadata.get("labels", {})}
    pod = {"metadata": {**metadata, "labels": labels}, "spec": {"containers": [{"name": "trainer", "image": "x"}]}}
    look = look_at(pod, Config(observer=Observer(enabled=True, minimum_run_seconds=GANG_SECONDS)))
    assert (look.lookups.gang, look.lookups.gang_seconds) == (gang, GANG_SECONDS)
