"""The straight line of a request when something on it is late or broken."""

import asyncio
import time

import pytest

from tests import webhook_server
from tests.webhook_server import TRAINING_POD, Lines, review
from webhook.evaluation import NoFacts
from webhook.policy.configuration import Config, Mode
from webhook.policy.facts import Facts, Lookups, Missing, MissingReason, Namespace
from webhook.server.mutation import deadline_seconds

SECRET = "s3cret"


@pytest.mark.parametrize(
    ("timeout", "seconds"),
    [
        (None, 2),
        ("", 2),
        ("3s", 2),
        ("30s", 2),
        ("2s", 1.6),
        ("1s", 0.8),
        ("1500ms", 1.2),
        ("1.5s", 1.2),
        ("1m0s", 2),
        ("0m1s", 0.8),
        ("500000us", 0.4),
        ("500000µs", 0.4),
        ("100000000ns", 0.08),
        (".5s", 0.4),
        ("1h", 2),
        ("0s", 2),
        ("-1s", 2),
        ("+1s", 2),
        ("1", 2),
        ("s", 2),
        ("1s ", 2),
        ("1 s", 2),
        ("1sx", 2),
        ("nan", 2),
        ("infs", 2),
        ("1e-3s", 2),
        ("\u0661s", 2),
        ("9" * 31 + "s", 2),
        ("1s" * 20, 2),
    ],
)
def test_the_deadline_is_a_share_of_what_the_caller_says_and_never_more_than_the_longest(timeout, seconds):
    assert deadline_seconds(timeout, 2) == pytest.approx(seconds)


class Slow(NoFacts):
    async def namespace(self, _name, _seconds):
        await asyncio.sleep(60)


class Broken(NoFacts):
    async def namespace(self, _name, _seconds):
        raise ValueError(f"cannot read {TRAINING_POD}")


class Recorded(NoFacts):
    """Knows nothing, and notes what it is asked for."""

    def __init__(self):
        self.namespaces: list[str] = []
        self.lookups: list[Lookups] = []

    async def namespace(self, name, _seconds):
        self.namespaces.append(name)
        return Namespace(name)

    async def facts(self, _namespace, lookups, _seconds):
        self.lookups.append(lookups)
        return Facts()


def without_decision(patch):
    return [operation for operation in patch if "annotations" not in operation["path"]]


def test_facts_that_do_not_come_are_done_without_and_the_answer_says_so_in_time():
    with webhook_server.running(source=Slow()) as server:
        began = time.monotonic()
        answer = server.post(review(), "/mutate?timeout=500ms")
        assert time.monotonic() - began < 30
        assert without_decision(answer.patch)
        assert "gracekeeper: decided without facts about the cluster: deadline" in answer.response["warnings"]
        assert answer.response["auditAnnotations"]["missing"] == "facts about the cluster: deadline"
        assert server.value("gracekeeper_facts_missing_total", reason="deadline") == 1
        assert server.value("gracekeeper_bugs_total") == 0


def test_the_longest_deadline_holds_where_the_caller_waits_for_longer():
    with webhook_server.running(source=Slow(), deadline_seconds=0.2) as server:
        began = time.monotonic()
        assert server.post(review(), "/mutate?timeout=59s").patch
        assert time.monotonic() - began < 30


def test_the_namespace_that_came_in_time_still_counts():
    allowed_seconds = []

    class Half(NoFacts):
        async def namespace(self, name, seconds):
            allowed_seconds.append(seconds)
            return Namespace(name, {"metadata": {"annotations": {"gracekeeper.dev/maximum-grace-seconds": "100"}}})

        async def facts(self, _namespace, _lookups, seconds):
            allowed_seconds.append(seconds)
            await asyncio.sleep(60)

    with webhook_server.running(source=Half()) as server:
        patch = server.post(review(), "/mutate?timeout=500ms").patch
    assert [each["value"] for each in patch if each["path"].endswith("GracePeriodSeconds")] == [100]
    assert len(allowed_seconds) == 2
    assert all(0 <= seconds <= 0.4 for seconds in allowed_seconds)


def test_of_a_pod_that_is_none_of_ours_only_the_namespace_is_asked_for():
    source = Recorded()
    with webhook_server.running(source=source) as server:
        server.post(review({"metadata": {}, "spec": {"containers": [{"name": "web"}]}}))
        server.post(review(operation="UPDATE"))
    assert (source.namespaces, source.lookups) == (["team-a"], [])


def test_the_job_of_a_pod_is_asked_for_where_its_number_of_pods_counts():
    source = Recorded()
    owners = [{"apiVersion": "batch/v1", "kind": "Job", "name": "train", "controller": True}]
    annotations = {"batch.kubernetes.io/job-completion-index": "0", "gracekeeper.dev/checkpoint-size": "9.2GB"}
    sharded = {**annotations, "gracekeeper.dev/checkpoint-writers": "all"}
    with webhook_server.running(source=source) as server:
        for annotations_of_pod in (annotations, sharded):
            server.post(
                review({"metadata": {"annotations": annotations_of_pod, "ownerReferences": owners}, "spec": {}})
            )
    assert [lookups.job for lookups in source.lookups] == [None, "train"]


def test_what_gathering_could_not_have_is_counted_by_its_reason_and_told():
    facts = Facts(missing=(Missing("PersistentVolume pv-1", MissingReason.FORBIDDEN),))
    with webhook_server.running(facts=facts) as server:
        answer = server.post(review())
        assert answer.response["warnings"] == ["gracekeeper: decided without PersistentVolume pv-1: forbidden"]
        assert server.value("gracekeeper_facts_missing_total", reason="forbidden") == 1


def test_a_bug_in_gathering_lets_the_pod_through_and_is_counted_and_logged_without_the_pod():
    with webhook_server.running(source=Broken()) as server:
        answer = server.post(review())
        assert answer.response == {"uid": review()["request"]["uid"], "allowed": True}
        assert server.value("gracekeeper_bugs_total") == 1
        ((level, event, values),) = [line for line in server.logger.lines if line[0] == "error"]
    assert (level, event) == ("error", "bug")
    assert values["uid"] == review()["request"]["uid"]
    assert values["error"] == "ValueError"
    assert any("namespace" in frame for frame in values["trace"])
    assert SECRET not in str(server.logger.lines)


def test_a_bug_in_deciding_lets_the_pod_through_and_is_counted():
    with webhook_server.running(config=None) as server:
        assert server.post(review()).patch == []
        assert server.value("gracekeeper_bugs_total") == 1
        server.config = Config()
        assert server.post(review()).patch


def test_a_log_that_cannot_be_written_costs_no_pod_its_patch():
    class Full:
        def __getattr__(self, _level):
            return self.fail

        def fail(self, event, **_values):
            if event in {"decision", "bug", "patch withheld"}:
                raise BrokenPipeError

    with webhook_server.running(logger=Full()) as server:
        assert without_decision(server.post(review()).patch)
        server.config = None
        assert server.post(review()).patch == []


def test_a_pod_whose_own_annotations_are_too_large_is_no_doubt_of_ours():
    pod = {"metadata": {"annotations": {**ASKS_FOR_900["annotations"], "a": "b" * 300_000}}, **BARE}
    with webhook_server.running() as server:
        paths = [operation["path"] for operation in server.post(review(pod)).patch]
        assert paths == ["/spec/terminationGracePeriodSeconds", "/metadata/labels"]
        assert server.value("gracekeeper_doubtful_patches_total") == 0


def test_a_patch_in_doubt_is_withheld_counted_and_logged():
    endless = {"preStop": {"sleep": {"seconds": 2**40}}}
    pod = {"metadata": ASKS_FOR_900, "spec": {"containers": [{"name": "a", "lifecycle": endless}]}}
    with webhook_server.running() as server:
        assert server.post(review(pod)).patch == []
        assert server.value("gracekeeper_doubtful_patches_total") == 1
        assert server.value("gracekeeper_bugs_total") == 0
        assert [event for level, event, _ in server.logger.lines if level == "error"] == ["patch withheld"]


def test_in_audit_mode_a_pod_is_decided_and_logged_and_not_patched():
    with webhook_server.running(config=Config(mode=Mode.AUDIT)) as server:
        answer = server.post(review())
        assert answer.patch == []
        assert answer.response["auditAnnotations"]["outcome"] == "audited"
        assert server.value("gracekeeper_decisions_total", outcome="audited", mode="audit") == 1


def test_a_training_pod_is_one_line_at_info_with_no_value_of_its_environment():
    pod = {
        "metadata": {"name": "a", "annotations": {"gracekeeper.dev/checkpoint-size": f"9 {SECRET}"}},
        "spec": {"containers": [{"name": "a", "env": [{"name": "GRACEKEEPER_STEP_SECONDS", "value": SECRET}]}]},
    }
    with webhook_server.running(logger=Lines()) as server:
        server.post(review(pod, dryRun=True))
        server.post(review({"metadata": {}, **BARE}))
        decided = [(level, values) for level, event, values in server.logger.lines if event == "decision"]
    assert [level for level, _ in decided] == ["info", "debug"]
    line = decided[0][1]
    assert (line["pod"], line["namespace"], line["dry_run"]) == ("a", "team-a", True)
    assert line["ignored"] == [
        "pod annotation checkpoint-size",
        "environment variable of container a step-seconds",
    ]
    assert SECRET not in str(server.logger.lines)


ASKS_FOR_900 = {"annotations": {"gracekeeper.dev/grace-seconds": "900"}}
BARE = {"spec": {"containers": [{"name": "a"}]}}


ODD = f"{SECRET} of an owner"
GPU = {"limits": {"nvidia.com/gpu": "1"}}
BY_A_JOB = [{"apiVersion": "batch/v1", "kind": "Job", "name": ODD, "controller": True}]


@pytest.mark.parametrize(
    "pod",
    [
        {"metadata": {"name": ODD, "ownerReferences": BY_A_JOB}, "spec": {"containers": [{"resources": GPU}]}},
        {"metadata": {"generateName": ODD}, "spec": {"containers": [{"name": ODD, "env": [{"name": "RANK"}]}]}},
        {"metadata": {}, "spec": {"containers": [{"name": "a", "env": [{"name": f"PET_{ODD}"}]}]}},
        {"metadata": {"labels": {f"ray.io/{ODD}": ""}}, "spec": {"containers": [{"name": "a"}]}},
        {"metadata": {"labels": {"trainer.kubeflow.org/trainjob-ancestor-step": ODD}}, "spec": {}},
        {"metadata": {"ownerReferences": [{"kind": f"{ODD} Notebook"}]}, "spec": {}},
        {
            "metadata": {},
            "spec": {"containers": [{"name": ODD, "env": [{"name": "GRACEKEEPER_STEP_SECONDS", "value": "x"}]}]},
        },
        {"metadata": {"annotations": {f"gracekeeper.dev/{ODD}": "1"}}, "spec": {"containers": [{"name": "a"}]}},
        {"metadata": {"ownerReferences": [{"apiVersion": "kubeflow.org/v1", "kind": ODD}]}, "spec": {}},
        {
            "metadata": {"ownerReferences": BY_A_JOB},
            "spec": {"containers": [{"resources": {"limits": {f"gpu.intel.com/{ODD}": "1"}}}]},
        },
    ],
)
def test_what_a_pod_s_owner_wrote_in_place_of_a_name_is_neither_logged_nor_told(pod):
    with webhook_server.running() as server:
        answer = server.post(review(pod))
    assert any(event == "decision" for _, event, _ in server.logger.lines)
    assert SECRET not in str(server.logger.lines)
    assert SECRET not in str(answer.response.get("auditAnnotations"))


@pytest.mark.parametrize(
    ("metadata", "shown"),
    [
        ({"name": "train-0"}, "train-0"),
        ({"generateName": "train-"}, "train-*"),
        ({"name": "a b"}, "(no name)"),
        ({}, "*"),
    ],
)
def test_the_log_names_the_pod_where_it_has_a_name(metadata, shown):
    with webhook_server.running() as server:
        server.post(review({"metadata": metadata, "spec": {"containers": [{"name": "a", "env": [{"name": "RANK"}]}]}}))
    assert [values["pod"] for _, event, values in server.logger.lines if event == "decision"] == [shown]
