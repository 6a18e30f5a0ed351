"""What a node knows of a pod: its processes, and the evidence that outlives it."""

import json
import shlex
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from e2e.osmo.pods import EVIDENCE_ON_NODE
from tools.cluster.steps import StepError

_END = "--end-of-answer--"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a stand-in or a trainer did, with its time in seconds of the epoch."""

    seconds: float
    program: str
    event: str
    detail: str = ""

    def __str__(self) -> str:
        """One line of a story."""
        return f"{self.seconds:.1f} {self.program}: {self.event} {self.detail}".rstrip()


class Node:
    """One node, through a shell that stays: a `docker exec` for each question would cost more than the pods."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._lock = threading.Lock()
        self._shell: subprocess.Popen[str] | None = None

    def run(self, script: str) -> str:
        """What a script prints; StepError where it fails."""
        with self._lock:
            shell = self._started()
            assert shell.stdin is not None and shell.stdout is not None  # noqa: PT018  # for the type checker
            shell.stdin.write(f"({script}\n) 2>&1 </dev/null; printf '\\n%s %s\\n' {_END} $?\n")
            shell.stdin.flush()
            lines: list[str] = []
            for line in shell.stdout:
                if line.startswith(_END):
                    code = int(line.split()[1])
                    break
                lines.append(line)
            else:
                self._shell = None
                raise StepError(f"the shell on {self.name} ended")
        text = "".join(lines)[:-1]
        if code:
            raise StepError(f"on {self.name}: {script}\nended with {code}: {text}")
        return text

    def close(self) -> None:
        """End the shell."""
        if self._shell is not None and self._shell.stdin is not None and self._shell.stdout is not None:
            self._shell.stdin.close()
            self._shell.wait(10)
            self._shell.stdout.close()

    def _started(self) -> subprocess.Popen[str]:
        if self._shell is None:
            command = ["docker", "exec", "-i", self.name, "sh"]
            self._shell = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self._shell

    def forget(self, namespace: str) -> None:
        """No evidence of an earlier run in this namespace."""
        self.run(f"rm -rf {shlex.quote(f'{EVIDENCE_ON_NODE}/{namespace}')}")

    def events(self, folder: str) -> list[Event]:
        """What happened in a run so far, in order."""
        lines = self.run(f"cat {shlex.quote(folder)}/events 2>/dev/null || true").splitlines()
        return sorted((Event(**fields) for fields in map(_json, lines) if fields), key=lambda event: event.seconds)

    def files(self, folder: str) -> list[str]:
        """What a run left, as paths below its folder."""
        paths = self.run(f"cd {shlex.quote(folder)} 2>/dev/null && find . -type f || true").splitlines()
        return sorted(path.removeprefix("./") for path in paths)

    def order(self, folder: str, order: str) -> None:
        """What osmo_ctrl shall do now (standin/knobs.go)."""
        self.run(f"echo {shlex.quote(order)} > {shlex.quote(folder)}/do")

    def kill_first_process(self, container_id: str) -> None:
        """SIGKILL for PID 1 of a container, from outside."""
        identifier = container_id.removeprefix("containerd://")
        self.run(
            f"for process in $(grep -l {identifier} /proc/[0-9]*/cgroup 2>/dev/null); do "
            "folder=${process%/cgroup}; "
            r"if grep -q '^NSpid:.*[[:space:]]1$' $folder/status; then kill -9 ${folder#/proc/}; exit 0; fi; "
            "done; echo no such process; exit 1"
        )


def _json(line: str) -> dict[str, Any] | None:
    """An event, or None for a line that is not whole yet."""
    try:
        value: dict[str, Any] = json.loads(line)
    except json.JSONDecodeError:
        return None
    return value


def whole_uploads(files: Sequence[str]) -> dict[str, set[str]]:
    """For each address the files that its whole uploads carried; a cut one is in a folder that ends with .PART."""
    return _uploads(files, whole=True)


def cut_uploads(files: Sequence[str]) -> dict[str, set[str]]:
    """For each address the files of uploads that did not come to their end."""
    return _uploads(files, whole=False)


def _uploads(files: Sequence[str], *, whole: bool) -> dict[str, set[str]]:
    uploads: dict[str, set[str]] = {}
    for path in files:
        parts = path.split("/", 3)
        if len(parts) == 4 and parts[0] == "uploads" and parts[2].endswith(".PART") is not whole:
            uploads.setdefault(parts[1].replace("%2F", "/").replace("%3A", ":"), set()).add(parts[3])
    return uploads
