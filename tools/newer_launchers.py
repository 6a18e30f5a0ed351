"""Folders with newer launchers from PyPI, to be mounted into the file system of tools/launchers.py. CI fetches none of them.

Law: everything in a folder is pinned by hash, and it is kept by the hash of its lock.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from tools import frameworks
from tools.cluster import cache as cached
from tools.cluster.steps import StepError, step

_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Launcher:
    """A launcher with the packages that it needs beside Debian's."""

    name: str
    """Of its lock tools/NAME.lock, and of its package."""
    free_gib: int
    """Disk space that its installation needs: the packages, and the files that they come in."""
    usually: str

    @property
    def lock(self) -> Path:
        """The file with versions and hashes."""
        return Path(__file__).with_name(f"{self.name}.lock")

    @property
    def version(self) -> str:
        """The version of the launcher itself."""
        return frameworks.locked_versions(self.lock)[self.name]

    def folder(self, cache: Path) -> Path:
        """Return the folder with the packages, made where there is none; StepError where it cannot be made."""
        return cached.kept(cache, f"{self.name}-packages", cached.key(self.lock), self._make)

    def _make(self, target: Path) -> None:
        free = shutil.disk_usage(target.parent).free
        if free < self.free_gib * _GIB:
            raise StepError(
                f"{self.name} {self.version} needs {self.free_gib} GiB in {target.parent}, which has"
                f" {free // _GIB}. Free some, or leave its rows out."
            )
        with step(f"Installing {self.name} {self.version} and what it needs into a folder", self.usually):
            frameworks.install(self.lock, target)


TORCH = Launcher("torch", 12, "5 min")
"""With its CUDA packages, 5 GB, as most images have it."""


def versions() -> dict[str, str]:
    """Return the versions of the newer launchers, by name."""
    return {"newer torch": TORCH.version}
