"""Folders with launchers from PyPI that Debian lacks, or has older, to be mounted into the file system of tools/launchers.py. CI fetches none of them.

Law: everything in a folder is pinned by hash, and it is kept by the hash of its lock.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from tools import frameworks
from tools.cluster import cache as cached
from tools.cluster.steps import StepError, run, step

_GIB = 1 << 30
_COMPILE = """
mount --bind "$1" "$2/opt"
chroot "$2" python3 -m compileall -qq -j 2 /opt || true  # some files are for another Python
"""
"""Without it each process of each test compiles what it imports. ray gives its own 30 s to start."""


@dataclass(frozen=True, slots=True)
class Launcher:
    """A launcher with the packages that it needs beside Debian's."""

    name: str
    """Of its lock tools/NAME.lock, and of its package."""
    free_gib: int
    """Disk space that its installation needs: the packages, and the files that they come in."""
    usually: str
    python: str = "3.13"
    """Whose wheels it takes; the file system has 3.13."""

    @property
    def lock(self) -> Path:
        """The file with versions and hashes."""
        return Path(__file__).with_name(f"{self.name}.lock")

    @property
    def version(self) -> str:
        """The version of the launcher itself."""
        return frameworks.locked_versions(self.lock)[self.name]

    def folder(self, cache: Path, root: Path) -> Path:
        """Return the folder with the packages for a file system, made where there is none; StepError where it cannot be."""
        key = cached.key(self.lock, self.python, _COMPILE, root.name)
        return cached.kept(cache, f"{self.name}-packages", key, lambda target: self._make(target, root))

    def _make(self, target: Path, root: Path) -> None:
        free = shutil.disk_usage(target.parent).free
        if free < self.free_gib * _GIB:
            raise StepError(
                f"{self.name} {self.version} needs {self.free_gib} GiB in {target.parent}, which has"
                f" {free // _GIB}. Free some, or leave its rows out."
            )
        with step(f"Installing {self.name} {self.version} and what it needs into a folder", self.usually):
            frameworks.install(self.lock, target, self.python)
            run(["unshare", "--mount", "sh", "-c", _COMPILE, "sh", target, root])


TORCH = Launcher("torch", 12, "5 min")
"""With its CUDA packages, 5 GB, as most images have it."""

RAY = Launcher("ray", 2, "1 min")
FT_LAUNCHER = Launcher("nvidia-resiliency-ext", 1, "10 s", python="3.12")


def versions() -> dict[str, str]:
    """Return the versions of the newer launchers, by name."""
    return {"newer torch": TORCH.version, "ray": RAY.version, FT_LAUNCHER.name: FT_LAUNCHER.version}
