"""Programs that come as Debian packages: installed where they are missing and this is root on Debian."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from tools.cluster.steps import StepError, run, step


def need(packages: Mapping[str, str]) -> None:
    """Each program (key) is on PATH when this returns, from its package (value) where it was not."""
    missing = {program: package for program, package in packages.items() if not _there(program)}
    if not missing:
        return
    names = sorted(set(missing.values()))
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        who = "only root on Debian can install it here" if os.geteuid() == 0 else "only root could install it"
        raise StepError(
            f"{', '.join(missing)} missing, and {who}: install {', '.join(names)}, or run this as root on Debian"
        )
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with step(f"Installing {', '.join(names)} from Debian's packages", "30 s"):
        run(["apt-get", "update", "-q"])
        run(["apt-get", "install", "-qy", "--no-install-recommends", *names], environment=environment)


def _there(program: str) -> bool:
    """A program by name, or a file by its path."""
    return Path(program).exists() if program.startswith("/") else shutil.which(program) is not None
