"""Launchers, which start the ranks of a training and hand SIGTERM to them: their names, as data.

Only launchers that were run, or whose source was read, are listed. Each row says where its behaviour is written down.
"""

import re
from collections.abc import Sequence
from enum import StrEnum


class Launcher(StrEnum):
    """A launcher, by the name that people know it by."""

    TORCHRUN = "torchrun"
    """SIGTERM to all ranks, SIGKILL 30 s later; TORCH_ELASTIC_SHUTDOWN_TIMEOUT since torch 2.12.
    torch/distributed/elastic/multiprocessing/api.py, launcher/api.py."""
    ACCELERATE = "accelerate launch"
    """torchrun in the same process for several ranks; for one rank it has no handler. accelerate/commands/launch.py."""
    DLROVER = "dlrover-run"
    """torchrun's agent, which on SIGTERM also saves what its ranks left in shared memory. dlrover/trainer/torch/elastic_run.py."""
    DEEPSPEED = "deepspeed"
    """Two processes; the first has no handler, the second goes through its ranks one by one. deepspeed/launcher/launch.py."""
    MPIRUN = "mpirun"
    """Open MPI 5: SIGTERM to its ranks after 0.3 s, SIGKILL after 0.5 s (seen)."""
    FT_LAUNCHER = "ft_launcher"
    """1800 s of its own. nvidia_resiliency_ext/fault_tolerance/launcher.py."""
    RAY = "ray start"
    """Drains for 30 s, then sends its workers SIGTERM and SIGKILL at the same moment. ray/_private/node.py."""


_PROGRAMS = {
    "torchrun": Launcher.TORCHRUN,
    "accelerate-launch": Launcher.ACCELERATE,
    "dlrover-run": Launcher.DLROVER,
    "deepspeed": Launcher.DEEPSPEED,
    "deepspeed.pt": Launcher.DEEPSPEED,
    "ds": Launcher.DEEPSPEED,
    "mpirun": Launcher.MPIRUN,
    "mpiexec": Launcher.MPIRUN,
    "orterun": Launcher.MPIRUN,
    "prterun": Launcher.MPIRUN,
    "ft_launcher": Launcher.FT_LAUNCHER,
}
_SUBCOMMANDS = {("accelerate", "launch"): Launcher.ACCELERATE, ("ray", "start"): Launcher.RAY}
_MODULES = {
    "torch.distributed.run": Launcher.TORCHRUN,
    "torch.distributed.launch": Launcher.TORCHRUN,
    "accelerate.commands.launch": Launcher.ACCELERATE,
    "accelerate.commands.accelerate_cli": Launcher.ACCELERATE,
    "dlrover.trainer.torch.elastic_run": Launcher.DLROVER,
    "dlrover.trainer.torch.main": Launcher.DLROVER,
    "nvidia_resiliency_ext.fault_tolerance.launcher": Launcher.FT_LAUNCHER,
    "deepspeed.launcher.runner": Launcher.DEEPSPEED,
    "deepspeed.launcher.launch": Launcher.DEEPSPEED,
}
OF_TORCH = frozenset({Launcher.TORCHRUN, Launcher.ACCELERATE, Launcher.DLROVER})
"""Launchers that run torch's elastic agent, and so read its clock."""
_TORCH = re.compile(
    r"(?<![\w.-])(?:torchrun|torch\.distributed\.(?:run|launch)|accelerate(?:\s+|-|\.commands\.)launch"
    r"|accelerate\.commands\.accelerate_cli|dlrover-run|dlrover\.trainer\.torch\.(?:elastic_run|main))(?![\w-])"
)
_PYTHON = re.compile(r"python[\d.]*")
_PYTHON_OPTIONS_WITH_VALUE = ("-X", "-W")
_PYTHON_MODULE, _PYTHON_SCRIPT = "-m", "-c"
_PYTHON_OPTIONS_WITH_MODULE = re.compile(r"-[A-Za-z]*m")
"""`-m`, also behind other options, as in `-um`."""


def launcher_of(words: Sequence[str]) -> Launcher | None:
    """Return the launcher that a command starts, such as `torchrun ...` or `python -m torch.distributed.run ...`."""
    program = name_of_program(words)
    if _PYTHON.fullmatch(program):
        return _launcher_in_python(words)
    if program in _PROGRAMS:
        return _PROGRAMS[program]
    return _SUBCOMMANDS.get((program, words[1])) if len(words) > 1 else None


def mentions_torch_launcher(command_line: str) -> bool:
    """Return whether a command line, or a line for a shell in it, has the name of a launcher that runs torch's agent."""
    return _TORCH.search(command_line) is not None


def name_of_program(words: Sequence[str]) -> str:
    """Return the file name of the program that a command starts; empty where there is no word."""
    return words[0].rpartition("/")[2] if words else ""


def _launcher_in_python(words: Sequence[str]) -> Launcher | None:
    """Return the launcher that Python runs, as a module or as a script with its name."""
    position = 1
    while position < len(words) and words[position].startswith("-"):
        option = words[position]
        if option == _PYTHON_SCRIPT:
            return None
        if option.startswith(_PYTHON_MODULE) and option != _PYTHON_MODULE:
            return _MODULES.get(option.removeprefix(_PYTHON_MODULE))
        if _PYTHON_OPTIONS_WITH_MODULE.fullmatch(option):
            return _MODULES.get(next(iter(words[position + 1 : position + 2]), ""))
        position += 2 if option in _PYTHON_OPTIONS_WITH_VALUE else 1
    rest = words[position:]
    return None if _PYTHON.fullmatch(name_of_program(rest)) else launcher_of(rest)
