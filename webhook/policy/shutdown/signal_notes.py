"""Notes on starts that lose SIGTERM or cut the save after it, each with the line that cures it.

Law: a sentence says what is wrong, where, and what to write instead. With a name of seven characters it fits into an
admission warning.
"""

from collections.abc import Iterator

from webhook.policy.pod import Pod, marks
from webhook.policy.pod.launchers import Launcher
from webhook.policy.pod.start import Relay, ShellLife
from webhook.policy.shutdown.clocks import TORCH_DEFAULT_SECONDS, knows_clock, torch_version_of, uploaders_beside

_FORWARD = 'forward-sigterm: "true"'
_SHELLS = {
    ShellLife.STAYS: f"PID 1 of container {{}} is a shell, which drops SIGTERM: use exec, or set {_FORWARD}",
    ShellLife.MAY_STAY: f"PID 1 of container {{}} may be a shell, which drops SIGTERM: use exec, or set {_FORWARD}",
}
_RELAYS = {
    Relay.CONDA_RUN: f"conda run of container {{}} hands SIGTERM to nobody: set {_FORWARD}, or start python itself",
    Relay.TIMEOUT: f"timeout of container {{}} also signals data loaders: add --foreground, or set {_FORWARD}",
    Relay.DUMB_INIT: f"dumb-init of container {{}} also signals data loaders: add --single-child, or {_FORWARD}",
    Relay.TINI_GROUP: f"tini -g of container {{}} also signals data loaders: leave out -g, or set {_FORWARD}",
}
_LAUNCHERS = {
    Launcher.DEEPSPEED: f"deepspeed of container {{}} tells no rank of SIGTERM in time: set {_FORWARD}",
    Launcher.MPIRUN: f"mpirun of container {{}} kills its ranks 0.5 s after SIGTERM: set {_FORWARD}",
    Launcher.TORCHRUN: f"torchrun of container {{}} cuts a save at 30 s before torch 2.12: use it, or set {_FORWARD}",
    Launcher.ACCELERATE: f"accelerate of container {{}} may drop SIGTERM, or cut the save at 30 s: set {_FORWARD}",
}
_TORCH_CLOCKED = frozenset({Launcher.TORCHRUN, Launcher.ACCELERATE})
_CLOCKED = frozenset({Launcher.DEEPSPEED, Launcher.MPIRUN})


def loses_its_save(pod: Pod, grace_seconds: int) -> bool:
    """Return whether the trainer's start is known to lose SIGTERM, or to cut a save within this grace.

    Ray's workers and ranks below an SSH daemon get no signal in time, whoever is PID 1: that is told, and not counted.
    """
    start = pod.start
    if start.launcher is Launcher.RAY or start.is_sshd:
        return False
    return start.shell is not ShellLife.NONE or start.relay is not None or _cuts_the_save(pod, grace_seconds)


def notes_on_losses(pod: Pod, grace_seconds: int) -> Iterator[str]:
    """Yield what loses the save of this pod, unless supervise is PID 1 of its trainer."""
    if not loses_its_save(pod, grace_seconds):
        return
    start, name = pod.start, pod.trainer.name
    if start.traps_sigterm:
        yield f"container {name} traps SIGTERM itself: if its trap does not wait for the save, set {_FORWARD}"
    elif start.shell is not ShellLife.NONE and start.init:
        yield f"a shell in container {name} ends with SIGTERM from {start.init}: use exec, or set {_FORWARD}"
    elif start.shell is not ShellLife.NONE:
        yield _SHELLS[start.shell].format(name)
    if start.relay is not None:
        yield _RELAYS[start.relay].format(name)
    if _cuts_the_save(pod, grace_seconds) and not has_ranks_in_other_pods(pod):
        yield _note_on_launcher(pod)


def notes_on_the_incurable(pod: Pod) -> Iterator[str]:
    """Yield what keeps the ranks from saving, whoever is PID 1."""
    start, name = pod.start, pod.trainer.name
    if start.is_sshd:
        yield f"PID 1 of container {name} is sshd, which tells no rank of SIGTERM: signal them in a preStop hook"
    if start.launcher is Launcher.RAY:
        yield "Ray tells its workers of SIGTERM as it kills them: save at intervals, or drain in a preStop hook"
    if has_ranks_in_other_pods(pod):
        yield f"mpirun of container {name} ends the ranks of all pods 0.5 s after SIGTERM: save at intervals"
    if start.lacks_jit_checkpoint:
        yield f"Hugging Face's Trainer of container {name} saves on SIGTERM only if you add --enable_jit_checkpoint"


def notes_on_uploaders(pod: Pod) -> Iterator[str]:
    """Yield the containers that may upload what the trainer saves, and are told to stop before they have."""
    for container in uploaders_beside(pod):
        name = container.name
        if container.is_native_sidecar:
            yield f"container {name} gets SIGTERM once the trainer has ended: let it upload the checkpoint before it ends"
        elif container.command:
            yield f"container {name} gets SIGTERM with the trainer: set upload-container: {name} to delay it"
        else:
            yield f"container {name} gets SIGTERM with the trainer: let it upload the checkpoint before it ends"


def has_ranks_in_other_pods(pod: Pod) -> bool:
    """Return whether the trainer is an MPI launcher whose ranks run in other pods, where nobody signals them past it."""
    if pod.start.launcher is not Launcher.MPIRUN:
        return False
    return (
        pod.start.has_hosts
        or marks.MPI_JOB_KIND in pod.owner_kinds
        or any(pod.labels.get(label) == value for label, value in marks.MPI_LAUNCHER_LABELS)
        or not set(marks.MPI_HOST_VARIABLES).isdisjoint(pod.trainer.variable_names)
    )


def _cuts_the_save(pod: Pod, grace_seconds: int) -> bool:
    """Return whether the launcher kills its ranks before the grace has passed."""
    launcher = pod.start.launcher
    if launcher in _TORCH_CLOCKED:
        return grace_seconds > TORCH_DEFAULT_SECONDS and not knows_clock(torch_version_of(pod.trainer))
    return launcher in _CLOCKED


def _note_on_launcher(pod: Pod) -> str:
    launcher, name = pod.start.launcher, pod.trainer.name
    version = torch_version_of(pod.trainer)
    if launcher in _TORCH_CLOCKED and version is not None:
        torch = f"torch {version[0]}.{version[1]} of container {name}"
        return f"{torch} kills its workers after 30 s: use 2.12, or set {_FORWARD}"
    return _LAUNCHERS[launcher or Launcher.TORCHRUN].format(name)
