"""upload-container: a sidecar that uploads what the trainer saves gets SIGTERM when the trainer's container has ended.

Law: trainer and uploader are both started through supervise, or the uploader stays as its owner wrote it. Kubernetes ends a
native sidecar after the trainer anyway. There `supervise follow` only finds the process that acts on SIGTERM.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from webhook.policy.pod import Container, Pod
from webhook.policy.pod.start import ShellLife, read_start
from webhook.policy.shutdown import supervise_parts as parts
from webhook.policy.shutdown.changes import FieldEdit
from webhook.policy.shutdown.grace import Term
from webhook.policy.statements import keys
from webhook.policy.statements.statements import Statements

_TOLD_TOGETHER_SECONDS = 30
"""Within this time a kubelet, however busy, has sent SIGTERM to all regular containers of a pod."""
_LOOP = re.compile(r"\b(?:while|until|for)\b")


@dataclass(frozen=True, slots=True)
class Uploader:
    """The container that uploads what the trainer saves, and who named it."""

    container: Container
    origin: str

    @property
    def can_be_held(self) -> bool:
        """Whether it names its command. What an image starts by itself is not known."""
        return bool(self.container.command)

    @property
    def term(self) -> Term:
        """Return the term that tells that it is held."""
        return Term(
            keys.UPLOAD_CONTAINER.name, self.container.name, f"{self.origin}; SIGTERM when the trainer has ended"
        )


def uploader_of(pod: Pod, statements: Statements) -> Uploader | None:
    """Return the container that `upload-container` names; None where nobody names one."""
    stated = statements.get(keys.UPLOAD_CONTAINER)
    if stated is None:
        return None
    named = next((each for each in pod.running_containers if each.name == stated.value), None)
    return None if named is None else Uploader(named, stated.origin)


def edits_of(uploader: Uploader, trainer: Container, grace_seconds: int) -> tuple[FieldEdit, ...]:
    """Return the edits that start the uploader through `supervise follow`, in a pod with this grace."""
    container = uploader.container
    options = ["follow", "--grace", str(max(0, grace_seconds - container.pre_stop_seconds))]
    if not trainer.has_pre_stop_of_unknown_length:
        options += ["--trainer-told-within", str(trainer.pre_stop_seconds + _TOLD_TOGETHER_SECONDS)]
    return parts.wrapped(container, options, [parts.mount_of("bin"), parts.mount_of("task")])


def notes_on_uploader(pod: Pod, uploader: Uploader, *, is_held: bool) -> Iterator[str]:
    """Yield why the uploader is not held, or what keeps it from ending when it has uploaded."""
    name = uploader.container.name
    if is_held:
        if _loops_and_drops_sigterm(uploader.container):
            yield f"the loop of container {name} drops SIGTERM and uses up the grace: trap TERM, sync once more, exit"
    elif not uploader.can_be_held:
        yield f"upload-container: {name} is not held until the trainer has ended, as it names no command"
    elif pod.trainer.is_wrapped:
        yield f"upload-container: {name} is not held, as it was added or changed after the trainer was wrapped"
    else:
        yield f"upload-container: {name} is not held, as the trainer does not start through supervise"


def _loops_and_drops_sigterm(container: Container) -> bool:
    start = read_start(container.words)
    stays = start.shell is not ShellLife.NONE and not start.traps_sigterm and start.is_whole
    return stays and any(map(_LOOP.search, container.words))
