"""Minimal Debian file systems as tar files, made by debootstrap from signed packages.

Law: an unsigned or wrongly signed package list ends the build.
"""

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tools.cluster import cache as cached
from tools.cluster import packages
from tools.cluster.steps import StepError, run, step

_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_PROGRAMS = {"debootstrap": "debootstrap", "gpgv": "gpgv", _KEYRING: "debian-archive-keyring", "unshare": "util-linux"}
_LEFT_OUT = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale", "usr/share/man")


@dataclass(frozen=True, slots=True)
class System:
    """A suite, the packages on top of the minimum, and links (path in the system -> what it points to)."""

    name: str
    suite: str
    include: Sequence[str]
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Of everything that decides what is in it."""
        links = [f"{path}->{target}" for path, target in sorted(self.links.items())]
        return cached.key("debian", self.suite, *self.include, *links, *_LEFT_OUT)


def tar(cache: Path, system: System) -> Path:
    """The file system as a tar file, kept."""
    return cached.kept(cache, f"debian-{system.name}", system.key, lambda target: _make(system, target))


def _make(system: System, target: Path) -> None:
    if os.geteuid() != 0:
        raise StepError(
            "no container registry answers, and without one only root can build the images: run this as root"
        )
    root = Path(tempfile.mkdtemp(prefix=f"{target.name}-", dir=target.parent))
    try:
        with step(f"Installing Debian {system.suite} with {', '.join(system.include[:3])} into an image", "45 s"):
            bootstrap(system, root)
            left_out = [f"--exclude=./{path}/*" for path in _LEFT_OUT]
            run(["tar", "-C", root, *left_out, "-cf", target, "."])
    finally:
        shutil.rmtree(root)


def bootstrap(system: System, root: Path) -> None:
    """Install the system into a folder, as root. What debootstrap starts and mounts is gone with it, however it ends."""
    packages.need(_PROGRAMS)
    options = [
        "--variant=minbase",
        "--force-check-gpg",
        f"--keyring={_KEYRING}",
        f"--include={','.join(system.include)}",
    ]
    alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    run([*alone, "debootstrap", *options, system.suite, root])
    root.chmod(0o755)
    for path, points_to in system.links.items():
        link = root / path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(points_to)
