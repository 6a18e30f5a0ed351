"""Who writes: the framework's numbers, an Indexed Job's, and the MLPerf rows of the table of checkpoint sizes as worked examples."""

import csv
import re
from pathlib import Path
from typing import Any

import pytest

from tests.policy_calls import decide_pod, lookups_of, statements_of
from webhook.policy.checkpoint import writers
from webhook.policy.checkpoint.estimate import most_bytes
from webhook.policy.checkpoint.size import Amount
from webhook.policy.configuration import Config, UnknownSize
from webhook.policy.facts import Facts
from webhook.policy.pod import read_pod

GIB = 2**30
ROWS = {
    row["id"]: row
    for row in csv.DictReader((Path(__file__).parent / "tables" / "checkpoint_sizes.csv").read_text().splitlines())
}
WHOLE_JOBS = ["mlperf-llama3-8b", "mlperf-llama3-70b", "mlperf-llama3-405b", "mlperf-llama3-1t"]
GPUS_PER_POD = 8
IN_DOUBT = "WORLD_SIZE / 8 accelerators of each pod, if it counts processes"


def a_pod(variables=None, *, gpus=0, labels=None, annotations=None, **spec):
    environment = [{"name": name, "value": value} for name, value in (variables or {}).items()]
    trainer: dict[str, Any] = {"name": "trainer", "env": environment}
    if gpus:
        trainer["resources"] = {"limits": {"nvidia.com/gpu": str(gpus)}}
    return {
        "metadata": {"labels": labels or {}, "annotations": annotations or {}},
        "spec": {"containers": [trainer], **spec},
    }


def an_osmo_task(**annotations):
    """Its grace is split by what it writes, also where the grace is stated."""
    labels = {"osmo.task_uuid": "t", "osmo.workflow_uuid": "w"}
    uploader = {"name": "osmo-ctrl", "command": ["/osmo/bin/osmo_ctrl"]}
    pod = a_pod(labels=labels, **annotations)
    pod["spec"]["containers"].append(uploader)
    return pod


def share(pod, checkpoint_bytes, job=None):
    return writers.share_of_job(read_pod(pod), statements_of(pod), Amount(checkpoint_bytes, "the table"), job)


def indexed(completions, parallelism, mode="Indexed"):
    return {"spec": {"completions": completions, "parallelism": parallelism, "completionMode": mode}}


def numbered(pod, owner="Job", version="batch/v1", *, controller=True, name: object = "train"):
    """The pod as an Indexed Job makes it."""
    metadata = pod["metadata"]
    index = {"batch.kubernetes.io/job-completion-index": "3"}
    owners = [{"apiVersion": version, "kind": owner, "name": name, "controller": controller}]
    return {**pod, "metadata": {**metadata, "annotations": metadata["annotations"] | index, "ownerReferences": owners}}


@pytest.mark.parametrize(
    ("pod", "pods", "source"),
    [
        (a_pod({"PET_NNODES": "8", "WORLD_SIZE": "64"}), (8, 8), "PET_NNODES"),
        (a_pod({"PET_NNODES": "2:8"}), (2, 8), "PET_NNODES"),
        (a_pod({"WORLD_SIZE": "64", "LOCAL_WORLD_SIZE": "4"}, gpus=8), (16, 16), "WORLD_SIZE / 4 of each pod"),
        (a_pod({"WORLD_SIZE": "64", "PET_NPROC_PER_NODE": "8"}), (8, 8), "WORLD_SIZE / 8 of each pod"),
        (a_pod({"WORLD_SIZE": "64", "PET_NPROC_PER_NODE": "auto"}, gpus=8), (8, 64), IN_DOUBT),
        (
            a_pod({"WORLD_SIZE": "64"}, gpus=8, labels={"jobset.sigs.k8s.io/replicatedjob-replicas": "2"}),
            (8, 64),
            IN_DOUBT,
        ),
        (
            a_pod({"WORLD_SIZE": "64"}, gpus=8, annotations={"leaderworkerset.sigs.k8s.io/size": "8"}),
            (8, 8),
            "size of the LeaderWorkerSet's group",
        ),
        (a_pod({"WORLD_SIZE": "4"}), (1, 4), "WORLD_SIZE"),
        (a_pod({"WORLD_SIZE": "3"}, gpus=8), (1, 3), "WORLD_SIZE"),
        (a_pod({"WORLD_SIZE": "16"}, gpus=8, labels={"volcano.sh/job-name": "j"}), (16, 16), "WORLD_SIZE"),
        (a_pod({"WORLD_SIZE": "16"}, gpus=8, labels={"training.kubeflow.org/job-name": "j"}), (16, 16), "WORLD_SIZE"),
        (
            a_pod(annotations={"leaderworkerset.sigs.k8s.io/size": "4"}),
            (4, 4),
            "size of the LeaderWorkerSet's group",
        ),
        (
            a_pod(labels={"jobset.sigs.k8s.io/replicatedjob-replicas": "6"}),
            (6, 6),
            "replicas of the JobSet's replicated job",
        ),
        (
            {"metadata": {"annotations": {"jobset.sigs.k8s.io/replicatedjob-replicas": "6"}}},
            (6, 6),
            "replicas of the JobSet's replicated job",
        ),
    ],
)
def test_the_number_of_pods_is_read_where_the_framework_wrote_it(pod, pods, source):
    number_of_pods = writers.pods_of_job(read_pod(pod), None)
    assert number_of_pods is not None
    assert ((number_of_pods.fewest, number_of_pods.most), number_of_pods.source) == (pods, source)


@pytest.mark.parametrize(
    "variables",
    [{}, {"PET_NNODES": "auto"}, {"PET_NNODES": "1:x"}, {"PET_NNODES": "0"}, {"WORLD_SIZE": "$(N)"}, {"RANK": "0"}],
)
def test_what_is_no_number_of_pods_tells_none(variables):
    assert writers.pods_of_job(read_pod(a_pod(variables)), None) is None


OF_TWO_JOBS = {"jobset.sigs.k8s.io/replicatedjob-replicas": "2"}


@pytest.mark.parametrize(
    ("pod", "job", "pods", "source"),
    [
        (a_pod(), indexed(8, 8), 8, "pods of the Indexed Job"),
        (a_pod(), indexed(64, 4), 4, "pods of the Indexed Job"),
        (a_pod(), indexed(4, 8), 4, "pods of the Indexed Job"),
        (a_pod(labels=OF_TWO_JOBS), indexed(4, 4), 8, "2 Jobs of the JobSet's replicated job x 4 pods of each"),
        (a_pod({"WORLD_SIZE": "4"}, gpus=8), indexed(4, 4), 4, "pods of the Indexed Job"),
        (a_pod({"PET_NNODES": "2"}), indexed(4, 4), 2, "PET_NNODES"),
        (a_pod({"WORLD_SIZE": "16"}, gpus=8), indexed(16, 16), 16, "pods of the Indexed Job"),
        (a_pod({"WORLD_SIZE": "128"}, gpus=8), indexed(16, 16), 16, "pods of the Indexed Job"),
        (a_pod({"WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4"}), indexed(4, 4), 2, "WORLD_SIZE / 4 of each pod"),
    ],
)
def test_an_indexed_job_tells_how_many_pods_write_at_once_where_no_framework_does(pod, job, pods, source):
    assert writers.pods_of_job(read_pod(numbered(pod)), job) == writers.JobPods(pods, pods, source)


@pytest.mark.parametrize("job", [None, {}, indexed(8, 8, "NonIndexed"), indexed(8, 0), indexed(None, 8)])
def test_what_is_no_running_indexed_job_tells_no_number(job):
    assert writers.pods_of_job(read_pod(numbered(a_pod())), job) is None


SHARDED = {"gracekeeper.dev/checkpoint-writers": "all"}
SIZED = {"gracekeeper.dev/checkpoint-size": "1Ti"}
OF_PARAMETERS = {"gracekeeper.dev/model-parameters": "70B"}
STATED = {"gracekeeper.dev/grace-seconds": "900"}
EVIDENCE, ESTIMATE = UnknownSize.EVIDENCE, UnknownSize.ESTIMATE


@pytest.mark.parametrize(
    ("pod", "unknown_size", "job"),
    [
        (numbered(a_pod(annotations=SHARDED | SIZED)), EVIDENCE, "train"),
        (numbered(a_pod(annotations=SHARDED | OF_PARAMETERS)), ESTIMATE, "train"),
        (numbered(a_pod(gpus=8)), ESTIMATE, "train"),
        (numbered(a_pod(gpus=8, annotations=SHARDED)), ESTIMATE, "train"),
        (numbered(a_pod({"WORLD_SIZE": "4"}, gpus=8)), ESTIMATE, "train"),
        (numbered(a_pod({"WORLD_SIZE": "64"}, gpus=8)), ESTIMATE, "train"),
        (numbered(a_pod(gpus=8, labels=OF_TWO_JOBS)), ESTIMATE, "train"),
        (numbered(a_pod(gpus=8)), EVIDENCE, None),
        (numbered(a_pod()), ESTIMATE, None),
        (numbered(a_pod(gpus=8, annotations=SHARDED)), EVIDENCE, None),
        (numbered(a_pod(gpus=8, annotations=SIZED)), ESTIMATE, None),
        (numbered(a_pod(gpus=8, annotations=STATED)), ESTIMATE, None),
        (numbered(a_pod(gpus=8, annotations=SHARDED | SIZED | STATED)), EVIDENCE, None),
        (numbered(an_osmo_task(annotations=SHARDED | SIZED | STATED)), EVIDENCE, "train"),
        (numbered(a_pod(gpus=8, annotations={"gracekeeper.dev/checkpoint-writers": "4"})), ESTIMATE, None),
        (numbered(a_pod({"PET_NNODES": "2"}, annotations=SHARDED | SIZED)), EVIDENCE, None),
        (numbered(a_pod({"WORLD_SIZE": "64", "LOCAL_WORLD_SIZE": "8"}, gpus=8)), ESTIMATE, None),
        (numbered(a_pod(annotations=SHARDED | SIZED), version="batch.volcano.sh/v1alpha1"), EVIDENCE, None),
        (numbered(a_pod(annotations=SHARDED | SIZED), owner="CronJob"), EVIDENCE, None),
        (numbered(a_pod(annotations=SHARDED | SIZED), controller=False), EVIDENCE, None),
        (a_pod(annotations=SHARDED | SIZED), EVIDENCE, None),
        (numbered(a_pod(annotations=SHARDED | SIZED), name=5), EVIDENCE, None),
    ],
)
def test_the_job_is_asked_for_only_where_its_number_can_count(pod, unknown_size, job):
    assert lookups_of(pod, unknown_size).job == job


@pytest.mark.parametrize(
    ("pod", "unknown_size", "nodes_looked_up"),
    [
        (a_pod(gpus=8), ESTIMATE, True),
        (a_pod(gpus=8, nodeSelector={"nvidia.com/gpu.product": "A-New-One"}), ESTIMATE, True),
        (a_pod(gpus=8, nodeSelector={"nvidia.com/gpu.product": "NVIDIA-H200"}), ESTIMATE, False),
        (a_pod(gpus=8, nodeSelector={"nvidia.com/gpu.memory": "81559"}), ESTIMATE, False),
        (a_pod(gpus=8), EVIDENCE, False),
        (a_pod(gpus=8, annotations=SIZED), ESTIMATE, False),
        (a_pod(gpus=8, annotations=STATED), ESTIMATE, False),
        (a_pod(), ESTIMATE, False),
        ({"spec": {"containers": [{"resources": {"limits": {"amd.com/gpu": "8"}}}]}}, ESTIMATE, False),
    ],
)
def test_the_nodes_are_asked_where_nothing_else_tells_the_memory_of_an_estimate(pod, unknown_size, nodes_looked_up):
    assert lookups_of(pod, unknown_size).nodes is nodes_looked_up


def test_a_job_smaller_than_the_world_is_a_part_of_it_as_a_jobset_s_leader_is():
    pod = numbered(a_pod({"WORLD_SIZE": "128"}, gpus=8))
    assert writers.pods_of_job(read_pod(pod), indexed(1, 1)) == writers.JobPods(16, 128, IN_DOUBT)


def test_a_share_and_an_estimate_are_divided_by_the_indexed_job_s_pods():
    pod = numbered(a_pod(annotations=SHARDED))
    statements = statements_of(pod)
    assert share(pod, GIB, indexed(8, 8)).own_bytes == GIB / 8
    together = writers.own_share(read_pod(pod), statements, Amount(GIB, "an estimate"), indexed(8, 8)).together
    assert together == Amount(8, "pods of the Indexed Job")


@pytest.mark.parametrize("name", WHOLE_JOBS)
def test_without_a_word_every_pod_is_given_time_for_the_whole_checkpoint(name):
    row = ROWS[name]
    pod = a_pod({"PET_NNODES": str(int(row["ranks"]) // GPUS_PER_POD)}, gpus=GPUS_PER_POD)
    assert share(pod, float(row["checkpoint_bytes"])).own_bytes == float(row["checkpoint_bytes"])


@pytest.mark.parametrize(("name", "gib_per_rank"), [("mlperf-llama3-8b", 13.125), ("mlperf-llama3-70b", 14.23)])
def test_said_to_be_sharded_the_share_is_what_the_pod_s_ranks_write(name, gib_per_rank):
    row = ROWS[name]
    assert str(gib_per_rank) in row["per_rank_or_note"]
    pod = a_pod(
        {"WORLD_SIZE": row["ranks"]},
        gpus=GPUS_PER_POD,
        annotations={"gracekeeper.dev/checkpoint-writers": "all"},
    )
    share_of_pod = share(pod, float(row["checkpoint_bytes"]))
    assert share_of_pod.own_bytes / GIB == pytest.approx(GPUS_PER_POD * gib_per_rank, rel=1e-3)


@pytest.mark.parametrize("name", ["mlperf-llama3-405b", "mlperf-llama3-1t"])
def test_with_zero_stage_1_an_even_share_would_lose_the_first_pod_s_checkpoint(name):
    """Its rank 0 writes the model beside its shard: why the framework's number alone divides nothing."""
    row = ROWS[name]
    model, shard = map(float, re.findall(r"rank0 = (\d+)\+([\d.]+) GiB", row["per_rank_or_note"])[0])
    first_pod_gib = model + GPUS_PER_POD * shard
    whole = float(row["checkpoint_bytes"])
    even_gib = whole / (int(row["ranks"]) / GPUS_PER_POD) / GIB
    assert first_pod_gib > 9 * even_gib
    undivided = share(a_pod({"PET_NNODES": str(int(row["ranks"]) // GPUS_PER_POD)}), whole)
    assert undivided.own_bytes / GIB > first_pod_gib


@pytest.mark.parametrize("name", ["mlperf-llama3-70b", "mlperf-405b-subset-1host"])
def test_what_a_pod_of_eight_h100_writes_is_below_its_estimate(name):
    row = ROWS[name]
    hosts = int(row["ranks"]) // GPUS_PER_POD
    pod = a_pod(gpus=GPUS_PER_POD, nodeSelector={"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"})
    most = most_bytes(read_pod(pod), Facts())
    assert most is not None
    assert float(row["checkpoint_bytes"]) / hosts < most.value


@pytest.mark.parametrize("name", WHOLE_JOBS)
def test_on_a_shared_volume_the_whole_at_full_speed_takes_as_long_as_a_share_at_its_share(name):
    row = ROWS[name]
    claim = {
        "metadata": {"name": "c", "annotations": {"gracekeeper.dev/write-throughput": "50GiB/s"}},
        "spec": {"accessModes": ["ReadWriteMany"]},
    }
    volume = {"name": "v", "persistentVolumeClaim": {"claimName": "c"}}
    graces = set()
    for annotations in ({}, {"gracekeeper.dev/checkpoint-writers": "all"}):
        size = {"gracekeeper.dev/checkpoint-size": row["checkpoint_bytes"]}
        nodes = {"PET_NNODES": str(int(row["ranks"]) // GPUS_PER_POD)}
        pod = a_pod(nodes, annotations={**size, **annotations}, volumes=[volume])
        graces.add(decide_pod(pod, Facts(claims={"c": claim}), Config(), "n").grace_seconds)
    assert len(graces) == 1


@pytest.mark.parametrize(
    ("annotations", "pods"),
    [({"gracekeeper.dev/checkpoint-writers": "4"}, 4), ({"gracekeeper.dev/checkpoint-writers": "all"}, 8), ({}, 8)],
)
def test_an_estimate_is_the_pod_s_own_and_only_shared_speed_is_divided(annotations, pods):
    pod = a_pod({"PET_NNODES": "2:8"}, annotations=annotations)
    share_of_pod = writers.own_share(read_pod(pod), statements_of(pod), Amount(GIB, "an estimate"), None)
    assert share_of_pod.own_bytes == GIB
    assert share_of_pod.divided_by is None
    assert share_of_pod.together is not None
    assert share_of_pod.together.value == pods


@pytest.mark.parametrize(
    ("job", "divided_by", "together"), [(None, 2, 16), (indexed(16, 16), 16, 16), (indexed(2, 2), 2, 2)]
)
def test_a_world_of_processes_or_of_pods_never_shortens_a_grace_and_the_job_says_which(job, divided_by, together):
    pod = numbered(a_pod({"WORLD_SIZE": "16"}, gpus=8, annotations=SHARDED))
    assert share(pod, GIB, job).own_bytes == GIB / divided_by
    share_of_pod = writers.own_share(read_pod(pod), statements_of(pod), Amount(GIB, "an estimate"), job)
    assert share_of_pod.together is not None
    assert share_of_pod.together.value == together


def test_a_world_as_large_as_one_pod_s_accelerators_may_be_one_pod_and_is_not_divided():
    share_of_pod = share(a_pod({"WORLD_SIZE": "8"}, gpus=8, annotations=SHARDED), GIB)
    assert (share_of_pod.divided_by, share_of_pod.own_bytes) == (None, GIB)
    assert share_of_pod.notes


@pytest.mark.parametrize(
    ("variables", "divided_by"),
    [
        ({"PET_NNODES": "2:8"}, 2),
        ({"PET_NNODES": "1"}, 1),
        ({"PET_NNODES": "1:8"}, None),
        ({"WORLD_SIZE": "8"}, None),
        ({"WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "8"}, 1),
        ({}, None),
    ],
)
def test_all_pods_divide_by_the_fewest_that_there_can_be_and_not_at_all_where_that_may_be_one(variables, divided_by):
    share_of_pod = share(a_pod(variables, annotations={"gracekeeper.dev/checkpoint-writers": "all"}), GIB)
    assert (share_of_pod.divided_by and share_of_pod.divided_by.value) == divided_by
    assert share_of_pod.together == share_of_pod.divided_by
    assert share_of_pod.own_bytes == GIB / (divided_by or 1)
    assert bool(share_of_pod.notes) is (divided_by is None)
