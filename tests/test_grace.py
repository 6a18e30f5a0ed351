"""The sum and its bounds where a golden case would say little: examples from the field, and every number bounded."""

import csv
from pathlib import Path

import pytest

from tests.policy_calls import decide_pod
from webhook.policy.checkpoint.size import Amount
from webhook.policy.checkpoint.writers import Share
from webhook.policy.configuration import Config, Defaults, Mode, Observer
from webhook.policy.facts import Facts
from webhook.policy.patch import DoubtfulPatchError, operations
from webhook.policy.pod import read_pod
from webhook.policy.shutdown.grace import Write, computed
from webhook.policy.statements.statements import Statements
from webhook.policy.storage.throughput import Throughput

EXAMPLES = list(csv.DictReader((Path(__file__).parent / "tables" / "grace_examples.csv").read_text().splitlines()))


def a_pod(**spec):
    return {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "x"}], **spec}}


@pytest.mark.parametrize("example", EXAMPLES, ids=[example["case"] for example in EXAMPLES])
def test_the_write_term_agrees_with_the_table_of_examples(example):
    only_write = Defaults(step_seconds=0, safety=1, margin_seconds=0)
    share = Share(Amount(float(example["bytes"]), "the table"), float(example["bytes"]))
    speed = Throughput(float(example["bytes_per_second"]), "the table")
    need = computed(read_pod(a_pod()), Statements(), Write(share, speed), only_write)
    write = next(term for term in need.terms if term.name == "write")
    assert float(write.value.removesuffix(" s")) == pytest.approx(float(example["raw_seconds"]), rel=1e-3)
    assert need.seconds == int(example["ceil"])


def test_a_grace_that_was_lowered_by_somebody_else_is_never_sent():
    pod = a_pod(terminationGracePeriodSeconds=30)
    pod["metadata"]["annotations"] = {"gracekeeper.dev/grace-seconds": "900"}
    decision = decide_pod(pod, Facts(), Config(), "n")
    with pytest.raises(DoubtfulPatchError, match="out of range"):
        operations(a_pod(terminationGracePeriodSeconds=1000), decision)


@pytest.mark.parametrize(("left_bytes", "is_told"), [(400, True), (60, False), (-60, False)])
def test_where_the_pods_annotations_leave_no_room_it_gets_its_grace_without_a_word(left_bytes, is_told):
    pod = a_pod()
    own = {"gracekeeper.dev/grace-seconds": "900", "gracekeeper.dev/decision": "copied"}
    pod["metadata"]["annotations"] = {**own, "big": "x" * (256 * 1024 - 60 - left_bytes)}
    patch = operations(pod, decide_pod(pod, Facts(), Config(observer=Observer(enabled=False)), "n"))
    assert [operation["path"].rpartition("/")[2] for operation in patch] == [
        "terminationGracePeriodSeconds",
        *(["gracekeeper.dev~1decision"] if is_told else []),
    ]


def test_a_pod_without_a_spec_is_left_alone():
    pod = {"metadata": {"annotations": {"gracekeeper.dev/grace-seconds": "900"}}}
    decision = decide_pod(pod, Facts(), Config(), "n")
    with pytest.raises(DoubtfulPatchError, match="no spec"):
        operations(pod, decision)


def test_a_pod_whose_containers_are_missing_still_gets_an_answer():
    pod = {"metadata": {"annotations": {"gracekeeper.dev/checkpoint-size": "9.2GB"}}, "spec": {}}
    decision = decide_pod(pod, Facts(), Config(), "n")
    assert decision.trainer is None
    assert decision.grace_seconds == 251


def test_audit_mode_sends_no_operation_whatever_was_decided():
    pod = a_pod()
    pod["metadata"]["annotations"] = {"gracekeeper.dev/grace-seconds": "900"}
    assert operations(pod, decide_pod(pod, Facts(), Config(mode=Mode.AUDIT), "n")) == []
