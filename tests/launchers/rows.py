"""The rows: how a trainer is started, and what becomes of its checkpoint without and with `supervise forward`.

Law: what is expected comes from runs (docs/signals.md has them) or from the rule that a row's comment names. A row whose
launcher ends its ranks in time to save has no cure to show, and is here to show that nothing is worse.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tools.newer_launchers import FT_LAUNCHER, RAY, TORCH, Launcher

WITHOUT, FORWARD = "without", "forward"
INTERRUPTED = 143
"""What supervise makes of a 0, where the container would not have ended with 0 without it."""
KILLED = 137
SAVE_SECONDS = 34
"""Longer than the 30 s that most launchers leave their ranks."""
GRACE_SECONDS = 75
SHORT_GRACE_SECONDS = 45
"""Of a row that nothing but the end of the grace ends."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a run must give. A bound that is None is not looked at."""

    saved: int
    code: int | None
    cut_seconds: float | None = None
    """When the first rank is killed, within a second and a half; None: no rank is."""
    cut_at_end: bool = False
    """The first rank is killed at the end of the grace."""
    told: int | None = 1
    """How often each rank with a handler gets the signal. A rank that is blocked may be killed before it notes it."""
    told_within: float | None = None
    """Seconds in which all of them have got it."""
    ends_within: float | None = None
    begun_again: int | None = 0

    @property
    def grace_seconds(self) -> float:
        """How long the container gets: longer than it needs, where it ends by itself on a busy machine."""
        return SHORT_GRACE_SECONDS if self.code == KILLED else GRACE_SECONDS


def saved(number: int, code: int = 0, **more: object) -> Expected:
    """All ranks save, and none is killed."""
    return replace(Expected(number, code), **more)  # type: ignore[arg-type]


def cut(seconds: float, code: int | None = 1, number: int = 0, **more: object) -> Expected:
    """A rank is killed so many seconds after the signal."""
    return replace(Expected(number, code, cut_seconds=seconds), **more)  # type: ignore[arg-type]


def unheard(**more: object) -> Expected:
    """Nobody who could save gets the signal, and the grace passes."""
    return replace(Expected(0, KILLED, cut_at_end=True, told=0), **more)  # type: ignore[arg-type]


def forwarded(number: int, code: int = INTERRUPTED, **more: object) -> Expected:
    """supervise tells the ranks, at once, each once, and all save."""
    return replace(Expected(number, code, told_within=1.5), **more)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Row:
    """One way to start a trainer."""

    name: str
    command: Sequence[str]
    ranks: int
    """Processes that write that they train."""
    without: Expected | None
    forward: Expected | None
    ci: bool = False
    """Whether CI runs it."""
    again_seconds: float | None = None
    """When the signal comes a second time."""
    environment: Mapping[str, str] = field(default_factory=dict)
    packages: Launcher | None = None
    """Newer packages than Debian's that it runs with."""
    starts_alone: bool = False
    """Whether no other row may start meanwhile."""


def trainer(name: str = "plain", **options: object) -> str:
    """The words for a trainer of trainers/, with its options."""
    words = [f"--{option.replace('_', '-')} {value}" for option, value in ({"save": SAVE_SECONDS} | options).items()]
    return " ".join([f"/trainers/{name}.py", *words])


def script(shell: str, text: str) -> tuple[str, ...]:
    """A script as a pod has it."""
    return (shell, "-c", text)


TORCHRUN = "torchrun --nproc_per_node 2"
MPIRUN = "mpirun -np 2 --oversubscribe python3"
ACCELERATE = "accelerate launch --multi_gpu --num_machines 1 --num_processes 2 --mixed_precision no --dynamo_backend no"
ACCELERATE_ONE = "accelerate launch --cpu --num_machines 1 --num_processes 1 --mixed_precision no --dynamo_backend no"
DEEPSPEED = "deepspeed --num_gpus 2"
AT_30 = cut(30)
WAIT = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"

_TORCHRUN = (
    Row("torchrun, 1 rank", f"torchrun --nproc_per_node 1 {trainer()}".split(), 1, AT_30, forwarded(1)),
    Row("torchrun, 2 ranks", f"{TORCHRUN} {trainer()}".split(), 2, AT_30, forwarded(2), ci=True),
    Row(
        "torchrun, 2 ranks, --max-restarts 3",
        f"{TORCHRUN} --max-restarts 3 {trainer()}".split(),
        2,
        AT_30,
        forwarded(2),
    ),
    Row("torchrun, 2 ranks, --standalone", f"{TORCHRUN} --standalone {trainer()}".split(), 2, AT_30, forwarded(2)),
    Row(
        "python -m torch.distributed.run",
        f"python -m torch.distributed.run --nproc_per_node 2 {trainer()}".split(),
        2,
        AT_30,
        forwarded(2),
    ),
    Row(
        "torchrun, 2 ranks, a save of 10 s",
        f"{TORCHRUN} {trainer(save=10)}".split(),
        2,
        saved(2, 1),
        forwarded(2),
        ci=True,
    ),
    # torchrun itself tells the rank that ends last, because the other has failed.
    Row(
        "torchrun, 2 ranks, both end with 1 after the save",
        f"{TORCHRUN} {trainer(code=1)}".split(),
        2,
        AT_30,
        forwarded(2, 1, told=None),
    ),
    Row(
        "torchrun, 2 ranks, both end with 1 after the save, --max-restarts 3",
        f"{TORCHRUN} --max-restarts 3 {trainer(code=1)}".split(),
        2,
        AT_30,
        forwarded(2, 1, told=None, begun_again=None, ends_within=SAVE_SECONDS + 12),
    ),
    # Not cured: a launcher stops the other ranks when one has failed. torchrun gives them 30 s again.
    Row(
        "torchrun, 2 ranks, rank 1 fails after 5 s",
        f"{TORCHRUN} {trainer(others_fail=5, save=40)}".split(),
        2,
        AT_30,
        cut(35, told=None),
        ci=True,
    ),
    Row(
        "torchrun, 2 ranks, rank 1 saves 5 s and ends with 0",
        f"{TORCHRUN} {trainer(others_save=5)}".split(),
        2,
        cut(30, number=1),
        forwarded(2),
    ),
    Row(
        "torchrun, 2 ranks, SIGTERM again after 5 s",
        f"{TORCHRUN} {trainer(save=40)}".split(),
        2,
        cut(35, told=2),
        forwarded(2),
        ci=True,
        again_seconds=5,
    ),
    Row(
        "torchrun, 2 ranks, a handler on rank 0 only",
        f"{TORCHRUN} {trainer(handler='first')}".split(),
        2,
        AT_30,
        forwarded(1, 1),
        ci=True,
    ),
    Row(
        "torchrun, 2 ranks, no handler",
        f"{TORCHRUN} {trainer(handler='none')}".split(),
        2,
        saved(0, 1, ends_within=20),
        saved(0, 1, ends_within=20),
        ci=True,
    ),
)

_SHELLS = (
    Row("bash -c torchrun", script("bash", f"{TORCHRUN} {trainer()}"), 2, AT_30, forwarded(2)),
    Row("bash -c exec torchrun", script("bash", f"exec {TORCHRUN} {trainer()}"), 2, AT_30, forwarded(2)),
    Row(
        "bash -c 'torchrun; echo done'",
        script("bash", f"{TORCHRUN} {trainer()}; echo done"),
        2,
        unheard(),
        forwarded(2),
        ci=True,
    ),
    Row(
        "sh -c 'torchrun | tee log'",
        script("sh", f"{TORCHRUN} {trainer()} | tee log"),
        2,
        unheard(),
        forwarded(2),
        ci=True,
    ),
    Row(
        "bash -euo pipefail -c 'torchrun | tee log'",
        ("bash", "-euo", "pipefail", "-c", f"{TORCHRUN} {trainer()} 2>&1 | tee log"),
        2,
        unheard(),
        forwarded(2),
    ),
    Row("tini torchrun", f"tini -- {TORCHRUN} {trainer()}".split(), 2, AT_30, forwarded(2)),
    # torchrun's ranks lead sessions of their own: tini -g does not reach them.
    Row("tini -g torchrun", f"tini -g -- {TORCHRUN} {trainer()}".split(), 2, AT_30, forwarded(2), ci=True),
    Row("dumb-init torchrun", f"dumb-init -- {TORCHRUN} {trainer()}".split(), 2, AT_30, forwarded(2)),
    Row(
        "bash -c 'python; echo done'",
        script("bash", f"python3 {trainer()}; echo done"),
        1,
        unheard(),
        forwarded(1),
        ci=True,
    ),
    # `conda run` is a Python that waits for its child, and has no handler.
    Row(
        "python that waits for python",
        ("python3", "-c", WAIT, "python3", *trainer().split()),
        1,
        unheard(),
        forwarded(1),
    ),
    Row("python", f"python3 {trainer()}".split(), 1, saved(1), forwarded(1, 0)),
)

_SCRIPTS = tuple(
    Row(name, script("bash", text), 2, without, forward)
    for name, text, without, forward in (
        (
            "bash -c 'exec > >(tee log); torchrun'",
            f"exec > >(tee log) 2>&1; {TORCHRUN} {trainer()}",
            AT_30,
            forwarded(2),
        ),
        ("bash -c 'torchrun & wait'", f"{TORCHRUN} {trainer()} & wait", unheard(), forwarded(2)),
        ("bash -c 'timeout torchrun; echo'", f"timeout 3600 {TORCHRUN} {trainer()}; echo", unheard(), forwarded(2)),
        ("bash -c 'cd; torchrun && echo'", f"cd /tmp && {TORCHRUN} {trainer()} && echo", unheard(), forwarded(2)),
        (
            "bash -c 'torchrun | tee log; exit ${PIPESTATUS[0]}'",
            f"{TORCHRUN} {trainer()} 2>&1 | tee log; exit ${{PIPESTATUS[0]}}",
            unheard(),
            forwarded(2),
        ),
        # Nothing but the end of the grace ends a script that begins again what ended with 1.
        (
            "bash -c 'until torchrun; do sleep 1; done', ranks end with 1",
            f"until {TORCHRUN} {trainer(code=1)}; do sleep 1; done",
            unheard(),
            forwarded(2, KILLED, told=None, begun_again=None),
        ),
        (
            "torchrun --no-python bash -c 'python; true'",
            f"{TORCHRUN} --no-python bash -c 'python3 {trainer()}; true'",
            None,
            forwarded(2),
        ),
        (
            "mpirun bash -c 'python; true'",
            f"{MPIRUN.removesuffix(' python3')} bash -c 'python3 {trainer()}; true'",
            cut(0.5, told=None),
            forwarded(2),
        ),
        ("bash -c 'accelerate, 2 ranks; echo'", f"{ACCELERATE} {trainer()}; echo", unheard(), forwarded(2)),
        ("bash -c 'deepspeed; echo'", f"{DEEPSPEED} {trainer()}; echo", unheard(), forwarded(2)),
    )
)

_TRAP_USR1 = "trap 'kill -USR1 $pid; wait $pid' TERM; {train} & pid=$!; wait $pid"
_TRAP_FILE = "trap 'touch stop; wait' TERM; {train} & wait"


def _loaders(kind: str, *, ci: bool) -> tuple[Row, ...]:
    """Rows with torch's DataLoader and two workers, which catch SIGTERM whatever the trainer does."""
    with_handler, without = (f"{trainer('loader', loader=kind, handler=handler)}" for handler in ("all", "none"))
    usr1 = trainer("loader", loader=kind, signal="USR1", save=3)
    polls = trainer("loader", loader=kind, handler="none", save=3)
    quick = saved(0, 1, ends_within=20)
    # torchrun's SIGTERM goes to the process group of each rank, and torch raises in a trainer whose loaders are killed.
    loaders_killed = cut(0, told=None)
    return (
        Row(
            f"torchrun, {kind}ed loaders", f"{TORCHRUN} {with_handler}".split(), 2, loaders_killed, forwarded(2), ci=ci
        ),
        Row(f"torchrun, {kind}ed loaders, no handler", f"{TORCHRUN} {without}".split(), 2, quick, quick, ci=ci),
        Row(
            f"bash -c 'torchrun; echo', {kind}ed loaders",
            script("bash", f"{TORCHRUN} {with_handler}; echo"),
            2,
            unheard(),
            forwarded(2),
        ),
        Row(f"python, {kind}ed loaders", f"python3 {with_handler}".split(), 1, saved(1), forwarded(1, 0)),
        Row(
            f"bash -c 'python; echo', {kind}ed loaders",
            script("bash", f"python3 {with_handler}; echo"),
            1,
            unheard(),
            forwarded(1),
            ci=ci,
        ),
        Row(
            f"bash -c 'python; echo', {kind}ed loaders, no handler",
            script("bash", f"python3 {without}; echo"),
            1,
            saved(0, KILLED),
            saved(0, INTERRUPTED, ends_within=20),
            ci=ci,
        ),
        Row(
            f"trap that sends USR1, {kind}ed loaders",
            script("bash", _TRAP_USR1.format(train=f"python3 {usr1}")),
            1,
            saved(1, INTERRUPTED),
            saved(1, INTERRUPTED),
            ci=ci,
        ),
        Row(
            f"trap that makes a file, {kind}ed loaders",
            script("bash", _TRAP_FILE.format(train=f"python3 {polls}")),
            1,
            saved(1, INTERRUPTED, told=0),
            saved(1, INTERRUPTED, told=0),
            ci=ci,
        ),
        Row(f"mpirun, {kind}ed loaders", f"{MPIRUN} {with_handler}".split(), 2, cut(0.5), forwarded(2)),
        Row(f"mpirun, {kind}ed loaders, no handler", f"{MPIRUN} {without}".split(), 2, quick, quick),
        Row(
            f"accelerate, 2 ranks, {kind}ed loaders",
            f"{ACCELERATE} {with_handler}".split(),
            2,
            loaders_killed,
            forwarded(2),
        ),
        Row(f"accelerate, 2 ranks, {kind}ed loaders, no handler", f"{ACCELERATE} {without}".split(), 2, quick, quick),
        Row(
            f"accelerate, 1 rank, {kind}ed loaders",
            f"{ACCELERATE_ONE} {with_handler}".split(),
            1,
            unheard(),
            forwarded(1),
        ),
        Row(
            f"accelerate, 1 rank, {kind}ed loaders, no handler",
            f"{ACCELERATE_ONE} {without}".split(),
            1,
            saved(0, KILLED),
            saved(0, INTERRUPTED, ends_within=20),
        ),
        Row(f"deepspeed, {kind}ed loaders", f"{DEEPSPEED} {with_handler}".split(), 2, unheard(), forwarded(2)),
        Row(f"deepspeed, {kind}ed loaders, no handler", f"{DEEPSPEED} {without}".split(), 2, saved(0, KILLED), quick),
    )


_LAUNCHERS = (
    Row("mpirun, 2 ranks", f"{MPIRUN} {trainer()}".split(), 2, cut(0.5), forwarded(2), ci=True),
    Row("bash -c 'mpirun; echo'", script("bash", f"{MPIRUN} {trainer()}; echo"), 2, unheard(), forwarded(2), ci=True),
    Row("mpirun, rank 1 fails after 5 s", f"{MPIRUN} {trainer(others_fail=5)}".split(), 2, cut(0.5), cut(5, told=None)),
    Row("accelerate launch, 1 rank", f"{ACCELERATE_ONE} {trainer()}".split(), 1, unheard(), forwarded(1), ci=True),
    Row("accelerate launch, 2 ranks", f"{ACCELERATE} {trainer()}".split(), 2, AT_30, forwarded(2), ci=True),
    Row("deepspeed, 2 ranks", f"{DEEPSPEED} {trainer()}".split(), 2, unheard(), forwarded(2), ci=True),
    Row(
        "deepspeed, rank 1 fails after 5 s",
        f"{DEEPSPEED} {trainer(others_fail=5, save=40)}".split(),
        2,
        unheard(),
        cut(35, told=None),
    ),
)

_COLLECTIVE = tuple(
    Row(
        f"{name}, {what}",
        f"{words} {trainer('collective', step=step)}".split(),
        2,
        without,
        forwarded(2, told_within=3.5 if step > 1 else 1.5),
    )
    for name, words, without in (
        ("torchrun", TORCHRUN, AT_30),
        ("accelerate", ACCELERATE, AT_30),
        ("deepspeed", DEEPSPEED, unheard()),
        ("mpirun", f"{MPIRUN} /trainers/mpi.py", cut(0.5, told=None)),
    )
    for what, step in (("collective save", 0.1), ("blocked in a collective", 3))
)

# Each rank holds and writes a part of the model only: a checkpoint needs all of them.
_SHARDED = tuple(
    Row(f"{name}, FSDP, collective save", f"{words} {trainer('fsdp')}".split(), 2, AT_30, forwarded(2))
    for name, words in (("torchrun", TORCHRUN), ("accelerate", ACCELERATE))
)

_TORCH = TORCH.version.rpartition(".")[0]
_VARIABLE = "TORCH_ELASTIC_SHUTDOWN_TIMEOUT"
_CLOCK_SECONDS = 70


def _newer_torch(launcher: str, words: str, without: Expected, forward: Expected, *, clock: bool = True) -> Row:
    """A row with a torch that reads the variable, and the variable."""
    command = script("sh", words) if "|" in words else words.split()
    variable, environment = f", {_VARIABLE}={_CLOCK_SECONDS}", {_VARIABLE: str(_CLOCK_SECONDS)}
    if not clock:
        variable, environment = "", {}
    name = f"{launcher}{variable}"
    return Row(name, command, 2, without, forward, environment=environment, packages=TORCH)


# Where the clock is long enough torchrun itself is told, and ends with 1 whatever its ranks have saved.
_BY_TORCHRUN = forwarded(2, 1)
_FAILS = trainer(others_fail=5, save=40)
# The signal that torchrun passes on ends data loaders. Where a rank has some, it is told by supervise.
_LOADERS = {kind: trainer("loader", loader=kind) for kind in ("fork", "spawn")}
_NEWER_TORCH = (
    _newer_torch(f"torchrun {_TORCH}, 2 ranks", f"{TORCHRUN} {trainer()}", AT_30, forwarded(2), clock=False),
    _newer_torch(f"torchrun {_TORCH}, 2 ranks", f"{TORCHRUN} {trainer()}", saved(2, 1), _BY_TORCHRUN),
    _newer_torch(
        f"torchrun {_TORCH}, 2 ranks, --shutdown-timeout {_CLOCK_SECONDS}",
        f"{TORCHRUN} --shutdown-timeout {_CLOCK_SECONDS} {trainer()}",
        saved(2, 1),
        _BY_TORCHRUN,
        clock=False,
    ),
    _newer_torch(
        f"torchrun {_TORCH}, rank 1 fails after 5 s", f"{TORCHRUN} {_FAILS}", AT_30, cut(35, told=None), clock=False
    ),
    _newer_torch(f"torchrun {_TORCH}, rank 1 fails after 5 s", f"{TORCHRUN} {_FAILS}", saved(1, 1), forwarded(1, 1)),
    _newer_torch(f"sh -c 'torchrun {_TORCH} | tee log'", f"{TORCHRUN} {trainer()} | tee log", unheard(), forwarded(2)),
    *(
        _newer_torch(f"torchrun {_TORCH}, {kind}ed loaders", f"{TORCHRUN} {words}", cut(0, told=None), forwarded(2))
        for kind, words in _LOADERS.items()
    ),
    _newer_torch(
        f"torchrun {_TORCH}, FSDP, collective save", f"{TORCHRUN} {trainer('fsdp')}", saved(2, 1), _BY_TORCHRUN
    ),
    _newer_torch(f"accelerate, torch {_TORCH}, 2 ranks", f"{ACCELERATE} {trainer()}", AT_30, forwarded(2), clock=False),
    _newer_torch(f"accelerate, torch {_TORCH}, 2 ranks", f"{ACCELERATE} {trainer()}", saved(2, 1), _BY_TORCHRUN),
)

_RAY_START = (
    "python3 /opt/bin/ray start --head --port 6379 --node-ip-address 127.0.0.1 --num-cpus 2 --include-dashboard false"
    " --object-store-memory 80000000"
)
_DRIVER, _ACTOR = (f"python3 {trainer('ray_trainer', by=by)}" for by in ("driver", "actor"))
# A driver whose actor dies while it waits ends with 1 or 15, or aborts (134). Ray ends a node that has not started within 30 s.
_RAY = tuple(
    Row(
        name, words if isinstance(words, tuple) else words.split(), 1, without, forward, packages=RAY, starts_alone=True
    )
    for name, words, without, forward in (
        ("python with Ray, its driver saves", _DRIVER, saved(1), forwarded(1, 0)),
        ("python with Ray, its actor would save", _ACTOR, cut(1, None, told=None), cut(1, None, told=None)),
        (
            "bash -c 'ray start; python', its driver saves",
            script("bash", f"{_RAY_START} && {_DRIVER} --cluster; echo"),
            unheard(),
            forwarded(1),
        ),
        (
            "ray start --block, an actor would save",
            script("bash", f"{_ACTOR} --cluster & exec {_RAY_START} --block"),
            cut(30, told=None),
            cut(30, told=None),
        ),
    )
)

_FT_LAUNCHER = (
    "python3 /opt/bin/ft_launcher --nproc_per_node 2 --rdzv-backend c10d --rdzv-endpoint 127.0.0.1:29400"
    " --rdzv-conf use_libuv=False"  # Debian builds torch without it
)
# Its clock is 1800 s, and it signals groups of processes as torchrun does.
_FT = tuple(
    Row(f"ft_launcher, {name}", f"{_FT_LAUNCHER} {words}".split(), 2, without, forward, packages=FT_LAUNCHER)
    for name, words, without, forward in (
        ("2 ranks", trainer(), saved(2), forwarded(2, 0)),
        ("forked loaders", trainer("loader", loader="fork"), cut(0, told=None), forwarded(2)),
    )
)

ROWS = (
    *_TORCHRUN,
    *_SHELLS,
    *_SCRIPTS,
    *_LAUNCHERS,
    *_loaders("fork", ci=True),
    *_loaders("spawn", ci=False),
    *_COLLECTIVE,
    *_SHARDED,
    *_NEWER_TORCH,
    *_RAY,
    *_FT,
)
AGENT_ROWS = ("torchrun, two agents, told 20 s apart", "torchrun, two agents, one told")
NAMES = (*(row.name for row in ROWS), *AGENT_ROWS)
"""All of them, as the table of docs/signals.md lists them."""
