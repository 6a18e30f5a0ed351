"""How a container starts, as its command and arguments tell: who is PID 1 and what it does with SIGTERM.

Law: it is read once for each container. What the words do not tell (the image's own command, a script in a file) is not
guessed, but a script in a file may keep its shell as PID 1.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum, auto

from webhook.policy.pod.launchers import Launcher, launcher_of, name_of_program
from webhook.policy.pod.marks import SUPERVISE_BINARY
from webhook.policy.pod.shell_script import ShellScript, read_script, words_of

Words = Sequence[str]

_SHELLS = frozenset({"sh", "bash", "dash", "ash", "rbash", "zsh", "ksh", "mksh", "yash"})
_SCRIPT_SUFFIXES = (".sh", ".bash")
_SHELL_OPTIONS_WITH_VALUE = frozenset({"--rcfile", "--init-file"})
_EXECUTES: Mapping[str, frozenset[str]] = {
    "nohup": frozenset(),
    "nice": frozenset({"-n"}),
    "stdbuf": frozenset({"-i", "-o", "-e"}),
    "numactl": frozenset({"-N", "-m", "-C", "-i", "-p"}),
}
"""Programs that become the command behind their options, with the options whose value is a word of its own."""
_ENV_OPTIONS_WITH_VALUE = frozenset({"-u", "--unset", "-C", "--chdir"})
_TINI_OPTIONS_WITH_VALUE = frozenset({"-p", "-e"})
_DUMB_INIT_OPTIONS_WITH_VALUE = frozenset({"-r", "--rewrite"})
_SINGLE_CHILD = frozenset({"-c", "--single-child"})
_TIMEOUT_OPTIONS_WITH_VALUE = frozenset({"-k", "-s", "--kill-after", "--signal"})
_HOST_OPTIONS = frozenset(["-H", "-host", "--host", "-hostfile", "--hostfile", "-machinefile", "--machinefile"])
_TRAINING_ARGUMENTS = frozenset(
    ["--per_device_train_batch_size", "--save_total_limit", "--save_strategy", "--overwrite_output_dir"]
)
"""Arguments of Hugging Face's TrainingArguments that hardly anybody else has."""
_STAYS_IN_FRONT = "--block"
"""Without it `ray start` ends at once, and what follows is the training."""
_SAVES_ON_SIGTERM = "--enable_jit_checkpoint"
_LONGEST_LINE = 64 * 1024
_DEEPEST = 8
"""Programs that start each other in one command; nobody nests more."""


class ShellLife(Enum):
    """Whether a shell stays PID 1 beside what it started. It drops SIGTERM then."""

    NONE = auto()
    MAY_STAY = auto()
    """It depends on the shell and its version, or the script is in a file."""
    STAYS = auto()


class Relay(StrEnum):
    """A program between PID 1 and the training that loses SIGTERM, or hands it to too many."""

    CONDA_RUN = "conda run"
    """Python without a handler that waits for a shell (conda/conda#10351)."""
    DUMB_INIT = "dumb-init"
    """Signals the whole session, data loaders and launchers among them, unless it has --single-child."""
    TINI_GROUP = "tini -g"
    """Signals the whole process group."""
    TIMEOUT = "timeout"
    """Signals the whole process group, unless it has --foreground (coreutils, timeout.c)."""


@dataclass(frozen=True, slots=True)
class Start:
    """How one container starts."""

    shell: ShellLife = ShellLife.NONE
    init: str = ""
    """An init (tini, dumb-init) that hands SIGTERM to its one child; empty where there is none."""
    traps_sigterm: bool = False
    """Whether a script sets a trap for SIGTERM itself."""
    is_whole: bool = True
    """Whether all of the script was read."""
    relay: Relay | None = None
    launcher: Launcher | None = None
    """The launcher that is seen in the command or in the line for its shell."""
    has_hosts: bool = False
    """Whether mpirun is told of hosts, so that its ranks run in other pods."""
    is_sshd: bool = False
    """Whether an SSH daemon runs in the foreground."""
    lacks_jit_checkpoint: bool = False
    """Whether Hugging Face's Trainer is told to train, and not to save on SIGTERM."""
    commands: tuple[Words, ...] = field(default=(), compare=False)
    """The commands that it runs, each a program and its arguments, without the shells and inits around them."""


def read_start(words: Words) -> Start:
    """Read how a container with this command and these arguments starts; a wrapped one as without supervise."""
    if words and words[0] == SUPERVISE_BINARY and "--" in words:
        words = words[words.index("--") + 1 :]
    return replace(_start_of(words, _DEEPEST), lacks_jit_checkpoint=_lacks_jit_checkpoint(words))


def _start_of(words: Words, depth: int) -> Start:
    program = name_of_program(words)
    if not program or not depth:
        return Start()
    behind = _behind(program, words)
    if behind is not None:
        return _start_of(behind, depth - 1)
    if program in _SHELLS or program.endswith(_SCRIPT_SUFFIXES):
        return _start_of_shell(words, depth)
    if program in {"tini", "tini-static", "docker-init", "catatonit", "dumb-init"}:
        return _start_below_init(words, depth)
    return _of_command(words)


def _of_command(words: Words) -> Start:
    """Return what one command without a shell around it tells."""
    program = name_of_program(words)
    if program in {"conda", "mamba"} and "run" in words[1:]:
        return Start(relay=Relay.CONDA_RUN, commands=(words,))
    if program == "timeout" and "--foreground" not in words:
        return Start(relay=Relay.TIMEOUT, commands=(words,))
    launcher = launcher_of(words)
    if launcher is Launcher.RAY and _STAYS_IN_FRONT not in words:
        return Start(commands=(words,))
    return Start(
        commands=(words,),
        launcher=launcher,
        has_hosts=launcher is Launcher.MPIRUN and not _HOST_OPTIONS.isdisjoint(words),
        is_sshd=program == "sshd" and any(word[:1] == "-" and "D" in word for word in words[1:]),
    )


def _start_of_shell(words: Words, depth: int) -> Start:
    script = _script_of(words) if name_of_program(words) in _SHELLS else None
    if script is None:
        return Start(ShellLife.MAY_STAY, commands=(words,))
    read, shell = read_script(script), name_of_program(words)
    becomes = read.executes or (read.only_command if shell == "bash" else None)
    if becomes is not None or not read.commands:
        return _start_of(becomes or (), depth - 1)
    of_commands = list(_of_commands((command.words for command in read.commands), depth))
    return Start(
        shell=ShellLife.STAYS if _stays(shell, read) else ShellLife.MAY_STAY,
        traps_sigterm=read.traps_sigterm or any(each.traps_sigterm for each in of_commands),
        is_whole=read.is_whole and all(each.is_whole for each in of_commands),
        launcher=next((each.launcher for each in of_commands if each.launcher), None),
        has_hosts=any(each.has_hosts for each in of_commands),
        is_sshd=any(each.is_sshd for each in of_commands),
        commands=tuple(words for each in of_commands for words in each.commands),
    )


def _stays(shell: str, read: ShellScript) -> bool:
    """Return whether the shell is still there beside the training. dash never replaces itself without `exec` (seen)."""
    return read.is_whole and (shell == "dash" or not read.may_become_its_last)


def _of_commands(commands: Iterator[Words], depth: int) -> Iterator[Start]:
    for words in commands:
        yield _start_of(words[1:] if words[:1] == ("exec",) else words, depth - 1)


def _script_of(words: Words) -> str | None:
    """Return the script of `sh -c SCRIPT`; None where the script is in a file, or comes from elsewhere."""
    has_command, position = False, 1
    while position < len(words):
        word = words[position]
        position += 1
        if word == "--":
            break
        if word[:1] not in {"-", "+"} or len(word) == 1:
            position -= 1
            break
        if word in _SHELL_OPTIONS_WITH_VALUE:
            position += 1
        elif not word.startswith("--"):
            has_command |= "c" in word
            position += word[1:].count("o") + word[1:].count("O")
    return words[position] if has_command and position < len(words) else None


def _start_below_init(words: Words, depth: int) -> Start:
    program = name_of_program(words)
    is_dumb_init = program == "dumb-init"
    with_value = _DUMB_INIT_OPTIONS_WITH_VALUE if is_dumb_init else _TINI_OPTIONS_WITH_VALUE
    child = _after_options(words, with_value)
    options = words[1 : len(words) - len(child)]
    if is_dumb_init and _SINGLE_CHILD.isdisjoint(options):
        return Start(relay=Relay.DUMB_INIT, commands=(child,))
    if not is_dumb_init and any(option[:1] == "-" and option[:2] != "--" and "g" in option for option in options):
        return Start(relay=Relay.TINI_GROUP, commands=(child,))
    return replace(_start_of(child, depth - 1), init=program)


def _after_options(words: Words, with_value: frozenset[str]) -> Words:
    """Return the words behind a program's options."""
    position = 1
    while position < len(words) and words[position].startswith("-"):
        if words[position] == "--":
            return words[position + 1 :]
        position += 2 if words[position] in with_value else 1
    return words[position:]


def _behind(program: str, words: Words) -> Words | None:
    """Return the command that a program becomes, or hands SIGTERM to; None for any other program."""
    if program == "env":
        return _behind_env(words)
    if program == "uv":
        return _behind_uv(words)
    if program == "timeout" and "--foreground" in words:
        return _after_options(words, _TIMEOUT_OPTIONS_WITH_VALUE)[1:]
    return _after_options(words, _EXECUTES[program]) if program in _EXECUTES else None


def _behind_env(words: Words) -> Words:
    """Return the command of `env [OPTIONS] [NAME=VALUE ...] COMMAND`; `-S` splits the word after it."""
    position = 1
    while position < len(words):
        word = words[position]
        position += 1
        if word in {"-S", "--split-string", "-vS"}:
            return _behind_env(["env", *words_of(next(iter(words[position:]), "")), *words[position + 1 :]])
        if word in _ENV_OPTIONS_WITH_VALUE:
            position += 1
        elif not word.startswith("-") and "=" not in word:
            return words[position - 1 :]
    return ()


def _behind_uv(words: Words) -> Words:
    """Return the command of `uv run`, which passes SIGTERM on (astral-sh/uv#8933)."""
    return _after_options(words[words.index("run") :], frozenset()) if "run" in words else ()


def _lacks_jit_checkpoint(words: Words) -> bool:
    line = " ".join(words)[:_LONGEST_LINE]
    names = {word.partition("=")[0] for word in line.split() if word.startswith("--")}
    return not names.isdisjoint(_TRAINING_ARGUMENTS) and _SAVES_ON_SIGTERM not in names
