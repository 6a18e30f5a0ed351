"""Builds gracekeeper's two images: dependencies and binary are made here, every hash checked, and only copied by Docker.

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

from tools import supervise
from tools.cluster.steps import StepError

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
REPOSITORY = "gracekeeper/gracekeeper"
SUPERVISE_REPOSITORY = "gracekeeper/supervise"
PYTHON_BASE = "python:3.13-slim"
PYTHON_VERSION = "3.13"
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
GLIBC = ("2_28", "2_17")
"""manylinux levels that wheels may ask for; every base image has a newer glibc."""
NEVER_LOADED = ("kubernetes/aio", "kubernetes/client/api", "bin")
"""Generated calls of the kubernetes package (64 MB): gracekeeper makes raw ones (webhook/api.py)."""


def main() -> int:
    """Build both, and print their names, the server's first."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.image",
        description="Build gracekeeper's images with Docker: the server's, and supervise's, which runs in training pods.",
    )
    parser.add_argument("--base", default=PYTHON_BASE, help=f"base image with Python {PYTHON_VERSION} (%(default)s)")
    parser.add_argument("--tag", help=f"name and tag of the server's image (default: {REPOSITORY}:VERSION)")
    parser.add_argument("--supervise-tag", help="of supervise's (default: the server's, with supervise as last name)")
    parser.add_argument("--architecture", choices=MACHINES, default=architecture(), help="default: this machine's")
    parser.add_argument("--push", action="store_true", help="push both")
    options = parser.parse_args()
    tag = options.tag or f"{REPOSITORY}:{version()}"
    try:
        names = (
            build(options.base, tag, options.architecture),
            build_supervise(options.supervise_tag or beside(tag), options.architecture),
        )
        for name in names if options.push else ():
            _run("docker", "push", name)
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"image: {error.cmd[0]} {error.cmd[1]} ended with {error.returncode}, see above\n")
        return 1
    except StepError as error:
        sys.stderr.write(f"image: {error}\n")
        return 1
    sys.stdout.write("".join(f"{name}\n" for name in names))
    return 0


def build(base: str, tag: str, machine: str = "") -> str:
    """The server's image of this checkout under that name; CalledProcessError where pip or Docker fails."""
    machine = machine or architecture()
    dependencies(machine)
    return _build("webhook", tag, BASE=base, ARCHITECTURE=machine)


def build_supervise(tag: str, machine: str = "") -> str:
    """The image of supervise under that name; CalledProcessError where Go or Docker fails, StepError without Go."""
    machine = machine or architecture()
    supervise.build(machine)
    return _build("supervise", tag, ARCHITECTURE=machine)


def beside(tag: str) -> str:
    """The name of supervise's image for one of the server's: same registry, folder and tag, another last name."""
    folder, slash, name = tag.rpartition("/")
    _, colon, version_tag = name.partition(":")
    return f"{folder}{slash}{SUPERVISE_REPOSITORY.rpartition('/')[2]}{colon}{version_tag}"


def _build(target: str, tag: str, **arguments: str) -> str:
    given = {**arguments, "VERSION": version()}
    options = [word for name, value in given.items() for word in ("--build-arg", f"{name}={value}")]
    _run("docker", "build", "--quiet", "--target", target, "--tag", tag, *options, str(ROOT))
    return tag


def content_key(root: Path = ROOT) -> str:
    """Twelve hex digits for everything of a checkout that goes into the server's image."""
    return _key(root, root / LOCK.name, *(root / "webhook").rglob("*.py"))


def supervise_content_key(root: Path = ROOT) -> str:
    """Twelve hex digits for everything of a checkout that goes into the image of supervise."""
    named = (root / "LICENSE", root / "tools" / "supervise.py", root / "webhook" / "__init__.py")
    return _key(root, *named, *supervise.sources(root / "supervise"))


def _key(root: Path, *sources: Path) -> str:
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for path in sorted((root / "Dockerfile", *sources)):
        digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes() + b"\0")
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
    subprocess.run(command, check=True, stdout=sys.stderr)  # our own words, no shell


if __name__ == "__main__":
    sys.exit(main())
