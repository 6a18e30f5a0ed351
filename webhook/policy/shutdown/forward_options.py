"""The options of `supervise forward` for one trainer, from the pod's grace and its owner's keys."""

from collections.abc import Iterator

from webhook.policy.pod import Container, Pod
from webhook.policy.statements import keys
from webhook.policy.statements.statements import Statements
from webhook.policy.storage.folder_to_sync import folder_to_sync

_OPTION_OF_KEY = (
    (keys.FORWARD_SIGNAL, "--signal"),
    (keys.INTERRUPTED_CODE, "--interrupted-code"),
    (keys.STALL_SECONDS, "--stall-seconds"),
)
_TERMINATION_LOG = "/dev/termination-log"
"""Where Kubernetes reads a container's termination message, unless the container says otherwise."""


def forward_options(pod: Pod, statements: Statements, grace_seconds: int) -> list[str]:
    """Return the options for a trainer that has `grace_seconds`, less its preStop sleep, from SIGTERM on."""
    folder = folder_to_sync(pod, statements)
    return [
        *("--grace", str(max(0, grace_seconds - pod.trainer.pre_stop_seconds))),
        *(("--sync", folder) if folder else ()),
        *_termination_log(pod.trainer),
        *_stated(statements),
    ]


def _termination_log(trainer: Container) -> Iterator[str]:
    """Yield where supervise leaves its line. A container that falls back to its logs shows an empty message's logs there."""
    if trainer.manifest.get("terminationMessagePolicy") != "FallbackToLogsOnError":
        yield from ("--termination-log", trainer.manifest.get("terminationMessagePath") or _TERMINATION_LOG)


def _stated(statements: Statements) -> Iterator[str]:
    for key, option in _OPTION_OF_KEY:
        stated = statements.get(key)
        if stated is not None:
            yield from (option, str(stated.value))
