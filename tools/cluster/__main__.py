"""`python -m tools.cluster up|down|status|load IMAGE|kubeconfig`; results on standard output, progress on standard error."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from tools.cluster import kind_cluster, lock
from tools.cluster.settings import Settings
from tools.cluster.steps import StepError, say

DONE, FAILED, INTERRUPTED = 0, 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the result is the exit code."""
    options = _parser().parse_args(arguments)
    settings = Settings.from_environment(os.environ)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _run(options, settings)
    except StepError as error:
        say(f"gracekeeper: {error}")
        return FAILED
    except KeyboardInterrupt:
        say("gracekeeper: interrupted")
        return INTERRUPTED


def _run(options: argparse.Namespace, settings: Settings) -> int:
    if options.command == "status":
        ready, described = kind_cluster.status(settings)
        print(described)
        return DONE if ready else FAILED
    if options.command == "kubeconfig":
        if not settings.kubeconfig.exists():
            raise StepError(f"there is no cluster {settings.cluster}: python -m tools.cluster up")
        print(settings.kubeconfig)
        return DONE
    with lock.held(settings.cache, settings.cluster):
        if options.command == "up":
            _present(kind_cluster.up(settings))
        elif options.command == "down":
            kind_cluster.down(settings)
        else:
            kind_cluster.load(settings, options.image)
    return DONE


def _present(cluster: kind_cluster.Cluster) -> None:
    print(f"cluster {cluster.name}: {', '.join(cluster.nodes)}")
    print(f"kubeconfig {cluster.kubeconfig}")
    print(f"kubectl {cluster.kubectl}")
    print(f"base image {cluster.base_image}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.cluster", description="A kind cluster for gracekeeper.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("up", help="make the cluster, or use the one that is there")
    commands.add_parser("down", help="remove it, and stop Docker where `up` started it")
    commands.add_parser("status", help="say whether it is ready")
    commands.add_parser("load", help="copy an image from Docker to the nodes").add_argument("image")
    commands.add_parser("kubeconfig", help="print the path of its kubeconfig file")
    return parser


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
