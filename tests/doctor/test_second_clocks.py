"""GK310: pods in, findings out."""

import pytest

from tests.doctor.objects import findings_of, losses, trainer


def started(image, *command, env=(), grace=782):
    container = {"name": "pytorch", "image": image, "command": list(command), "env": list(env)}
    return trainer(
        "a",
        grace=grace,
        spec={"containers": [container]},
        metadata={"annotations": {"gracekeeper.dev/grace-seconds": str(grace)}},
    )


def test_an_old_torchrun_cuts_the_save_at_30_s():
    [finding] = findings_of("GK310", started("pytorch/pytorch:2.4.0", "torchrun", "train.py"))
    assert (finding.severity, losses(finding)) == ("warning", {"a": 752})
    assert "torch 2.4 of container pytorch kills its workers after 30 s" in finding.sentence
    assert "use 2.12" in finding.cure.note
    assert finding.evidence[0].value == "pytorch/pytorch:2.4.0"


def test_a_new_torchrun_without_its_variable_does_so_too():
    [finding] = findings_of("GK310", started("pytorch/pytorch:2.12.0", "torchrun", "train.py"))
    assert losses(finding) == {"a": 752}
    assert "TORCH_ELASTIC_SHUTDOWN_TIMEOUT is too small, or not set, in 1 pod" in finding.sentence
    assert finding.cure.command == "kubectl delete pod -n ml a"


def test_a_copy_of_the_grace_that_argo_wrote_is_read():
    argo = [{"name": "ARGO_TERMINATION_GRACE_PERIOD_SECONDS", "value": "45"}]
    [finding] = findings_of("GK310", started("a", "python", "train.py", env=argo))
    assert losses(finding) == {"a": 737}
    assert "Argo's executor ends the save after 45 s" in finding.sentence


@pytest.mark.parametrize(
    "pod",
    [
        started("pytorch/pytorch:2.12.0", "python", "train.py"),  # no launcher reads the variable
        started(
            "pytorch/pytorch:2.12.0",
            "torchrun",
            "a.py",
            env=[{"name": "TORCH_ELASTIC_SHUTDOWN_TIMEOUT", "value": "777"}],
        ),
        started("a", "python", "a.py", env=[{"name": "ARGO_TERMINATION_GRACE_PERIOD_SECONDS", "value": "782"}]),
        started("pytorch/pytorch:2.4.0", "torchrun", "train.py", grace=30),
    ],
    ids=["no launcher", "set", "Argo's is right", "30 s"],
)
def test_what_ends_no_save_is_no_finding(pod):
    assert findings_of("GK310", pod) == []
