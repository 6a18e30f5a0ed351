"""Builds supervise, the static helper that runs inside training pods, for one architecture.

Law: it is linked statically, and the same sources give the same bytes. A build is kept by the hash of its sources.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.cluster import cache, go
from tools.cluster.settings import Settings
from tools.cluster.steps import StepError, step
from webhook import __version__

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "supervise"
ARCHITECTURES = ("amd64", "arm64")


def main() -> int:
    """Build, or run `go vet` and `go test`, with the Go of this machine or one that is fetched."""
    parser = argparse.ArgumentParser(prog="python -m tools.supervise", description="Build and test supervise.")
    commands = parser.add_subparsers(dest="command", required=True)
    building = commands.add_parser("build", help="write build/supervise/ARCHITECTURE/supervise and print its path")
    building.add_argument("--architecture", choices=ARCHITECTURES, action="append", help="default: all")
    commands.add_parser("test", help="go vet and go test")
    options = parser.parse_args()
    try:
        if options.command == "test":
            test()
        else:
            for architecture in options.architecture or ARCHITECTURES:
                sys.stdout.write(f"{build(architecture)}\n")
    except StepError as error:
        sys.exit(f"supervise: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"supervise: go {error.cmd[1]} ended with {error.returncode}, see above")
    return 0


def build(architecture: str) -> Path:
    """The program for amd64 or arm64, in build/supervise/, where the image takes it from.

    CalledProcessError where Go refuses (what it says is on stderr), StepError where there is no Go to be had.
    """

    def compiled(target: Path) -> None:
        flags = ["-trimpath", "-buildvcs=false", "-ldflags", f"-s -w -buildid= -X main.version={__version__}"]
        with step(f"Building supervise for {architecture}", "5 s"):
            _go("build", *flags, "-o", str(target), ".", architecture=architecture)

    cached_path = cache.kept(_cache(), f"supervise-{architecture}", _key(), compiled)
    return _copied(cached_path, ROOT / "build" / "supervise" / architecture / "supervise")


def built(architecture: str) -> Path:
    """The program that was built from these very sources; StepError where it was not."""
    path = _cache() / f"supervise-{architecture}-{_key()}"
    if not path.exists():
        raise StepError("supervise is not built from these sources: run `make supervise`")
    return path


def sources(folder: Path = SOURCE) -> list[Path]:
    """The files that the program is built from: all of the folder but Go's tests."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.endswith("_test.go"))


def _key() -> str:
    return cache.key(__version__, Path(__file__), *sources())


def _cache() -> Path:
    return Settings.from_environment(os.environ).cache


def _copied(source: Path, target: Path) -> Path:
    """The target with the content of the source; it changes at once, because it may be running."""
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=target.parent)
    os.close(descriptor)
    shutil.copy2(source, name)
    return Path(name).replace(target)


def test() -> None:
    """`go vet` and `go test`; CalledProcessError and StepError as build."""
    _go("vet", "./...")
    _go("test", "./...")


def _go(*words: str, architecture: str = "") -> None:
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"}
    if architecture:
        environment |= {"GOOS": "linux", "GOARCH": architecture}
    program = go.program(_cache())
    subprocess.run(
        [str(program), *words], cwd=SOURCE, env=environment, check=True, stdout=sys.stderr
    )  # our own words, no shell


if __name__ == "__main__":
    sys.exit(main())
