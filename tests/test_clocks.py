"""Second clocks inside the containers: who gets one, and what its owner set."""

import jsonpatch
import pytest

from tests.policy_calls import decide_pod
from webhook.policy.patch import operations
from webhook.policy.pod.launchers import Launcher, launcher_of, mentions_torch_launcher
from webhook.policy.shutdown.clocks import ARGO_VARIABLE, CLOCKS, HF_MOUNT_VARIABLE, TORCH_VARIABLE

A_MONTH_SECONDS = 30 * 24 * 3600

LAUNCHERS = {
    "torchrun --nproc_per_node=8 train.py": Launcher.TORCHRUN,
    "/opt/venv/bin/torchrun train.py": Launcher.TORCHRUN,
    "python -m torch.distributed.run train.py": Launcher.TORCHRUN,
    "python3.11 -u -X dev -m torch.distributed.launch train.py": Launcher.TORCHRUN,
    "python /usr/bin/torchrun train.py": Launcher.TORCHRUN,
    "python -um torch.distributed.run train.py": Launcher.TORCHRUN,
    "python -mtorch.distributed.run train.py": Launcher.TORCHRUN,
    "python -m dlrover.trainer.torch.main train.py": Launcher.DLROVER,
    "accelerate launch --multi_gpu train.py": Launcher.ACCELERATE,
    "accelerate-launch train.py": Launcher.ACCELERATE,
    "python -m accelerate.commands.launch train.py": Launcher.ACCELERATE,
    "dlrover-run --nnodes=2 train.py": Launcher.DLROVER,
    "deepspeed --num_gpus 8 train.py": Launcher.DEEPSPEED,
    "mpirun -np 16 python train.py": Launcher.MPIRUN,
    "ft_launcher train.py": Launcher.FT_LAUNCHER,
    "ray start --head --block": Launcher.RAY,
    "python /usr/local/bin/ray start --head": Launcher.RAY,
    "accelerate config": None,
    "accelerate": None,
    "ray status": None,
    "python train.py torchrun": None,
    "python -c torchrun": None,
    "python -m": None,
    "python python": None,
    "python": None,
    "": None,
}


@pytest.mark.parametrize(("command", "launcher"), LAUNCHERS.items(), ids=lambda value: str(value) or "nothing")
def test_a_launcher_is_known_by_its_program_or_module(command, launcher):
    assert launcher_of(command.split()) is launcher


@pytest.mark.parametrize(
    ("command_line", "mentioned"),
    [
        ("cd /x && torchrun train.py", True),
        ("srun accelerate   launch train.py", True),
        ("python -m torch.distributed.launch train.py", True),
        ("python my_torchrun.py", False),
        ("pip install accelerate; python launch.py", False),
        ("cat torchrun-notes", False),
    ],
)
def test_a_line_for_a_shell_mentions_a_launcher_of_torch(command_line, mentioned):
    assert mentions_torch_launcher(command_line) is mentioned


def a_pod(environment, command=("torchrun", "train.py"), annotations=None, **spec):
    container = {"name": "a", "image": "pytorch/pytorch:2.12.0-cuda13", "command": list(command)}
    values = [{"name": name, "value": value} for name, value in environment.items()]
    return {
        "metadata": {"annotations": annotations or {"gracekeeper.dev/grace-seconds": "600"}},
        "spec": {"containers": [{**container, "env": values}], **spec},
    }


def patched(pod):
    return jsonpatch.apply_patch(pod, operations(pod, decide_pod(pod)))


def variables_of(pod):
    return {entry["name"]: entry["value"] for entry in pod["spec"]["containers"][0]["env"]}


@pytest.mark.parametrize("variable", [clock.variable for clock in CLOCKS])
@pytest.mark.parametrize("value", ["3600", "86400", "", "soon", "9" * 40])
def test_given_a_clock_that_is_no_shorter_number_when_the_pod_is_patched_then_its_owner_s_value_stays(variable, value):
    assert variables_of(patched(a_pod({variable: value})))[variable] == value


@pytest.mark.parametrize("variable", [ARGO_VARIABLE, HF_MOUNT_VARIABLE])
def test_given_a_copy_of_the_grace_when_the_grace_is_raised_then_the_copy_is_raised_where_it_stands(variable):
    assert variables_of(patched(a_pod({variable: "60"})))[variable] == "600"
    assert variable not in variables_of(patched(a_pod({})))


@pytest.mark.parametrize("variable", [TORCH_VARIABLE, "PET_SHUTDOWN_TIMEOUT"])
def test_given_torch_s_clock_is_set_too_short_when_the_pod_is_patched_then_it_stays_and_a_note_says_so(variable):
    pod = a_pod({variable: "60"})
    assert variables_of(patched(pod))[variable] == "60"
    assert decide_pod(pod).notes == (f"{variable}=60 of container a is shorter than the 595 s it may take",)


@pytest.mark.parametrize("grace_seconds", [30, 600, 2**31 - 1])
def test_given_clocks_of_all_sorts_when_the_pod_is_patched_then_a_second_pass_changes_nothing(grace_seconds):
    clocks = {ARGO_VARIABLE: "30", HF_MOUNT_VARIABLE: "60", "PET_NNODES": "2"}
    once = patched(a_pod(clocks, terminationGracePeriodSeconds=grace_seconds))
    assert operations(once, decide_pod(once)) == []
    assert all(int(value) <= A_MONTH_SECONDS for value in variables_of(once).values())


def test_the_table_names_each_clock_once_with_a_reader_and_a_source():
    assert len({clock.variable for clock in CLOCKS}) == len(CLOCKS)
    assert all(clock.reader and clock.since and clock.source for clock in CLOCKS)
