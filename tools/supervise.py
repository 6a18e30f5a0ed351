"""Builds supervise, the static helper that runs inside training pods, for one architecture.

Law: it is linked statically, and the same sources give the same bytes.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from tools.cluster import go
from tools.cluster.settings import Settings
from tools.cluster.steps import StepError
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
    """The program for amd64 or arm64, built anew where a source has changed.

    CalledProcessError where Go refuses (what it says is on stderr), StepError where there is no Go to be had.
    """
    target = ROOT / "build" / "supervise" / architecture / "supervise"
    target.parent.mkdir(parents=True, exist_ok=True)
    flags = ["-trimpath", "-buildvcs=false", "-ldflags", f"-s -w -buildid= -X main.version={__version__}"]
    _go("build", *flags, "-o", str(target), ".", architecture=architecture)
    return target


def test() -> None:
    """`go vet` and `go test`; CalledProcessError and StepError as build."""
    _go("vet", "./...")
    _go("test", "./...")


def _go(*words: str, architecture: str = "") -> None:
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"}
    if architecture:
        environment |= {"GOOS": "linux", "GOARCH": architecture}
    program = go.program(Settings.from_environment(os.environ).cache)
    subprocess.run(
        [str(program), *words], cwd=SOURCE, env=environment, check=True, stdout=sys.stderr
    )  # our own words, no shell


if __name__ == "__main__":
    sys.exit(main())
