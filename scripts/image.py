"""Builds gracekeeper's image: dependencies are fetched here, every hash checked, and only copied by the image build.

Law: the image build reads no network, and what is fetched is what the lock names, for the image's Python, not ours.
"""

import argparse
import hashlib
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
REPOSITORY = "gracekeeper/gracekeeper"
PYTHON_BASE = "python:3.13-slim"
PYTHON_VERSION = "3.13"
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
GLIBC = ("2_28", "2_17")
"""manylinux levels that wheels may ask for; every base image has a newer glibc."""
NEVER_LOADED = ("kubernetes/aio", "kubernetes/client/api", "bin")
"""Generated calls of the kubernetes package (64 MB): gracekeeper makes raw ones (webhook/api.py)."""


def main() -> int:
    """Build, and print the image's name."""
    parser = argparse.ArgumentParser(description="Build gracekeeper's image with Docker.")
    parser.add_argument("--base", default=PYTHON_BASE, help=f"base image with Python {PYTHON_VERSION} (%(default)s)")
    parser.add_argument("--tag", help=f"name and tag (default: {REPOSITORY}:VERSION)")
    parser.add_argument("--architecture", choices=MACHINES, default=architecture(), help="default: this machine's")
    options = parser.parse_args()
    try:
        name = build(options.base, options.tag or f"{REPOSITORY}:{version()}", options.architecture)
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"image: {error.cmd[0]} {error.cmd[1]} ended with {error.returncode}, see above\n")
        return 1
    sys.stdout.write(f"{name}\n")
    return 0


def build(base: str, tag: str, machine: str = "") -> str:
    """The image of this checkout under that name; CalledProcessError where pip or Docker fails."""
    machine = machine or architecture()
    dependencies(machine)
    arguments = {"BASE": base, "ARCHITECTURE": machine, "VERSION": version()}
    options = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
    _run("docker", "build", "--quiet", "--tag", tag, *options, str(ROOT))
    return tag


def content_key() -> str:
    """Twelve hex digits for everything of this checkout that goes into the image."""
    digest = hashlib.sha256()
    sources = sorted(path for path in (ROOT / "webhook").rglob("*.py"))
    for path in (LOCK, ROOT / "Dockerfile", Path(__file__), *sources):
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def dependencies(machine: str) -> Path:
    """The folder with the locked dependencies for the image; made anew when the lock or this file has changed."""
    folder = ROOT / "build" / "image" / machine
    stamp = folder.with_suffix(".key")
    wanted = hashlib.sha256(LOCK.read_bytes() + Path(__file__).read_bytes()).hexdigest()
    if folder.is_dir() and stamp.exists() and stamp.read_text() == wanted:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _run(sys.executable, "-m", "pip", *_pip_arguments(machine, folder))
    for name in NEVER_LOADED:
        shutil.rmtree(folder / name, ignore_errors=True)
    stamp.write_text(wanted)
    return folder


def _pip_arguments(machine: str, folder: Path) -> list[str]:
    platforms = [f"--platform=manylinux_{glibc}_{MACHINES[machine]}" for glibc in GLIBC]
    return [
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--require-hashes",
        "--only-binary=:all:",
        "--no-deps",  # the lock has them all; pip would resolve for the Python it runs in
        "--no-compile",
        f"--python-version={PYTHON_VERSION}",
        "--implementation=cp",
        *platforms,
        f"--target={folder}",
        f"--requirement={LOCK}",
    ]


def architecture() -> str:
    """The processor of this machine, as images name it."""
    machine = platform.machine()
    return next((name for name, known in MACHINES.items() if known == machine), machine)


def version() -> str:
    """Version of the checkout."""
    text = (ROOT / "webhook" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'__version__ = "(.+)"', text)
    if found is None:
        raise ValueError("webhook/__init__.py names no version")
    return found[1]


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=sys.stderr)  # noqa: S603  # our own words, no shell


if __name__ == "__main__":
    sys.exit(main())
