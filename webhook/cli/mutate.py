"""`gracekeeper mutate`: what would become of the pods in a file, without a cluster; or of those in a cluster."""

import argparse
import asyncio
import json
import math
import sys
from dataclasses import replace
from typing import Any

import jsonpatch
from rich.console import Console

from webhook import __version__, manifests, yaml_text
from webhook.cli import explanation
from webhook.cli.inputs import CommandError, config_of, text_of
from webhook.evaluation import HeldPod, evaluate
from webhook.manifests.file_facts import FileFacts
from webhook.manifests.uneven import uneven_keys
from webhook.policy import report
from webhook.policy.configuration import Config
from webhook.policy.decision import Decision
from webhook.policy.patch import DoubtfulPatchError, operations

_DONE, _IGNORED_SOMETHING = 0, 1
_OF_FILES = ("yaml", "json", "patch", "explain")
_OF_CLUSTERS = ("table", "json")


def add_to(commands: Any) -> None:
    """Add the command to the parser's."""
    mutate = commands.add_parser(
        "mutate",
        help="show what would become of the pods in a file, or of those in a cluster",
        description="Reads pods, Jobs and other kinds with pod templates from a file, without a cluster, and prints each "
        "pod as it would be created. Or, with --from-cluster, reads the pods that exist and prints, by workload, the grace "
        "that they have and the grace that they would get; nothing is ever written.",
        epilog="Exit codes: 0 done; 1 printed, but a value was ignored, a patch withheld, or something could not be read; "
        "2 nothing could be printed; 3 the file can be read, and holds no pod.",
    )
    source = mutate.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "-f",
        "--filename",
        metavar="FILE",
        help="YAML or JSON, several documents allowed; - reads standard input",
    )
    source.add_argument(
        "--from-cluster",
        action="store_true",
        help="the pods that have not ended, of the kubeconfig's cluster (in a pod: of its own)",
    )
    mutate.add_argument(
        "-o",
        "--output",
        choices=(*_OF_FILES, *_OF_CLUSTERS[:1]),
        help="for a file: the pod (yaml, json), its JSON patch, or the terms of the sum (default: yaml); "
        "with --from-cluster: table or json (default: table)",
    )
    mutate.add_argument(
        "-n",
        "--namespace",
        default="default",
        help="the namespace of objects that name none, or the one to read (default: default)",
    )
    mutate.add_argument("-A", "--all-namespaces", action="store_true", help="with --from-cluster: read all namespaces")
    mutate.add_argument("--context", metavar="NAME", help="with --from-cluster: the context of the kubeconfig")
    mutate.add_argument(
        "--objects",
        metavar="FILE",
        help="PersistentVolumeClaims, PersistentVolumes, StorageClasses, Nodes, Jobs, Namespaces, the "
        "pre-pull DaemonSet: what the cluster would answer; training runtimes that TrainJobs name",
    )
    mutate.add_argument("--config", metavar="FILE", help="gracekeeper's configuration, the chart's value `config`")
    mutate.set_defaults(run=_mutate)


def _mutate(options: argparse.Namespace) -> int:
    """One of the two, after what does not belong to it was refused."""
    possible = _OF_CLUSTERS if options.from_cluster else _OF_FILES
    options.output = options.output or possible[0]
    if options.output not in possible:
        source = "--from-cluster" if options.from_cluster else "a file"
        raise CommandError(f"-o {options.output} is not for {source}: use {' or '.join(possible)}")
    if options.from_cluster:
        if options.objects is not None:
            raise CommandError("--objects is for files: --from-cluster asks the cluster")
        from webhook.cli import from_cluster  # noqa: PLC0415  # the API's libraries cost a tenth of a second

        return from_cluster.report(options, _with_an_image(config_of(options.config)))
    if options.all_namespaces or options.context is not None:
        raise CommandError("--all-namespaces and --context need --from-cluster")
    return _of_file(options)


def _of_file(options: argparse.Namespace) -> int:
    config = _with_an_image(config_of(options.config))
    objects = None if options.objects is None else manifests.surroundings(text_of(options.objects), options.objects)
    name = "standard input" if options.filename == "-" else options.filename
    documents, refused = manifests.documents_and_refusals(text_of(options.filename), name)
    reading = manifests.reading_of(documents, name, options.namespace, objects or ())
    if not reading.pods:
        raise manifests.BadManifestError(refused[0]) if refused else manifests.no_pod_in(documents, name, reading)
    lost = (*refused, *reading.refused, *reading.unread)
    sys.stderr.writelines(f"{line}\n" for line in lost)
    result = _IGNORED_SOMETHING if lost else _DONE
    training: list[manifests.PodInFile] = []
    for position, pod in enumerate(reading.pods):
        decision = asyncio.run(evaluate(HeldPod(pod.pod), pod.namespace, config, FileFacts(pod, objects), math.inf))
        patch, doubt = _patch(pod.pod, decision)
        _print(options.output, pod, decision, patch, first=position == 0)
        complaints = [*report.warnings(decision)] + ([f"gracekeeper: no patch: {doubt}"] if doubt else [])
        if options.output != "explain" or doubt:
            sys.stderr.writelines(f"{pod.where}: {complaint}\n" for complaint in complaints)
        if decision.ignored or doubt:
            result = _IGNORED_SOMETHING
        if decision.outcome.is_of_training_pod:
            training.append(pod)
    sys.stderr.writelines(f"{line}\n" for line in uneven_keys(training))
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
    output: str, pod_in_file: manifests.PodInFile, decision: Decision, patch: list[dict[str, Any]], *, first: bool
) -> None:
    if output == "explain":
        explanation.print_explanation(Console(soft_wrap=True, highlight=False), pod_in_file.where, decision)
    elif output == "patch":
        _say(json.dumps(patch))
    else:
        pod = jsonpatch.apply_patch(pod_in_file.pod, patch)
        separator = "" if first else "---\n"
        _say(json.dumps(pod, indent=2) if output == "json" else separator + yaml_text.dumped(pod).rstrip())


def _say(text: str) -> None:
    print(text)  # noqa: T201  # what the command is for
