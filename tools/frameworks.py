"""A folder with Lightning, Hugging Face's Transformers, JAX and orbax, to be mounted into the file system with launchers.

Law: everything in it is pinned by hash, or comes from that file system, and it is kept by the hash of what it is made from.
"""

import shutil
import sys
from pathlib import Path

from tools.cluster import cache as cached
from tools.cluster.steps import StepError, run, step

_LOCK = Path(__file__).with_name("frameworks.lock")
MOUNT = "/opt"
"""An empty folder of Debian's; PYTHONPATH names it."""
_DEEPSPEED = Path("usr/local/lib/python3.13/dist-packages/deepspeed")
_BUILDER = Path("ops/op_builder/cpu/comm.py")
_CONDITION = "if sys.platform != 'linux':"
"""In front of `return False`. DeepSpeed compiles this op at its start, and the file system has no compiler."""


def folder(cache: Path, launchers: Path) -> Path:
    """The folder, for a file system of tools/launchers.py; StepError where it cannot be made."""
    key = cached.key(_LOCK, _CONDITION, launchers.name)
    return cached.kept(cache, "frameworks", key, lambda target: _make(target, launchers))


def _make(target: Path, launchers: Path) -> None:
    with step("Installing Lightning, Transformers, JAX and orbax into a folder", "1 min"):
        install(_LOCK, target)
    shutil.copytree(launchers / _DEEPSPEED, target / "deepspeed")
    _replace_once(target / "deepspeed" / _BUILDER, _CONDITION, "if True:")


def install(lock: Path, target: Path, python: str = "3.13") -> None:
    """Install what a lock names into a folder, as wheels for this Python; StepError where that fails."""
    options = ["--no-deps", "--require-hashes", "--only-binary=:all:", f"--python-version={python}", "--no-compile"]
    # Their requirement of a Python is compared with the one that runs pip, and not with 3.13.
    options += ["--ignore-requires-python", "--quiet", "--root-user-action=ignore", "--no-cache-dir"]
    run([sys.executable, "-m", "pip", "install", *options, f"--target={target}", "--requirement", lock])


def locked_versions(lock: Path) -> dict[str, str]:
    """Return the versions in a lock, by package."""
    return dict(line.split()[0].split("==") for line in lock.read_text().splitlines() if "==" in line)


def _replace_once(file: Path, old: str, new: str) -> None:
    source = file.read_text()
    if source.count(old) != 1:
        raise StepError(f"{file.name} of deepspeed has {old!r} {source.count(old)} times, and not once")
    file.write_text(source.replace(old, new))
