"""The command `gracekeeper`: the only module that builds things, and the only one that talks to a terminal.

Exit codes: 0 done; 1 printed, but a value was ignored or a patch was doubtful; 2 nothing could be printed.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonpatch
import yaml
from rich.console import Console

from webhook import __version__, explain, manifests, settings
from webhook.policy.config import Config
from webhook.policy.decision import Decision, decide
from webhook.policy.match_condition import match_condition
from webhook.policy.patch import DoubtfulPatchError, operations

DONE, IGNORED_SOMETHING, NOTHING_PRINTED = 0, 1, 2


class _UnusableInputError(Exception):
    """A file or an option that nothing can be printed from; the message is one line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the result is the exit code."""
    options = _parser().parse_args(arguments)
    try:
        result: int = options.run(options)
        sys.stdout.flush()
    except (_UnusableInputError, manifests.BadManifestError, settings.ConfigError) as error:
        print(f"gracekeeper: {error}", file=sys.stderr)  # noqa: T201  # the one line that says what to do
        return NOTHING_PRINTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    return result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gracekeeper", description="Gives training pods the termination grace that their checkpoint needs."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_mutate(commands)
    condition = commands.add_parser(
        "match-condition", help="print the CEL expression that tells the API server which pods to ask about"
    )
    condition.set_defaults(run=lambda _: _say(match_condition()))
    version = commands.add_parser("version", help="print the version")
    version.set_defaults(run=lambda _: _say(__version__))
    return parser


def _add_mutate(commands: Any) -> None:
    mutate = commands.add_parser(
        "mutate",
        help="show, without a cluster, what would become of the pods in a file",
        description="Reads pods, Jobs and other kinds with pod templates, and prints each pod as it would be created.",
        epilog="Exit codes: 0 done; 1 printed, but a value was ignored or a patch withheld; 2 nothing could be printed.",
    )
    mutate.add_argument(
        "-f",
        "--filename",
        required=True,
        metavar="FILE",
        help="YAML or JSON, several documents allowed; - reads standard input",
    )
    mutate.add_argument(
        "-o",
        "--output",
        choices=("yaml", "json", "patch", "explain"),
        default="yaml",
        help="the pod (yaml, json), its JSON patch, or the terms of the sum (default: yaml)",
    )
    mutate.add_argument(
        "-n", "--namespace", default="default", help="the namespace of objects that name none (default: default)"
    )
    mutate.add_argument(
        "--objects",
        metavar="FILE",
        help="PersistentVolumeClaims, PersistentVolumes, StorageClasses, Namespaces: what the cluster would answer",
    )
    mutate.add_argument("--config", metavar="FILE", help="gracekeeper's configuration, the chart's value `config`")
    mutate.set_defaults(run=_mutate)


def _mutate(options: argparse.Namespace) -> int:
    config = _config(options.config)
    objects = None if options.objects is None else manifests.documents(_read(options.objects), options.objects)
    name = "standard input" if options.filename == "-" else options.filename
    found = manifests.pods_in(manifests.documents(_read(options.filename), name), name, options.namespace)
    result = DONE
    for position, pod in enumerate(found):
        decision = decide(pod.pod, manifests.facts_for(pod, objects), config, pod.namespace)
        patch, doubt = _patch(pod.pod, decision)
        _print(options.output, pod, decision, patch, first=position == 0)
        complaints = [*decision.warnings] + ([f"gracekeeper: no patch: {doubt}"] if doubt else [])
        if options.output != "explain" or doubt:
            sys.stderr.writelines(f"{pod.where}: {complaint}\n" for complaint in complaints)
        if decision.ignored or doubt:
            result = IGNORED_SOMETHING
    return result


def _patch(pod: dict[str, Any], decision: Decision) -> tuple[list[dict[str, Any]], str | None]:
    try:
        return operations(pod, decision), None
    except DoubtfulPatchError as doubt:
        return [], str(doubt)


def _print(
    output: str, found: manifests.PodInFile, decision: Decision, patch: list[dict[str, Any]], *, first: bool
) -> None:
    if output == "explain":
        explain.print_explanation(Console(soft_wrap=True, highlight=False), found.where, found.pod, decision)
    elif output == "patch":
        _say(json.dumps(patch))
    else:
        pod = jsonpatch.apply_patch(found.pod, patch)
        separator = "" if first else "---\n"
        _say(
            json.dumps(pod, indent=2) if output == "json" else separator + yaml.safe_dump(pod, sort_keys=False).rstrip()
        )


def _config(path: str | None) -> Config:
    if path is None:
        return Config()
    found = manifests.documents(_read(path), path)
    if len(found) > 1:
        raise _UnusableInputError(f"{path}: a configuration is one document, this file has {len(found)}")
    try:
        return settings.load_config(found[0] if found else {})
    except settings.ConfigError as error:
        raise _UnusableInputError(f"{path}: {error}") from None


def _read(path: str) -> str:
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise _UnusableInputError(f"{path}: not UTF-8 text") from None
    except OSError as error:
        raise _UnusableInputError(f"{path}: {(error.strerror or str(error)).lower()}") from None


def _say(text: str) -> int:
    print(text)  # noqa: T201  # what the command is for
    return DONE
