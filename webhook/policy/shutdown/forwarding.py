"""forward-sigterm: a trainer behind a shell or a launcher that drops SIGTERM gets it through `supervise forward`.

A container is wrapped only where it names its command: what an image starts by itself is not known.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from webhook.policy.configuration import Config
from webhook.policy.facts import Facts
from webhook.policy.pod import Container, Pod
from webhook.policy.shutdown import supervise_parts as parts
from webhook.policy.shutdown.changes import SpecChanges
from webhook.policy.shutdown.obstacles import obstacles_to_supervise
from webhook.policy.shutdown.requirements import requirements_of_added
from webhook.policy.statements import keys
from webhook.policy.statements.statements import Statements

_SEVERAL_COMMANDS = re.compile(r"[;&|\n]")
_EXEC = re.compile(r"(?:^|[;&|\n({])[^\S\n]*exec\s+\S")
_LONGEST_SCRIPT = 64 * 1024
"""Characters that are looked at: this is a hint, not a shell."""


@dataclass(frozen=True, slots=True)
class Forwarding:
    """What is changed so that SIGTERM arrives, and notes for the pod's owner."""

    changes: SpecChanges | None = None
    notes: tuple[str, ...] = ()


def forwarding_of(pod: Pod, facts: Facts, statements: Statements, config: Config) -> Forwarding:
    """Return how SIGTERM reaches the trainer of a training pod that is no OSMO task; a task's conversion forwards it."""
    if pod.trainer.is_wrapped:
        return Forwarding()
    stated = statements.get(keys.FORWARD_SIGTERM)
    if stated is None or not stated.value:
        return Forwarding(notes=tuple(_dropped_signals(pod.trainer)))
    obstacle = next(_obstacles(pod, facts, config), None)
    if obstacle is not None:
        return Forwarding(notes=(f"forward-sigterm: {obstacle}",))
    appended = {
        "initContainers": (parts.init_container(config.supervise, requirements_of_added(pod, facts)),),
        "volumes": (parts.supervise_volume(),),
        **parts.pull_secrets(pod, config.supervise),
    }
    return Forwarding(SpecChanges(parts.wrapped(pod.trainer, ["forward"], [parts.mount_of("bin")]), appended=appended))


def _obstacles(pod: Pod, facts: Facts, config: Config) -> Iterator[str]:
    if not pod.trainer.command:
        yield f"container {pod.trainer.name} names no command, and the image's own cannot be wrapped"
    yield from obstacles_to_supervise(pod, facts, config.supervise)
    if facts.limit_ranges is None:
        yield "the namespace's LimitRanges are not known"


def _dropped_signals(trainer: Container) -> Iterator[str]:
    """Yield a note where PID 1 is a shell that lives on beside the training: it drops SIGTERM.

    A shell that has one command only becomes that command.
    """
    script = (trainer.shell_script or "").strip()[:_LONGEST_SCRIPT]
    if _SEVERAL_COMMANDS.search(script) and not _EXEC.search(script):
        yield f"PID 1 of container {trainer.name} is a shell, which drops SIGTERM: use exec, or set forward-sigterm"
