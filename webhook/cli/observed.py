"""`gracekeeper observed`: what was learned of workloads, and how to forget it; with the rights of whoever calls it."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from webhook.api import Api, ApiError
from webhook.cli.from_cluster import in_words
from webhook.cli.inputs import CommandError
from webhook.observer.memory_object import LABELS, MemoryObject, text_in
from webhook.policy.observed.memory import Entry, Key, Memory, forgetting, memory_in, text_of
from webhook.policy.observed.wrapping_stops import STOPS_KEY, StopCause, Stops, resumed, stops_in, text_of_stops

_DONE, _NOTHING_SHOWN = 0, 1
_CALL_SECONDS = 10.0
_WIDTH = 1000
_FORGET, _RESUME = "forget", "resume"
_SIGNS = {StopCause.REFUSED: "refused", StopCause.IMAGE: "waiting for supervise's image"}
_SELECTOR = ",".join(f"{label}={value}" for label, value in LABELS.items())


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    observed = commands.add_parser(
        "observed",
        help="show what was learned of how training pods end, or forget it",
        description="Shows the workloads of which terminations are remembered; with NAME its last runs. `forget NAME` forgets "
        "a workload, so that its next run has the grace that it would have without memory. Shows the namespaces in which pods are "
        "not wrapped for now; `resume -n NAMESPACE` wraps them again.",
    )
    observed.add_argument(
        "words", nargs="*", metavar="[forget|resume] [NAME]", help="a workload's name, or that of its last run"
    )
    observed.add_argument("-n", "--namespace", help="only workloads of this namespace")
    observed.add_argument("--context", metavar="NAME", help="the context of the kubeconfig")
    observed.add_argument("-o", "--output", choices=("table", "json"), default="table", help="table (default) or json")
    observed.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Show, forget or resume; the result is the exit code: 1 where no workload has that name, or nothing is stopped there."""
    if options.words[:1] == [_RESUME]:
        return _resume(options)
    forgets = options.words[:1] == [_FORGET]
    names = options.words[1:] if forgets else options.words
    if len(names) > 1 or (forgets and not names):
        raise CommandError("observed takes one NAME, or `forget NAME`, or `resume -n NAMESPACE`")
    try:
        place = _memory_object(Api.from_environment(options.context))
        held = place.api.get(place.path, timeout_seconds=_CALL_SECONDS)
        chosen = dict(_chosen(memory_in(text_in(held)), options.namespace, *names))
        if forgets and chosen:
            place.change(lambda text: _without(text, options.namespace, names[0]))
    except ApiError as error:
        raise CommandError(in_words(error)) from None
    if options.output == "json":
        sys.stdout.write(json.dumps([_as_json(*each) for each in chosen.items()], indent=2) + "\n")
    else:
        _print(chosen, with_runs=bool(names), forgotten=forgets)
        if not names:
            _print_stops(stops_in(text_in(held, STOPS_KEY)), options.namespace)
    return _DONE if chosen or not names else _NOTHING_SHOWN


def _resume(options: argparse.Namespace) -> int:
    """Let pods of a namespace be wrapped again."""
    if len(options.words) > 1 or not options.namespace:
        raise CommandError("observed resume takes -n NAMESPACE")
    namespace, now, resumes = options.namespace, _now(), False

    def without_stop(text: str) -> str:
        nonlocal resumes
        stops = stops_in(text)
        stop = stops.get(namespace)
        resumes = stop is not None and stop.lasts(now)
        return text_of_stops({**stops, namespace: resumed(stop, now)}, now) if stop is not None and resumes else text

    try:
        _memory_object(Api.from_environment(options.context)).change(without_stop, STOPS_KEY)
    except ApiError as error:
        raise CommandError(in_words(error)) from None
    done = f"pods of namespace {namespace} are wrapped again"
    sys.stdout.write((done if resumes else f"wrapping is not stopped in namespace {namespace}") + "\n")
    return _DONE if resumes else _NOTHING_SHOWN


def _memory_object(api: Api) -> MemoryObject:
    """Return the ConfigMap of the observer that is installed."""
    found = api.get("/api/v1/configmaps", query={"labelSelector": _SELECTOR}, timeout_seconds=_CALL_SECONDS)
    metadata = [each["metadata"] for each in found["items"] or ()]
    if len(metadata) != 1:
        none = "no observer is installed: observer.enabled is false"
        raise CommandError("more than one observer is installed" if metadata else none)
    return MemoryObject(api, metadata[0]["namespace"], metadata[0]["name"])


def _chosen(memory: Memory, namespace: str | None, name: str | None = None) -> Iterator[tuple[Key, Entry]]:
    for key, entry in sorted(memory.entries.items()):
        if namespace in {None, key[0]} and name in {None, key[1], entry.owner}:
            yield key, entry


def _without(text: str, namespace: str | None, name: str) -> str:
    memory = memory_in(text)
    for key, _ in list(_chosen(memory, namespace, name)):
        memory = forgetting(memory, key)
    return text_of(memory)


def _print(chosen: dict[Key, Entry], *, with_runs: bool, forgotten: bool) -> None:
    console = Console(width=_WIDTH, highlight=False, markup=False)
    if not chosen:
        console.print("no workload is remembered")
        return
    table = Table("namespace", "workload", "last run", "runs", "newest", "took", "of", "end", box=None, padding=(0, 2))
    for (namespace, workload), entry in chosen.items():
        for sample in reversed(entry.samples if with_runs else entry.samples[-1:]):
            at = datetime.fromtimestamp(sample.at, UTC).strftime("%Y-%m-%d %H:%MZ")
            cells = (str(len(entry.samples)), at, f"{sample.seconds} s", f"{sample.granted_seconds} s", sample.lesson)
            table.add_row(namespace, workload, entry.owner, *cells)
    console.print(table)
    if forgotten:
        console.print(f"forgotten: {len(chosen)}")


def _print_stops(stops: Stops, namespace: str | None) -> None:
    """Tell in which namespaces no pod is wrapped for now."""
    table = Table("wrapping stopped in", "until", "as pods were", "of", box=None, padding=(0, 2))
    for name, stop in sorted(stops.items()):
        if namespace in {None, name} and stop.lasts(_now()):
            until = datetime.fromtimestamp(stop.until, UTC).strftime("%Y-%m-%d %H:%MZ")
            table.add_row(name, until, _SIGNS[stop.cause], stop.about)
    if table.row_count:
        Console(width=_WIDTH, highlight=False, markup=False).print(table)


def _now() -> int:
    return int(datetime.now(UTC).timestamp())


def _as_json(key: Key, entry: Entry) -> dict[str, object]:
    runs: Sequence[dict[str, object]] = [
        {"at": each.at, "seconds": each.seconds, "grantedSeconds": each.granted_seconds, "end": each.lesson}
        for each in entry.samples
    ]
    return {"namespace": key[0], "workload": key[1], "lastRun": entry.owner, "runs": runs}
