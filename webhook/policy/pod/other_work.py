"""What a container does that is no training: it serves, waits for somebody to log in, tests the network, or evaluates.

Law: it is a reading for precision. Work that is not known for sure may be training.
"""

import re
from collections.abc import Iterator, Mapping

from webhook.policy.names import shown
from webhook.policy.pod.container import Container
from webhook.policy.pod.launchers import name_of_program
from webhook.policy.pod.start import Start, Words

_SERVERS = re.compile(
    r"(?<![\w.-])(?:vllm\s+serve|vllm\.entrypoints|text-generation-launcher|tritonserver|sglang\.launch_server)(?![\w-])"
)
"""Model servers, in a command line. A training that calls one (`--rollout=vllm`) has another word before it or behind it."""
_BENCHMARK = re.compile(r"\w+_perf(?:_mpi)?|osu_\w+|ib_(?:write|read|send)_\w+")
"""Tests of the network: nccl-tests, rccl-tests, OSU, perftest."""
_OTHER_PROGRAMS = re.compile(
    r"sleep|tail|sshd|tensorboard|code-server|ollama|lm[_-]eval|trtexec|neuron_parallel_compile|(?:jupyter|start-notebook)[\w.-]*"
)
"""Programs that wait, show or evaluate."""
_OTHER_SCRIPTS = re.compile(
    r"(?:^|[_.-])(?:eval\w*|infer\w*|serv(?:e|er|ing)|predict\w*|generat\w*|bench\w*|convert\w*|export\w*|download\w*"
    r"|notebook|jupyter\w*|tensorboard|consolidat\w*|prepare\w*|preprocess\w*|tokeni[sz]\w*|merge\w*|upload\w*|quanti[sz]\w*)(?=$|[_.-])"
)
_TRAINING_SCRIPTS = re.compile(r"train|tun(?:e|ing)|(?:^|[_.-])(?:sft|dpo|ppo|grpo|fit)(?=$|[_.-])")
"""What a script's name may hold that trains, whatever else it holds: `train_and_eval.py`."""
_PLUMBING = frozenset({
    "", ":", "[", "[[", "apt", "apt-get", "awk", "aws", "break", "cat", "cd", "chmod", "chown", "cp", "curl", "date", "df",
    "echo", "env", "exit", "export", "false", "find", "gcloud", "git", "grep", "gsutil", "hostname", "id", "ln", "ls",
    "mkdir", "mv", "nproc", "nvidia-smi", "pip", "pip3", "printf", "rm", "rocm-smi", "rsync", "sed", "service", "set",
    "ssh-keygen", "test", "touch", "trap", "true", "ulimit", "uname", "wait", "wget", "whoami",
})  # fmt: skip
"""Programs that prepare or look, beside the work itself."""
_SOURCING = frozenset({".", "source"})
_SETTINGS = re.compile(r"activate|env|rc$|profile|setvars|setup")
"""Files that a shell sources for their settings. Another file may hold the training."""
_CONDA = frozenset({"conda", "mamba", "micromamba"})
_IMAGES: Mapping[str, re.Pattern[str]] = {
    "a model server": re.compile(r"vllm-openai|text-generation-inference|tritonserver|sglang"),
    "a notebook": re.compile(r"jupyter|notebook|code-server"),
    "a test of the network": re.compile(r"nccl-tests|rccl-tests"),
}
"""What the image's own command does. Another image may train, which by itself says nothing."""
_SCRIPT_SUFFIXES = (".py", ".sh", ".bash")
_MOST_WORDS = 256
"""Words of a command that are looked at."""
_LONGEST_NAME = 256
_LONGEST_WORD = 4096


def server_of(start: Start) -> str | None:
    """Return the model server that a container starts, such as `vllm serve`; None where it starts none.

    A start with a launcher of ranks trains, and may have a server beside it.
    """
    if start.launcher is not None:
        return None
    lines = (" ".join(word[:_LONGEST_NAME] for word in words[:_MOST_WORDS]) for words in start.commands)
    return next((" ".join(server[0].split()) for line in lines if (server := _SERVERS.search(line))), None)


def other_work_of(container: Container, start: Start) -> str:
    """Return in words what a container does instead of training; empty where it may train."""
    server = server_of(start)
    if server is not None:
        return f"it runs {server}"
    if container.manifest.get("stdin") and len(container.words) < 2:  # noqa: PLR2004  # no command, or a shell alone
        return "it waits for input"
    if not container.command and not _starts_with_a_program(container.words):
        image = name_of_image(container)
        work = next((work for work, pattern in _IMAGES.items() if pattern.search(image)), "")
        return work and f"its image is that of {work}"
    names = [name for words in start.commands if (name := _name_of_work(words)) != ""]
    if not names and start.commands:
        return "it trains nothing"
    return "" if None in names or not names else f"it runs {shown(names[-1])}"


def _starts_with_a_program(words: Words) -> bool:
    """Return whether the first word is no option of the image's own command."""
    return bool(words) and not words[0].startswith("-")


def name_of_image(container: Container) -> str:
    """Return the image without registry, tag and digest."""
    image = str(container.manifest.get("image") or "")[:_LONGEST_NAME]
    registry, slash, repository = image.partition("/")
    is_registry = slash and ("." in registry or ":" in registry or registry == "localhost")
    return (repository if is_registry else image).partition("@")[0].partition(":")[0]


def _name_of_work(words: Words) -> str | None:
    """Return the name of the other work that a command does; None where it may train, empty where it only prepares."""
    program = name_of_program(words)[:_LONGEST_NAME]
    words = [word[:_LONGEST_WORD] for word in words[:_MOST_WORDS]]
    if program in _PLUMBING or "=" in program or _prepares(program, words):
        return ""
    benchmark = next((name for word in words if _BENCHMARK.fullmatch(name := word.rpartition("/")[2])), None)
    if benchmark is not None:
        return benchmark
    if _OTHER_PROGRAMS.fullmatch(program):
        return program
    script = next(_scripts(words), program)[:_LONGEST_NAME]
    is_other = _OTHER_PROGRAMS.fullmatch(script) or _OTHER_SCRIPTS.search(script)
    return script if is_other and not _TRAINING_SCRIPTS.search(script) else None


def _prepares(program: str, words: Words) -> bool:
    """Return whether a command only sets up the shell: it activates an environment, or sources settings."""
    if program in _CONDA:
        return "run" not in words
    return program in _SOURCING and any(_SETTINGS.search(word[-_LONGEST_NAME:]) for word in words[1:2])


def _scripts(words: Words) -> Iterator[str]:
    """Yield the scripts and modules among a command's words, without folder and suffix."""
    for word, following in zip(words, (*words[1:], ""), strict=False):
        if word == "-m":
            yield following
        elif word.endswith(_SCRIPT_SUFFIXES) and not word.startswith("-"):
            yield word.rpartition("/")[2].rpartition(".")[0]
