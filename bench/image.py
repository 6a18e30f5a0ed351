"""The size of the image, where Docker is here and has one."""

import shutil
import subprocess

from tools.image import REPOSITORY


def newest() -> str | None:
    """The image of gracekeeper that was built last on this machine; None where there is none."""
    listed = _docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", REPOSITORY)
    return listed.splitlines()[0] if listed else None


def size_mib(name: str) -> float | None:
    """Its size, unpacked; None where Docker does not know it."""
    size = _docker("image", "inspect", "--format", "{{.Size}}", name)
    return int(size) / 2**20 if size else None


def _docker(*words: str) -> str:
    if shutil.which("docker") is None:
        return ""
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=False).stdout.strip()
