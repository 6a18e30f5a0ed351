"""A container as far as supervise can tell: a PID namespace with its own /proc, whose PID 1 is what is started."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

SIGTERM = 1 << signal.SIGTERM - 1
PATIENCE_SECONDS = 30
"""The machine is shared: what is waited for takes a fraction of it, and none of it where all is well."""


class RightsError(Exception):
    """No PID namespace can be made here."""


def namespace() -> list[str]:
    """The words before a command that make it PID 1; RightsError where that is not allowed."""
    words = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    tried = subprocess.run([*words, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        reason = tried.stderr.strip()
        raise RightsError(f"supervise is tested as PID 1, and no PID namespace can be made here (root can): {reason}")
    return words


def until(holds: Callable[[], object], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Waits for something that will be."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.01)


class Container:
    """Started at once; its stdout and stderr are files, unless other descriptors are given."""

    def __init__(  # noqa: PLR0913  # what a container is given
        self,
        folder: Path,
        command: Sequence[str | Path],
        *,
        prepare: str = "",
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        stdout: int | IO[bytes] | None = None,
        stderr: int | IO[bytes] | None = None,
        environment: dict[str, str] | None = None,
        session: bool = True,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._out, self._err = folder / "stdout", folder / "stderr"
        words = [str(word) for word in command]
        if prepare:
            words = ["sh", "-c", f'{prepare}\nexec "$@"', "sh", *words]
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._outside = subprocess.Popen(
                ["env", "--default-signal", *namespace_words(), *words],  # CI may run us with signals ignored
                stdin=stdin,
                stdout=out if stdout is None else stdout,
                stderr=err if stderr is None else stderr,
                env=environment,
                start_new_session=session,
            )
        self._pid = 0

    @property
    def pid(self) -> int:
        """PID 1, as it is seen from here."""
        if not self._pid:
            until(self._child, "PID 1")
            self._pid = self._child()
        return self._pid

    def _child(self) -> int:
        outside = self._outside.pid
        words = Path(f"/proc/{outside}/task/{outside}/children").read_text().split()
        return int(words[0]) if words else 0

    @property
    def stdout(self) -> str:
        return self._out.read_text(errors="replace")

    @property
    def stderr(self) -> str:
        return self._err.read_text(errors="replace")

    def says(self, text: str, times: int = 1) -> None:
        """Waits until stdout holds the text so many times."""
        until(lambda: self.stdout.count(text) >= times, f"{text!r} on stdout ({self.stdout!r}, {self.stderr!r})")

    def complains(self, text: str) -> None:
        """Waits until stderr holds the text."""
        until(lambda: text in self.stderr, f"{text!r} on stderr")

    def signal(self, number: int = signal.SIGTERM) -> None:
        os.kill(self.pid, number)

    def ends(self, seconds: float = PATIENCE_SECONDS) -> int:
        """The exit code of PID 1, 128 + n where a signal ended it."""
        code = self._outside.wait(seconds)
        return code if code >= 0 else 128 - code

    @property
    def running(self) -> bool:
        return self._outside.poll() is None

    def processes(self) -> dict[int, str]:
        """Everything in the container but zombies: its PID as seen from here, and its command line."""
        inside = Path(f"/proc/{self.pid}/ns/pid").readlink()
        found: dict[int, str] = {}
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and (entry / "ns" / "pid").readlink() == inside:
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        return found

    def runs(self, text: str) -> int:
        """The PID, as seen from here, of a process whose command line begins so; waits for it."""
        found: list[int] = []

        def look() -> bool:
            own = self.pid
            found[:] = [pid for pid, line in self.processes().items() if line.startswith(text) and pid != own]
            return bool(found)

        until(look, f"a process {text!r}")
        return found[0]

    @property
    def catches(self) -> int:
        """The signals that PID 1 has a handler for, as bits."""
        return caught(self.pid)

    def listens(self) -> None:
        """Waits until supervise does. Go has its handlers before main, but none for SIGTSTP until it is asked for it."""
        until(lambda: self.catches & 1 << signal.SIGTSTP - 1, "it listens")

    def close(self) -> None:
        if self.running:
            self._outside.kill()
        self._outside.wait()


def caught(pid: int) -> int:
    """The signals that a process has a handler for, as bits."""
    return int(status(Path(f"/proc/{pid}/status"), "SigCgt"), 16)


def status(file: Path, name: str) -> str:
    """The first word of a line in a status file of /proc."""
    return next(line for line in file.read_text().splitlines() if line.startswith(f"{name}:")).split()[1]


def namespace_words() -> list[str]:
    """As namespace, asked once."""
    if not _WORDS:
        _WORDS.extend(namespace())
    return _WORDS


_WORDS: list[str] = []
