"""`gracekeeper mutate --from-cluster`: what a configuration would give to the pods that exist; it reads, and never writes."""

import argparse
import asyncio
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from webhook import log
from webhook.api import Api, ApiError
from webhook.cli.files import CommandError
from webhook.cluster import Cluster
from webhook.cluster.workloads import RunningPod, Workload, Workloads
from webhook.policy import pod as pods
from webhook.policy.config import Config
from webhook.policy.decision import Decision, Outcome, conclude
from webhook.policy.facts import MissingReason, Sidecars
from webhook.policy.prefix import DECISION_ANNOTATION
from webhook.policy.recognise import look_at

_DONE, _IGNORED_SOMETHING = 0, 1
_AT_ONCE = 32
_FACTS_SECONDS = 10.0
_WATCHES_SECONDS = 10.0
_WIDTH = 1000
"""Characters: no name is shortened; a terminal breaks lines itself."""
_LEFT_ALONE = frozenset({Outcome.NOT_TRAINING, Outcome.OPTED_OUT, Outcome.EXCLUDED})
_SIDECARS = Sidecars(native=True, why_not="")
"""The cluster is not shown a test pod from here; the number is the same in both modes of the conversion."""


@dataclass(frozen=True, slots=True)
class Line:
    """One pod: the grace that it has, and what a pod like it would get."""

    running: RunningPod
    decision: Decision
    today_seconds: int
    tomorrow_seconds: int


def report(options: argparse.Namespace, config: Config) -> int:
    """Print the report; CommandError in one line where the cluster cannot be read."""
    namespace = None if options.all_namespaces else options.namespace
    try:
        api = Api.from_environment(options.context)
        lines = _decided(api, list(Workloads(api).pods(namespace)), config)
    except ApiError as error:
        raise CommandError(_in_words(error)) from None
    by_workload: dict[Workload, list[Line]] = defaultdict(list)
    for line in lines:
        by_workload[line.running.workload].append(line)
    ordered = sorted(by_workload.items(), key=lambda item: (item[0].namespace, item[0].kind, item[0].name))
    if options.output == "json":
        sys.stdout.write(json.dumps([_as_json(*item) for item in ordered], indent=2) + "\n")
    else:
        _print_table(ordered)
    incomplete = any(line.decision.ignored or _faults(line.decision) for line in lines)
    return _IGNORED_SOMETHING if incomplete else _DONE


def _in_words(error: ApiError) -> str:
    if error.reason == "NoConfiguration":
        return f"no cluster: {error.message}"
    if error.status == 0:
        return f"the API server cannot be reached: {error.message}"
    return f"the API server refuses: {error.message or error.reason}"


def _decided(api: Api, running: Sequence[RunningPod], config: Config) -> list[Line]:
    cluster = Cluster(api, log.silent())
    cluster.start()
    try:
        end = time.monotonic() + _WATCHES_SECONDS
        while cluster.lacks() and time.monotonic() < end:
            time.sleep(0.02)
        return asyncio.run(_all_decided(cluster, running, config))
    finally:
        cluster.stop()


async def _all_decided(cluster: Cluster, running: Sequence[RunningPod], config: Config) -> list[Line]:
    found: list[Line] = []
    for begin in range(0, len(running), _AT_ONCE):
        some = running[begin : begin + _AT_ONCE]
        found += await asyncio.gather(*(_line(cluster, each, config) for each in some))
    return found


async def _line(cluster: Cluster, running: RunningPod, config: Config) -> Line:
    today = pods.grace_seconds(running.pod)
    fresh = _as_it_came(running, today)
    namespace = running.workload.namespace
    space = await cluster.gather(namespace, {}, _FACTS_SECONDS)
    look = look_at(fresh, space.namespace, namespace, config)
    facts = replace(await cluster.gather(namespace, fresh, _FACTS_SECONDS, look.lookups), sidecars=_SIDECARS)
    decision = conclude(look, fresh, facts, config)
    tomorrow = pods.grace_seconds(fresh) if decision.grace_seconds is None else decision.grace_seconds
    return Line(running, decision, today, tomorrow)


def _as_it_came(running: RunningPod, today_seconds: int) -> dict[str, Any]:
    """The pod as its controller created it, as far as that can be told: with the grace of its template.

    Where that is not known, a pod with a decision on it is taken to have come with Kubernetes' default, unless the
    decision says that its own grace was kept; so a new maximum shows what it lowers.
    """
    if running.template_known:
        seconds = running.template_grace_seconds or pods.KUBERNETES_DEFAULT_GRACE_SECONDS
    elif _was_raised(running.pod, today_seconds):
        seconds = pods.KUBERNETES_DEFAULT_GRACE_SECONDS
    else:
        seconds = today_seconds
    return {**running.pod, "spec": {**running.pod["spec"], "terminationGracePeriodSeconds": seconds}}


def _was_raised(pod: dict[str, Any], today_seconds: int) -> bool:
    try:
        story = json.loads(pods.annotations(pod).get(DECISION_ANNOTATION, "null"))
    except ValueError:
        return False
    return (
        isinstance(story, dict)
        and story.get("grace") == today_seconds
        and story.get("mode") == "enforce"
        and "kept" not in (story.get("terms") or {})
    )


def _faults(decision: Decision) -> list[str]:
    return [str(missing) for missing in decision.missing if missing.reason is not MissingReason.NOT_FOUND]


def _range(numbers: Sequence[int]) -> str:
    least, most = min(numbers), max(numbers)
    return str(least) if least == most else f"{least} to {most}"


def _print_table(found: Sequence[tuple[Workload, list[Line]]]) -> None:
    shown = [(workload, lines) for workload, lines in found if not _left_alone(lines)]
    table = Table("namespace", "workload", "pods", "today", "tomorrow", "outcome", "from", box=None, padding=(0, 2))
    for column in (2, 3, 4):
        table.columns[column].justify = "right"
    for workload, lines in shown:
        today, tomorrow = [line.today_seconds for line in lines], [line.tomorrow_seconds for line in lines]
        cells = (workload.namespace, f"{workload.kind} {workload.name}", str(len(lines)), f"{_range(today)} s")
        table.add_row(
            *map(Text, cells),
            Text(f"{_range(tomorrow)} s", style="bold" if today != tomorrow else ""),
            Text(_outcomes(lines)),
            Text(_source(lines)),
        )
    console = Console(width=_WIDTH, highlight=False)
    if shown:
        console.print(table)
    console.print(f"workloads that train: {len(shown)}, left alone: {len(found) - len(shown)}")
    for remark in dict.fromkeys(remark for _, lines in shown for remark in _remarks(lines)):
        console.print(Text(remark, style="yellow"))


def _left_alone(lines: Sequence[Line]) -> bool:
    return all(line.decision.outcome in _LEFT_ALONE and not line.decision.ignored for line in lines)


def _outcomes(lines: Sequence[Line]) -> str:
    return ", ".join(sorted({line.decision.outcome for line in lines}))


def _source(lines: Sequence[Line]) -> str:
    """What counts most for the number: the profile, and who says the size or the grace."""
    told = []
    for line in lines:
        terms = {term.name: term.source for term in line.decision.terms}
        size = terms.get("grace-seconds") or terms.get("checkpoint") or terms.get("unknown-size")
        profile = f"profile {line.decision.profile}"
        told += [profile] if line.decision.profile is not None and profile not in (size or "") else []
        told += [size] if size else []
    return ", ".join(dict.fromkeys(told))


def _remarks(lines: Sequence[Line]) -> Iterator[str]:
    for line in lines:
        workload = line.running.workload
        for what, texts in (("ignored", line.decision.ignored), ("without", _faults(line.decision))):
            for text in texts:
                yield f"{workload.namespace} {workload.kind} {workload.name}: {what} {text}"


def _as_json(workload: Workload, lines: Sequence[Line]) -> dict[str, Any]:
    today, tomorrow = [line.today_seconds for line in lines], [line.tomorrow_seconds for line in lines]
    return {
        "namespace": workload.namespace,
        "kind": workload.kind,
        "name": workload.name,
        "todaySeconds": max(today),
        "tomorrowSeconds": max(tomorrow),
        "pods": [
            {
                "name": line.running.pod["metadata"]["name"],
                "todaySeconds": line.today_seconds,
                "tomorrowSeconds": line.tomorrow_seconds,
                "outcome": line.decision.outcome,
                "because": line.decision.because,
                "mode": line.decision.mode,
                "profile": line.decision.profile,
                "terms": {term.name: f"{term.value} ({term.source})" for term in line.decision.terms},
                "ignored": [str(passed) for passed in line.decision.ignored],
                "missing": [str(missing) for missing in line.decision.missing],
                "notes": list(line.decision.notes),
            }
            for line in lines
        ],
    }
