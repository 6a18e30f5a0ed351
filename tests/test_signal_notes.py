"""What a pod's owner is told of a start that loses SIGTERM, and the line that cures it."""

from dataclasses import replace

import pytest

from tests import golden
from tests.policy_calls import decide_pod
from webhook.policy.configuration import Config, UnknownSize
from webhook.policy.report import warnings

_FORWARD = 'forward-sigterm: "true"'
SHELL = f"PID 1 of container trainer is a shell, which drops SIGTERM: use exec, or set {_FORWARD}"
MAY_BE_A_SHELL = SHELL.replace("is a shell", "may be a shell")
TORCH = f"torchrun of container trainer cuts a save at 30 s before torch 2.12: use it, or set {_FORWARD}"
TRAP = f"container trainer traps SIGTERM itself: if its trap does not wait for the save, set {_FORWARD}"
MPI = f"mpirun of container trainer kills its ranks 0.5 s after SIGTERM: set {_FORWARD}"
RAY = "Ray tells its workers of SIGTERM as it kills them: save at intervals, or drain in a preStop hook"
SSHD = "PID 1 of container trainer is sshd, which tells no rank of SIGTERM: signal them in a preStop hook"
JIT = "Hugging Face's Trainer of container trainer saves on SIGTERM only if you add --enable_jit_checkpoint"

NOTES = {
    ("python", "train.py"): [],
    ("sh", "-c", "python train.py | tee log"): [SHELL],
    ("bash", "-c", "--", "cd /x; python train.py"): [MAY_BE_A_SHELL],
    ("bash", "start.sh"): [MAY_BE_A_SHELL],
    ("bash", "-c", "torchrun train.py; echo done"): [SHELL, TORCH],
    ("bash", "-c", "cleanup(){ pkill -9 x; }\ntrap cleanup EXIT SIGTERM\npython train.py &\nwait\n"): [TRAP],
    ("tini", "--", "sh", "-c", "a; python train.py"): [
        f"a shell in container trainer ends with SIGTERM from tini: use exec, or set {_FORWARD}"
    ],
    ("tini", "-g", "--", "python", "train.py"): [
        f"tini -g of container trainer also signals data loaders: leave out -g, or set {_FORWARD}"
    ],
    ("dumb-init", "python", "train.py"): [
        f"dumb-init of container trainer also signals data loaders: add --single-child, or {_FORWARD}"
    ],
    ("conda", "run", "-n", "x", "python", "train.py"): [
        f"conda run of container trainer hands SIGTERM to nobody: set {_FORWARD}, or start python itself"
    ],
    ("timeout", "1h", "python", "train.py"): [
        f"timeout of container trainer also signals data loaders: add --foreground, or set {_FORWARD}"
    ],
    ("torchrun", "train.py"): [TORCH],
    ("accelerate", "launch", "train.py"): [
        f"accelerate of container trainer may drop SIGTERM, or cut the save at 30 s: set {_FORWARD}"
    ],
    ("deepspeed", "train.py"): [f"deepspeed of container trainer tells no rank of SIGTERM in time: set {_FORWARD}"],
    ("mpirun", "-np", "8", "python", "train.py"): [MPI],
    ("mpirun", "--hostfile", "/etc/mpi/hostfile", "python", "train.py"): [
        "mpirun of container trainer ends the ranks of all pods 0.5 s after SIGTERM: save at intervals"
    ],
    ("dlrover-run", "train.py"): [],
    ("ft_launcher", "train.py"): [],
    ("bash", "-c", "--", "ulimit -n 65536; ray start --block"): [RAY],
    ("/usr/sbin/sshd", "-De"): [SSHD],
    ("python", "run_clm.py", "--save_strategy=steps"): [JIT],
}


def a_pod(command, image="registry.example/trainer:1", *, annotations=None, **spec):
    return {
        "metadata": {"labels": {"training.kubeflow.org/job-name": "j"}, "annotations": annotations or {}},
        "spec": {"containers": [{"name": "trainer", "image": image, "command": list(command)}], **spec},
    }


SIZE = {"gracekeeper.dev/checkpoint-size": "9.2GB"}


@pytest.mark.parametrize(("command", "notes"), NOTES.items(), ids=lambda value: " ".join(value)[:50] or "nothing")
def test_a_start_that_loses_the_save_is_told_in_whole_sentences(command, notes):
    decision = decide_pod(a_pod(command, annotations=SIZE))
    assert list(decision.notes) == notes
    assert list(warnings(decision)) == [f"gracekeeper: {note}" for note in notes]


@pytest.mark.parametrize(("command", "notes"), NOTES.items(), ids=lambda value: " ".join(value)[:50] or "nothing")
def test_given_nothing_tells_the_size_when_the_start_loses_the_save_then_the_decision_says_so_too(command, notes):
    decision = decide_pod(a_pod(command, terminationGracePeriodSeconds=60))
    assert decision.outcome == "size-unknown"
    assert list(decision.notes) == notes
    assert (decision.annotation is not None) == bool(notes)
    assert decision.changes is None
    assert decision.grace_seconds is None


def test_given_the_kubelet_ends_the_pod_as_soon_as_torchrun_does_then_torchrun_is_no_news():
    assert decide_pod(a_pod(["torchrun", "train.py"], terminationGracePeriodSeconds=30)).notes == ()


@pytest.mark.parametrize("launcher", [["torchrun"], ["accelerate", "launch"]])
def test_given_the_image_tells_torch_s_version_when_it_is_new_then_nothing_is_said_and_when_it_is_old_its_number(
    launcher,
):
    new = decide_pod(a_pod([*launcher, "train.py"], "pytorch/pytorch:2.12.0-cuda13", annotations=SIZE))
    old = decide_pod(a_pod([*launcher, "train.py"], "pytorch/pytorch:2.4.0-cuda12.4", annotations=SIZE))
    assert new.notes == ()
    assert old.notes == (f"torch 2.4 of container trainer kills its workers after 30 s: use 2.12, or set {_FORWARD}",)


@pytest.mark.parametrize("value", ["false", "auto"])
def test_given_nothing_is_wrapped_when_the_key_says_so_then_the_note_is_the_same(value):
    pod = a_pod(["sh", "-c", "python x.py; echo"], annotations={**SIZE, "gracekeeper.dev/forward-sigterm": value})
    assert decide_pod(pod).notes == (SHELL,)


def test_given_a_trainer_that_is_wrapped_when_it_is_decided_then_only_what_wrapping_does_not_cure_is_told():
    case = golden.load("forward-sigterm")
    container = {**case.pod["spec"]["containers"][0], "command": ["sh", "-c", "torchrun x.py --save_total_limit 3; b"]}
    pod = {**case.pod, "spec": {**case.pod["spec"], "containers": [container]}}
    decision = decide_pod(pod, case.facts, case.config)
    assert decision.changes is not None
    assert decision.notes == (JIT,)


@pytest.mark.parametrize(
    "sign",
    [
        {"labels": {"training.kubeflow.org/job-role": "launcher"}},
        {"labels": {"training.kubeflow.org/replica-type": "launcher"}},
        {"ownerReferences": [{"apiVersion": "kubeflow.org/v2beta1", "kind": "MPIJob", "name": "m"}]},
        {"variable": "OMPI_MCA_orte_default_hostfile"},
    ],
    ids=str,
)
def test_given_the_launcher_of_an_mpi_job_when_it_is_decided_then_no_cure_is_promised(sign):
    pod = a_pod(["mpirun", "-np", "16", "python", "train.py"], annotations=SIZE)
    variable = sign.pop("variable", None)
    pod["metadata"].update(sign)
    if variable is not None:
        pod["spec"]["containers"][0]["env"] = [{"name": variable, "value": "/etc/mpi/hostfile"}]
    (note,) = decide_pod(pod, config=Config()).notes
    assert note.endswith("ends the ranks of all pods 0.5 s after SIGTERM: save at intervals")


def test_given_the_launcher_of_an_mpi_job_when_its_owner_has_it_wrapped_then_it_is_told_that_this_cures_nothing():
    case = golden.load("forward-sigterm")
    container = {**case.pod["spec"]["containers"][0], "command": ["mpirun", "-H", "a,b", "python", "train.py"]}
    decision = decide_pod({**case.pod, "spec": {**case.pod["spec"], "containers": [container]}}, config=case.config)
    assert decision.changes is not None
    assert decision.notes == (
        "mpirun of container trainer ends the ranks of all pods 0.5 s after SIGTERM: save at intervals",
    )


def test_given_a_container_beside_the_trainer_when_an_upload_is_stated_then_its_owner_is_told_that_it_must_wait():
    pod = a_pod(["python", "train.py"], annotations={**SIZE, "gracekeeper.dev/upload-size": "9.2GB"})
    out = [{"name": "out", "mountPath": "/out"}]
    pod["spec"]["containers"][0]["volumeMounts"] = out
    pod["spec"]["containers"].append({"name": "sync", "image": "x", "volumeMounts": out})
    pod["spec"]["containers"].append({"name": "proxy", "image": "x"})
    assert decide_pod(pod).notes == (
        "container sync gets SIGTERM with the trainer: let it upload the checkpoint before it ends",
    )
    del pod["metadata"]["annotations"]["gracekeeper.dev/upload-size"]
    assert decide_pod(pod).notes == ()


def test_given_an_osmo_task_of_unknown_size_when_nothing_is_given_then_nothing_is_said_of_its_start():
    case = golden.load("osmo-size-unknown")
    decision = decide_pod(case.pod, case.facts, replace(case.config, unknown_size=UnknownSize.SKIP), "team-a")
    assert (decision.outcome, decision.notes) == ("size-unknown", ())
