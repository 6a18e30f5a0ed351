"""The keys that a pod's owner or an admin can set, and how the value of each is spelled."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from webhook.policy import quantity
from webhook.policy.configuration import ForwardSigterm, OsmoMode
from webhook.policy.prefix import ENVIRONMENT_PREFIX

_LONGEST_GRACE_SECONDS = 30 * 24 * 3600
_LONGEST_STEP_SECONDS = 24 * 3600
_LARGEST_EXIT_CODE = 255
MOST_WRITERS = 1_000_000
_MOST_BYTES_PER_PARAMETER = 64


def _osmo_mode(text: str) -> str:
    if text not in set(OsmoMode):
        raise quantity.UnreadableError("not an OSMO mode")
    return text


def _forward_sigterm(text: str) -> ForwardSigterm:
    if text not in set(ForwardSigterm):
        raise quantity.UnreadableError("neither true, false nor auto")
    return ForwardSigterm(text)


SIGNALS = frozenset({"SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"})
"""Signals that a trainer can be told to save by. The others end a process, stop it, or stand for a fault."""


def _signal(text: str) -> str:
    if text not in SIGNALS:
        raise quantity.UnreadableError(f"none of {', '.join(sorted(SIGNALS))}")
    return text


def _volume(text: str) -> str:
    if not text:
        raise quantity.UnreadableError("empty")
    return text


NO_WORKLOAD = "none"
"""A value of `workload`: no termination of this pod is remembered."""
_LABEL_VALUE = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


def _workload(text: str) -> str:
    if not _LABEL_VALUE.fullmatch(text):
        raise quantity.UnreadableError("no label value of 1 to 63 characters")
    return text


ALL_PODS = "all"
"""A value of checkpoint-writers: every pod of the job writes its shard, and the framework's own number counts."""


def _writers(text: str) -> int | str:
    return text if text == ALL_PODS else quantity.whole_number(text, smallest=1, largest=MOST_WRITERS)


@dataclass(frozen=True, slots=True)
class Key:
    """One key: how its text is read, and an example of a right spelling."""

    name: str
    read: Callable[[str], Any]
    example: str
    namespace_only: bool = False

    @property
    def variable(self) -> str:
        """Return the name of its environment variable, e.g. GRACEKEEPER_CHECKPOINT_SIZE."""
        return ENVIRONMENT_PREFIX + self.name.upper().replace("-", "_")


_seconds = partial(quantity.whole_number, smallest=1, largest=_LONGEST_GRACE_SECONDS)

ENABLED = Key("enabled", quantity.switch, "true")
GRACE_SECONDS = Key("grace-seconds", _seconds, "900")
CHECKPOINT_SIZE = Key("checkpoint-size", quantity.size_bytes, "105Gi")
MODEL_PARAMETERS = Key("model-parameters", quantity.parameter_count, "8.03B")
BYTES_PER_PARAMETER = Key(
    "bytes-per-parameter", partial(quantity.decimal_number, largest=_MOST_BYTES_PER_PARAMETER), "14"
)
CHECKPOINT_WRITERS = Key("checkpoint-writers", _writers, "64")
CHECKPOINT_VOLUME = Key("checkpoint-volume", _volume, "checkpoints")
WRITE_THROUGHPUT = Key("write-throughput", quantity.rate_bytes_per_second, "1GiBps")
UPLOAD_SIZE = Key("upload-size", quantity.size_bytes, "9.2GB")
UPLOAD_THROUGHPUT = Key("upload-throughput", quantity.rate_bytes_per_second, "200MBps")
STEP_SECONDS = Key("step-seconds", partial(quantity.decimal_number, largest=_LONGEST_STEP_SECONDS), "12.5")
FORWARD_SIGTERM = Key("forward-sigterm", _forward_sigterm, "true")
FORWARD_SIGNAL = Key("forward-signal", _signal, "SIGUSR1")
INTERRUPTED_CODE = Key(
    "interrupted-code", partial(quantity.whole_number, smallest=0, largest=_LARGEST_EXIT_CODE), "143"
)
STALL_SECONDS = Key("stall-seconds", _seconds, "120")
WORKLOAD = Key("workload", _workload, "llama-sft")
OSMO_MODE = Key("osmo-mode", _osmo_mode, "native")
MAXIMUM_GRACE_SECONDS = Key("maximum-grace-seconds", _seconds, "1800", namespace_only=True)

KEYS = {
    key.name: key
    for key in (
        ENABLED,
        GRACE_SECONDS,
        CHECKPOINT_SIZE,
        MODEL_PARAMETERS,
        BYTES_PER_PARAMETER,
        CHECKPOINT_WRITERS,
        CHECKPOINT_VOLUME,
        WRITE_THROUGHPUT,
        UPLOAD_SIZE,
        UPLOAD_THROUGHPUT,
        STEP_SECONDS,
        FORWARD_SIGTERM,
        FORWARD_SIGNAL,
        INTERRUPTED_CODE,
        STALL_SECONDS,
        WORKLOAD,
        OSMO_MODE,
        MAXIMUM_GRACE_SECONDS,
    )
}
