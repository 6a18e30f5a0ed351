"""`gracekeeper mutate`: what would become of the pods in a file, without a cluster."""

import argparse
import json
import sys
from dataclasses import replace
from typing import Any

import jsonpatch
import yaml
from rich.console import Console

from webhook import __version__, explain, manifests
from webhook.cli.files import config_of, text_of
from webhook.policy.config import Config
from webhook.policy.decision import Decision, decide
from webhook.policy.patch import DoubtfulPatchError, operations

_DONE, _IGNORED_SOMETHING = 0, 1


def add_to(commands: Any) -> None:
    """Add the command to the parser's."""
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
    config = _with_an_image(config_of(options.config))
    objects = None if options.objects is None else manifests.documents(text_of(options.objects), options.objects)
    name = "standard input" if options.filename == "-" else options.filename
    documents = manifests.documents(text_of(options.filename), name)
    found = manifests.pods_in(documents, name, options.namespace, objects or ())
    unread = manifests.unread(documents, name, objects or ())
    sys.stderr.writelines(f"{line}\n" for line in unread)
    result = _IGNORED_SOMETHING if unread else _DONE
    for position, pod in enumerate(found):
        decision = decide(pod.pod, manifests.facts_for(pod, objects), config, pod.namespace)
        patch, doubt = _patch(pod.pod, decision)
        _print(options.output, pod, decision, patch, first=position == 0)
        complaints = [*decision.warnings] + ([f"gracekeeper: no patch: {doubt}"] if doubt else [])
        if options.output != "explain" or doubt:
            sys.stderr.writelines(f"{pod.where}: {complaint}\n" for complaint in complaints)
        if decision.ignored or doubt:
            result = _IGNORED_SOMETHING
    return result


def _with_an_image(config: Config) -> Config:
    """The configuration with the image that the chart would fill in, so that OSMO's pods are shown as they would be."""
    if config.supervise.image is not None:
        return config
    return replace(config, supervise=replace(config.supervise, image=f"gracekeeper/supervise:{__version__}"))


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


def _say(text: str) -> None:
    print(text)  # noqa: T201  # what the command is for
