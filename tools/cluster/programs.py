"""kind and Helm at the versions that are tested, as `python -m tools.cluster.programs kind helm3 helm4` prints them.

A program on PATH serves where it is exactly that version; else it is built from its Go module and kept.
"""

import os
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.cluster import cache as cached
from tools.cluster import go
from tools.cluster.settings import Settings
from tools.cluster.steps import StepError, attempt, say, step


@dataclass(frozen=True, slots=True)
class _Tool:
    version: str
    package: str
    """Its last part is the command's name."""
    version_arguments: Sequence[str]
    """Arguments that make it print its version."""
    usually: str

    @property
    def command(self) -> str:
        return self.package.rpartition("/")[2]


TOOLS = {
    "kind": _Tool("0.33.0", "sigs.k8s.io/kind", ["version"], "1 min"),
    "helm3": _Tool("3.22.0", "helm.sh/helm/v3/cmd/helm", ["version", "--template", "{{.Version}}"], "2 min"),
    "helm4": _Tool("4.3.1", "helm.sh/helm/v4/cmd/helm", ["version", "--template", "{{.Version}}"], "2 min"),
}


def tool(settings: Settings, name: str) -> Path:
    """The program, built first where need be."""
    wanted = TOOLS[name]
    return _on_path(name, wanted) or _built(settings.cache, name, wanted)


def there(settings: Settings, name: str) -> Path:
    """The program, which is never built here; StepError with the command that builds it where it is missing."""
    wanted, built = TOOLS[name], entry(settings.cache, name)
    path = _on_path(name, wanted) or (built if built.exists() else None)
    if not path:
        raise StepError(f"{wanted.command} {wanted.version} is missing: run `make helm`")
    return path


def entry(cache: Path, name: str) -> Path:
    """Where the program lies once it has been built."""
    wanted = TOOLS[name]
    return cache / f"{name}-{_key(wanted)}" / wanted.command


def _on_path(name: str, wanted: _Tool) -> Path | None:
    for command in (wanted.command, name):
        path = shutil.which(command)
        if path and wanted.version in re.findall(
            r"\bv(\d+\.\d+\.\d+)(?=\s|$)", attempt([path, *wanted.version_arguments]).stdout
        ):
            return Path(path)
    return None


def _built(cache: Path, name: str, wanted: _Tool) -> Path:
    def build(target: Path) -> None:
        with step(f"Building {wanted.command} {wanted.version} from its Go module", wanted.usually):
            go.install(cache, wanted.package, wanted.version, target)

    return cached.kept(cache, name, _key(wanted), build) / wanted.command


def _key(wanted: _Tool) -> str:
    return cached.key(wanted.package, wanted.version)


def main(names: Sequence[str]) -> int:
    """Prints the path of each named tool, one a line."""
    unknown = [name for name in names if name not in TOOLS]
    if unknown or not names:
        say(f"usage: python -m tools.cluster.programs NAME..., with names of {', '.join(TOOLS)}")
        return 2
    settings = Settings.from_environment(os.environ)
    try:
        for name in names:
            print(tool(settings, name))
    except StepError as error:
        say(f"gracekeeper: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
