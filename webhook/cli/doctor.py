"""`gracekeeper doctor`: what cuts the grace of training pods in this cluster, or in a dump of one, and the line that cures it."""

import argparse
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from io import BufferedReader
from pathlib import Path
from typing import Any

from webhook.api import Api, ApiError
from webhook.cli import doctor_output, doctor_rights
from webhook.cli.doctor_config import config_in_use
from webhook.cli.doctor_progress import ProgressLine
from webhook.cli.from_cluster import in_words
from webhook.cli.inputs import CommandError
from webhook.doctor import admission_metrics, dry_run, dump, gatherer, probe, table
from webhook.doctor.examination import Report, examined, kinds_of
from webhook.doctor.finding import Severity
from webhook.doctor.kinds import CONFIGZ
from webhook.doctor.kubelet_configs import asked_of_kubelets, with_config_of_kubeadm

_NOTHING, _FINDINGS = 0, 1
_FIRST_CALL_SECONDS = 10.0
_MISSHAPEN = (AttributeError, KeyError, TypeError, ValueError)
"""What reading the fields of an object comes to where they are not what its kind says: nobody has validated a file."""
_ERROR, _WARNING, _UNSEEN, _NEVER = "error", "warning", "unseen", "never"


def add_to(commands: Any) -> None:
    """Add the command to the parser's."""
    doctor = commands.add_parser(
        "doctor",
        help="find what cuts a save in this cluster, and the line that cures it",
        description="Reads a cluster, or a dump of one, and prints the shortest time that a training pod can count on in each "
        "node pool, what makes it so, which pods lose a save, and a command that cures it. It never writes.",
        epilog="Exit codes: 0 nothing at the level of --fail-on; 1 findings; 2 it could not run.",
    )
    doctor.add_argument(
        "-f",
        "--filename",
        metavar="DUMP",
        action="append",
        help="a file of `kubectl get KIND -A -o json`, or a folder of such files; can be repeated; - reads standard input",
    )
    scope = doctor.add_mutually_exclusive_group()
    scope.add_argument(
        "-A", "--all-namespaces", action="store_true", help="training pods of all namespaces (the default)"
    )
    scope.add_argument(
        "-n", "--namespace", metavar="NS", action="append", help="training pods of this namespace only; can be repeated"
    )
    doctor.add_argument(
        "--probe",
        metavar="NS",
        action="append",
        help="ask the API server what it makes of a training pod in this namespace; can be repeated. It is a dry run: nothing "
        "is stored. It needs the right to create pods",
    )
    doctor.add_argument("--context", metavar="NAME", help="the context of the kubeconfig")
    doctor.add_argument(
        "--kubelet",
        action="store_true",
        help="ask one kubelet of each pool for its settings. It needs the right to get nodes/proxy, and whoever has that can "
        "run commands in every container: use your own rights as an admin, and give it to no ServiceAccount",
    )
    doctor.add_argument("--rbac", action="store_true", help="print the ClusterRole that it needs, and do nothing else")
    doctor.add_argument(
        "--config",
        metavar="FILE",
        help="decide with this configuration (the chart's value `config`), not with the one that runs",
    )
    doctor.add_argument(
        "--only", metavar="IDS", action="append", help="only these checks: GK105,GK3 (all ids that begin so)"
    )
    doctor.add_argument("--skip", metavar="IDS", action="append", help="leave these checks out")
    doctor.add_argument(
        "--fail-on",
        choices=(_ERROR, _WARNING, _UNSEEN, _NEVER),
        default=_ERROR,
        help="exit with 1 on this or worse: error (default), warning, unseen (also where it could not look), never",
    )
    doctor.add_argument(
        "-o",
        "--output",
        choices=("table", "wide", "json", "config"),
        default="table",
        help="table (default); wide adds evidence, what a cure restarts and all pods; json; "
        "config: graceCaps for the chart, so that admission warns each pod",
    )
    doctor.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Examine, print the report, and return the exit code."""
    if options.rbac:
        sys.stdout.write(doctor_rights.cluster_role())
        return _NOTHING
    only, skip = _ids(options.only), _ids(options.skip)
    unknown = table.unknown((*only, *skip))
    if unknown:
        raise CommandError(f"no check is called {', '.join(unknown)}: docs/doctor.md lists them")
    checks = tuple(table.chosen(only, skip))
    if not checks:
        raise CommandError("--only and --skip leave no check")
    if options.filename and (options.context is not None or options.kubelet):
        raise CommandError("--context and --kubelet are for a cluster, -f is for a dump")
    if options.filename and options.probe:
        raise CommandError("--probe asks an API server, and a dump has none: use -f or --probe")
    report = _of_dump(options, checks) if options.filename else _of_cluster(options, checks)
    doctor_output.printed(report, options.output, options.context)
    return _FINDINGS if fails(report, options.fail_on) else _NOTHING


def fails(report: Report, fail_on: str) -> bool:
    """Return whether the report holds something at or above the level."""
    severities = {finding.severity for finding in report.findings}
    return {
        _NEVER: False,
        _ERROR: Severity.ERROR in severities,
        _WARNING: bool(severities & {Severity.ERROR, Severity.WARNING}),
        _UNSEEN: bool(severities & {Severity.ERROR, Severity.WARNING} or report.unseen),
    }[fail_on]


def _ids(words: Iterable[str] | None) -> tuple[str, ...]:
    return tuple(each.strip().upper() for word in words or () for each in word.split(",") if each.strip())


def _of_cluster(options: argparse.Namespace, checks: Sequence[table.Check]) -> Report:
    progress = ProgressLine(sys.stderr, time.monotonic)
    try:
        api = Api.from_environment(options.context)
        api.get("/version", timeout_seconds=_FIRST_CALL_SECONDS)
        reader = gatherer.Reader(api, tuple(options.namespace or ()), progress=progress.tell)
        everything = gatherer.gathered(reader, _with_installation(kinds_of(checks)))
        if options.kubelet:
            configs, why_not = asked_of_kubelets(reader, everything.objects.get("Node", ()))
            everything.objects[CONFIGZ] = configs
            everything.unseen |= {} if why_not is None else {CONFIGZ: why_not}
        everything.objects[probe.KIND] = dry_run.probe_answers(
            api, dict.fromkeys(options.probe or ()), everything.objects.get("Pod", ())
        )
        if any(check.needs_metrics for check in checks):
            everything.objects[admission_metrics.KIND] = [gatherer.admission_metrics_of(reader)]
        memories = gatherer.memories_of(reader, everything.objects.get("Deployment", ()))
        everything.objects.setdefault("ConfigMap", []).extend(memories)
    except ApiError as error:
        raise CommandError(in_words(error)) from None
    finally:
        progress.clear()
    used = config_in_use(
        options.config, everything.objects, lambda *names: gatherer.one_object(reader, "ConfigMap", *names)
    )
    objects = with_config_of_kubeadm(everything.objects)
    report = examined(objects, everything.unseen, used.config, checks)
    return replace(report, notes=used.notes, server=api.address)


def _with_installation(kinds: Iterable[str]) -> tuple[str, ...]:
    """Return the kinds, and the one that tells which gracekeeper runs."""
    return tuple(dict.fromkeys((*kinds, "Deployment")))


def _of_dump(options: argparse.Namespace, checks: Sequence[table.Check]) -> Report:
    try:
        objects = dump.objects_of(_opened(_files(options.filename)))
    except dump.BadDumpError as error:
        raise CommandError(str(error)) from None
    try:
        used = config_in_use(options.config, objects, lambda *names: dump.one_object(objects, "ConfigMap", *names))
        narrowed = with_config_of_kubeadm(dump.narrowed(objects, options.namespace or ()))
        report = examined(narrowed, dump.unseen_in(objects, kinds_of(checks)), used.config, checks)
    except _MISSHAPEN as error:
        raise CommandError(f"an object of the dump is not as an API server writes it: {error}") from None
    return replace(report, notes=used.notes)


def _files(names: Iterable[str]) -> Iterable[str]:
    """Yield the files, and of a folder all that end in .json."""
    for name in names:
        if name == "-" or not Path(name).is_dir():
            yield name
            continue
        of_folder = sorted(str(path) for path in Path(name).glob("*.json"))
        if not of_folder:
            raise CommandError(f"{name}: no file in it ends in .json")
        yield from of_folder


def _opened(names: Iterable[str]) -> Iterator[tuple[str, BufferedReader]]:
    """Yield each file, open until the next one is asked for."""
    for name in names:
        if name == "-":
            yield name, sys.stdin.buffer  # type: ignore[misc]  # a BufferedReader, as Python documents it
            continue
        try:
            with Path(name).open("rb") as file:
                yield name, file
        except OSError as error:
            raise CommandError(f"{name}: {(error.strerror or str(error)).lower()}") from None
