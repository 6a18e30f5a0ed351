"""A pod as far as supervise can tell: containers that share a folder."""

import os
import subprocess
import sys
from pathlib import Path

from tests.supervise.container import Container

PROGRAMS = Path(__file__).parent / "programs"


class Pod:
    """A folder that supervise has installed itself into, and the containers that share it."""

    def __init__(self, folder: Path, program: Path) -> None:
        self.folder = folder / "gracekeeper"
        self.log = folder / "termination-log"
        self.log.touch()
        self._containers: list[Container] = []
        self._files = folder
        subprocess.run([program, "install", "--folder", self.folder], check=True)
        self.program = self.folder / "bin" / "supervise"
        self.checkpoint = folder / "checkpoint"

    def run(self, *command, **options) -> Container:
        container = Container(self._files / f"container-{len(self._containers)}", command, **options)
        self._containers.append(container)
        return container

    def forward(self, *words, **options) -> Container:
        """supervise forward; words before -- are its own, or the command's where there is none."""
        own, command = _split(words)
        return self.run(self.program, "forward", *own, "--", *command, **options)

    def followed(self, *command, **options) -> Container:
        """supervise forward around a trainer for whose end an uploader waits."""
        return self.run(self.program, "forward", "--folder", self.folder, "--followed", "--", *command, **options)

    def follow(self, *words, grace=60, **options) -> Container:
        own, command = _split(words)
        return self.run(
            self.program, "follow", "--folder", self.folder, "--grace", grace, *own, "--", *command, **options
        )

    def below(self, *words, **options) -> Container:
        """supervise forward --below, with osmo_exec as its child."""
        own, command = _split(words)
        return self.run(
            self.program,
            "forward",
            "--folder",
            self.folder,
            "--below",
            *own,
            "--",
            *python("osmo_exec"),
            *command,
            **options,
        )

    def hold(self, *words, grace=30, **options) -> Container:
        own, command = _split(words)
        log = ["--termination-log", self.log]
        return self.run(
            self.program, "hold", "--folder", self.folder, "--grace", grace, *log, *own, "--", *command, **options
        )

    def gate(self, **options) -> Container:
        return self.run(self.program, "gate", "--folder", self.folder, **options)

    def write(self, name: str, content: str = "1") -> None:
        """A file that appears whole, as supervise writes it: one that is still empty would be read as such."""
        unfinished = self._files / "unfinished"
        unfinished.write_text(content)
        unfinished.rename(self.folder / name)

    def read(self, name: str) -> str:
        path = self.folder / name
        return path.read_text() if path.exists() else ""

    def close(self) -> None:
        for container in self._containers:
            container.close()


def python(name: str) -> list[str]:
    """One of the programs beside this file."""
    return [sys.executable, "-I", "-S", str(PROGRAMS / f"{name}.py")]


def _split(words):
    if "--" in words:
        middle = words.index("--")
        return words[:middle], words[middle + 1 :]
    return (), words


def endless(pod: Pod) -> int:
    """A stdin on which nothing comes."""
    path = pod.folder / "fifo"
    os.mkfifo(path)
    return os.open(path, os.O_RDWR)


CTRL = python("osmo_ctrl")
TRAINER = " ".join(python("trainer"))
