"""The table of docs/learning.md is what the policy decides now, and its counts are those of the pods that they name."""

import pytest

from tests import learning_share
from tests.learning_share import NOTHING, Share, page, pods_of_files, share_of

LABELS = {"training.kubeflow.org/job-name": "j"}


def a_pod(*, labels=LABELS, env=(), grace=30):
    variables = [{"name": name, "value": "/ckpt"} for name in env]
    container = {"name": "t", "image": "train:1", "command": ["python", "train.py"], "env": variables}
    return {
        "metadata": {"name": "a", "labels": dict(labels)},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": grace},
    }


def test_the_table_of_the_page_is_up_to_date():
    text = learning_share.PAGE.read_text(encoding="utf-8")
    assert page(text) == text, "run python -m tests.learning_share"


@pytest.mark.parametrize(
    ("pod", "share"),
    [
        (a_pod(), Share(1, 0, 0, (0, 1, 1))),
        (a_pod(env=["CHECKPOINT_DIR"]), Share(1, 1, 1, (1, 1, 1))),
        (a_pod(env=["CKPT_SAVE_DIR"]), Share(1, 1, 0, (1, 1, 1))),
        (a_pod(grace=200), Share(1, 0, 0, (1, 1, 1))),
        (a_pod(labels={}), NOTHING),
    ],
)
def test_a_pod_counts_where_it_is_recognised_by_its_graces(pod, share):
    assert share_of([(pod, pod), (pod, pod)]) == share + share


def test_given_another_workload_as_the_next_run_then_nothing_is_learned_from_the_first():
    other = a_pod()
    other["spec"]["containers"][0]["image"] = "other:1"
    assert share_of([(a_pod(), other)]).fits == (0, 0, 1)


def test_the_pods_of_a_file_come_with_those_of_the_same_file_under_another_name(tmp_path):
    (tmp_path / "job.yaml").write_text(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {name: train}\nspec: {template: {spec: {containers: [{name: t}]}}}\n"
    )
    (tmp_path / "chart.yaml").write_text("{{ if .Values.x }}\nkind: Pod\n{{ end }}")
    ((one, other),) = pods_of_files(tmp_path)
    owners = [pod["metadata"]["ownerReferences"][0]["name"] for pod in (one, other)]
    assert owners == ["train", "train-x7f2k"]


def test_a_page_without_a_table_is_refused():
    with pytest.raises(ValueError, match="has no table"):
        page("# Learning\n")
