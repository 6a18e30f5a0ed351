"""A Debian file system with real launchers: torch 2.6, torchrun, accelerate, deepspeed, Open MPI, on the CPU.

Law: everything in it is signed by Debian or pinned by hash, and it is kept by the hash of what it is made from.
"""

import os
import re
import sys
from pathlib import Path

from tools import frameworks
from tools.cluster import cache as cached
from tools.cluster import debian
from tools.cluster.settings import Settings
from tools.cluster.steps import StepError, run, step

_LOCK = Path(__file__).with_name("launchers.lock")
_SYSTEM = debian.System(
    "launchers",
    "trixie",
    (
        "python3",
        "python3-torch",
        "python3-psutil",
        "python3-yaml",
        "python3-requests",
        "python3-tqdm",
        "python3-pydantic",
        "python3-msgpack",
        "python3-pip",
        "openmpi-bin",
        "ninja-build",
        "iproute2",
        "tini",
        "dumb-init",
    ),
    {"usr/local/bin/python": "../../bin/python3"},
)
_FOLDERS = ("row", "trainers", "gracekeeper")
"""Where a test mounts its own files."""
HOSTS = {"trainer": "127.0.0.2", "trainer-2": "127.0.0.3"}
"""What containers may call themselves; torchrun tells its agents apart by the names of their addresses."""
_INSTALL = """
export DS_BUILD_OPS=0
python3 -m pip install --break-system-packages --root-user-action=ignore --no-index --no-deps --no-build-isolation /packages/*
"""
_WITHOUT_LIBUV = {
    "elastic/rendezvous/static_tcp_rendezvous.py": "multi_tenant=True,",
    "elastic/rendezvous/c10d_rendezvous_backend.py": "multi_tenant=True,",
    "elastic/rendezvous/dynamic_rendezvous.py": "multi_tenant=True,",
    "rendezvous.py": "is_master=False,",
}
"""Debian builds torch without libuv. These files of torch.distributed open a store without a look at USE_LIBUV: after this
argument they are given another, and nothing else is changed."""


def root(cache: Path) -> Path:
    """The folder with the file system; StepError where it cannot be made."""
    patches = [f"{name}: {argument}" for name, argument in _WITHOUT_LIBUV.items()]
    key = cached.key(_SYSTEM.key, _INSTALL, *patches, _hosts(), *_FOLDERS, _LOCK)
    return cached.kept(cache, "launchers", key, _make)


def versions(root: Path) -> dict[str, str]:
    """The versions of the launchers in it, by name."""
    names = {"torch": "python3-torch", "Open MPI": "openmpi-bin"}
    query: list[str | Path] = ["chroot", root, "dpkg-query", "--show", "--showformat", "${Version}"]
    debian_versions = {name: re.split("[-+]", run([*query, package]))[0] for name, package in names.items()}
    locked = frameworks.locked_versions(_LOCK)
    return debian_versions | {name: locked[name] for name in ("accelerate", "deepspeed")}


def main() -> int:
    """Make it, and print where it is."""
    try:
        sys.stdout.write(f"{root(Settings.from_environment(os.environ).cache)}\n")
    except StepError as error:
        sys.exit(f"launchers: {error}")
    return 0


def _make(target: Path) -> None:
    if os.geteuid() != 0:
        raise StepError("only root can make a file system with launchers: run this as root")
    with step(f"Installing Debian {_SYSTEM.suite} with torch and Open MPI into a folder", "6 min"):
        debian.bootstrap(_SYSTEM, target)
    with step("Installing accelerate and deepspeed into it", "1 min"):
        _install_packages(target)
    for name, argument in _WITHOUT_LIBUV.items():
        _add_argument(target / "usr/lib/python3/dist-packages/torch/distributed" / name, argument)
    for name in _FOLDERS:
        (target / name).mkdir()
    (target / "etc/hosts").write_text(_hosts())


def _install_packages(target: Path) -> None:
    """From PyPI by hash; they are fetched here, because the file system has no network of its own."""
    packages = target / "packages"
    fetch: list[str | Path] = [
        "download",
        "--no-deps",
        "--require-hashes",
        "--python-version",
        "3.13",
        "--dest",
        packages,
    ]
    run(
        [sys.executable, "-m", "pip", *fetch, "--quiet", "--requirement", _LOCK],
        environment={**os.environ, "DS_BUILD_OPS": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )
    alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child", f"--root={target}", "--mount-proc"]
    run([*alone, "sh", "-c", _INSTALL], environment={"PATH": "/usr/local/bin:/usr/bin:/bin"})


def _hosts() -> str:
    return "".join(f"{address} {name}\n" for name, address in ({"localhost": "127.0.0.1"} | HOSTS).items())


def _add_argument(file: Path, after: str) -> None:
    source = file.read_text()
    if source.count(after) != 1:
        raise StepError(f"{file.name} of Debian's torch has {after!r} {source.count(after)} times, and not once")
    file.write_text(source.replace(after, f"{after} use_libuv=False,"))


if __name__ == "__main__":
    sys.exit(main())
