"""GK309: pods in, findings out."""

import pytest

from tests.doctor.objects import findings_of, losses, trainer
from webhook.policy.configuration import Config, Supervise


def started_by(*command, name="a", grace=782):
    container = {"name": "pytorch", "image": "a", "command": list(command)}
    return trainer(name, grace=grace, spec={"containers": [container]})


def test_a_shell_as_pid_1_loses_all_of_the_grace():
    shell = ("bash", "-c", "python train.py; echo done")
    [finding] = findings_of("GK309", started_by(*shell), started_by(*shell, name="b", grace=100))
    assert (finding.severity, losses(finding)) == ("warning", {"a": 782, "b": 100})
    assert finding.sentence == (
        "In namespace ml, PID 1 of container pytorch is a shell, which drops SIGTERM. "
        "Nothing is saved on SIGTERM, however long the grace."
    )
    assert finding.cure.command == "kubectl annotate namespace ml gracekeeper.dev/forward-sigterm=true"
    assert finding.evidence[0].value == "bash -c python train.py; echo done"


def test_a_pod_that_would_be_wrapped_today_has_to_be_created_anew():
    # given a namespace whose annotation came after the pod
    namespace = {
        "kind": "Namespace",
        "metadata": {"name": "ml", "annotations": {"gracekeeper.dev/forward-sigterm": "true"}},
    }
    supervise = Config(supervise=Supervise(image="supervise:1"))
    [finding] = findings_of(
        "GK309", namespace, started_by("bash", "-c", "python train.py; echo done"), config=supervise
    )
    assert finding.cure.command == "kubectl delete pod -n ml a"
    assert "Wait for their next checkpoint" in finding.cure.note


@pytest.mark.parametrize(
    ("command", "word"),
    [
        (("deepspeed", "train.py"), "deepspeed of container pytorch tells no rank"),
        (("mpirun", "-np", "2", "python", "train.py"), "mpirun of container pytorch kills its ranks 0.5 s"),
        (("conda", "run", "-n", "x", "python", "train.py"), "conda run of container pytorch hands SIGTERM to nobody"),
    ],
)
def test_launchers_and_relays_lose_it_as_well(command, word):
    [finding] = findings_of("GK309", started_by(*command))
    assert word in finding.sentence
    assert losses(finding) == {"a": 782}


@pytest.mark.parametrize(
    ("command", "cure"),
    [
        (("ray", "start", "--block"), "Save at intervals, or drain in a preStop hook."),
        (
            ("python", "train.py", "--save_strategy=steps", "--per_device_train_batch_size=8"),
            "Add --enable_jit_checkpoint.",
        ),
    ],
)
def test_what_supervise_cannot_cure_is_told_in_words(command, cure):
    assert cure in [each.cure.command for each in findings_of("GK309", started_by(*command))]


def test_a_trap_may_save():
    [finding] = findings_of(
        "GK309", started_by("bash", "-c", "trap 'kill -TERM $P' TERM; python train.py & P=$!; wait")
    )
    assert (finding.severity, finding.losses, finding.pods) == ("info", (), ("ml/a",))


@pytest.mark.parametrize(
    "pod",
    [
        started_by("python", "train.py"),
        started_by("bash", "-c", "exec python train.py"),
        started_by("torchrun", "train.py"),  # a clock, not a lost signal
        started_by("bash", "-c", "python train.py; echo done", grace=30),  # nobody wants more
    ],
    ids=["python", "exec", "torchrun", "30 s"],
)
def test_what_gets_the_signal_is_no_finding(pod):
    assert findings_of("GK309", pod) == []
