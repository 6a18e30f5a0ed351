"""forward-sigterm: a trainer behind a shell or a launcher that drops SIGTERM gets it through `supervise forward`.

Only where the container names its command: what an image starts by itself cannot be wrapped without knowing it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from webhook.policy import keys
from webhook.policy import pod as pods
from webhook.policy.config import Config
from webhook.policy.facts import Facts, JsonObject
from webhook.policy.supervise import parts
from webhook.policy.supervise.change import Conversion
from webhook.policy.supervise.obstacles import obstacles
from webhook.policy.supervise.resources import added

_SHELLS = frozenset({"sh", "bash", "dash", "ash", "zsh", "ksh"})
_SEVERAL_COMMANDS = re.compile(r"[;&|\n]")
_EXEC = re.compile(r"(?:^|[;&|\n({])[^\S\n]*exec\s+\S")
_LONGEST_SCRIPT = 64 * 1024
"""Characters that are looked at: this is a hint, not a shell."""


@dataclass(frozen=True, slots=True)
class Forwarding:
    """What is changed so that SIGTERM arrives, and what its owner should know."""

    conversion: Conversion | None = None
    notes: tuple[str, ...] = ()


def forwarding(pod: JsonObject, facts: Facts, said: keys.Statements, config: Config) -> Forwarding:
    """For a training pod that is no OSMO task: their conversion forwards already."""
    index, trainer = pods.trainer_index(pod), pods.trainer(pod)
    if parts.BINARY in (trainer.get("command") or ()):
        return Forwarding()
    stated = said.get(keys.FORWARD_SIGTERM)
    if stated is None or not stated.value:
        return Forwarding(notes=tuple(_dropped(trainer)))
    against = next(_against(pod, trainer, facts, config), None)
    if against is not None:
        return Forwarding(notes=(f"forward-sigterm: {against}",))
    edits = parts.wrapped(pod, ("containers", index), [parts.BINARY, "forward", "--"], [parts.mount("bin")])
    appended = {
        "initContainers": (parts.init(config.supervise, added(pod, facts)),),
        "volumes": (parts.volume(),),
        **parts.pull_secrets(pod, config.supervise),
    }
    return Forwarding(Conversion(edits, appended=appended))


def _against(pod: JsonObject, trainer: JsonObject, facts: Facts, config: Config) -> Iterator[str]:
    if not trainer.get("command"):
        yield f"container {trainer.get('name')} names no command, and the image's own cannot be wrapped"
    yield from obstacles(pod, facts, config.supervise)
    if facts.limit_ranges is None:
        yield "the namespace's LimitRanges are not known"


def _dropped(trainer: JsonObject) -> Iterator[str]:
    """A shell as PID 1 that goes on to live beside the training: it drops SIGTERM, and nobody else gets it.

    A shell that has one command only becomes it.
    """
    words = pods.words(trainer)
    if len(words) < 3 or words[0].rpartition("/")[2] not in _SHELLS or not _is_command_option(words[1]):  # noqa: PLR2004
        return
    script = words[2].strip()[:_LONGEST_SCRIPT]
    if _SEVERAL_COMMANDS.search(script) and not _EXEC.search(script):
        yield f"PID 1 of container {trainer.get('name')} is a shell, which drops SIGTERM: use exec, or set forward-sigterm"


def _is_command_option(word: str) -> bool:
    return word.startswith("-") and not word.startswith("--") and word.endswith("c")
