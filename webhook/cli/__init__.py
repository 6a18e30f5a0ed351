"""The command `gracekeeper`: the only place where things are built, and the only one that talks to a terminal.

Exit codes: 0 done; 1 printed, but a value was ignored or a patch was doubtful; 2 nothing could be done; 3 a file that can
be read holds no pod.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from webhook import __version__
from webhook.cli import check_config, doctor, mutate, observed
from webhook.cli.inputs import CommandError
from webhook.config import settings
from webhook.config.field_errors import ConfigError
from webhook.manifests import BadManifestError, NoPodError
from webhook.policy.recognition.match_condition import match_condition

__all__ = ["main"]

_DONE, _NOTHING_DONE, _NO_POD = 0, 2, 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the result is the exit code."""
    options = _parser().parse_args(arguments)
    try:
        result: int = options.run(options)
        sys.stdout.flush()
    except (CommandError, BadManifestError, ConfigError) as error:
        print(f"gracekeeper: {error}", file=sys.stderr)  # noqa: T201  # the one line that says what to do
        return _NO_POD if isinstance(error, NoPodError) else _NOTHING_DONE
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _DONE
    return result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gracekeeper", description="Gives training pods the termination grace that their checkpoint needs."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    mutate.add_to(commands)
    check_config.add_to(commands)
    observed.add_to(commands)
    doctor.add_to(commands)
    serve = commands.add_parser(
        "serve",
        help="run the webhook (in a pod: the chart does it)",
        description="Answers the API server's AdmissionReviews. Its settings are environment variables: docs/server.md.",
    )
    serve.set_defaults(run=_serve)
    observe = commands.add_parser(
        "observe",
        help="learn from how training pods end (in a pod: the chart does it)",
        description="Follows training pods and keeps what their ends teach. Its settings are environment variables: docs/learning.md.",
    )
    observe.set_defaults(run=_observe)
    condition = commands.add_parser(
        "match-condition", help="print the CEL expression that tells the API server which pods to ask about"
    )
    condition.set_defaults(run=lambda _: _say(match_condition()))
    version = commands.add_parser("version", help="print the version")
    version.set_defaults(run=lambda _: _say(__version__))
    return parser


def _serve(_options: argparse.Namespace) -> int:
    from webhook.cli.serve import serve  # noqa: PLC0415  # the server's libraries cost half a second

    return serve(settings.server_settings())


def _observe(_options: argparse.Namespace) -> int:
    from webhook.cli.observe import observe  # noqa: PLC0415  # the server's libraries cost half a second

    return observe(settings.observer_settings())


def _say(text: str) -> int:
    print(text)  # noqa: T201  # what the command is for
    return _DONE
