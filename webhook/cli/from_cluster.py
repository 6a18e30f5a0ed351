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
from webhook.cli.inputs import CommandError
from webhook.cli.since_0_1_0 import VERSION, DecisionChange, changes_of, grace_after, range_of
from webhook.cli.since_0_1_0 import in_words as in_words_since
from webhook.cluster import Cluster
from webhook.cluster.workloads import RunningPod, Workload, Workloads
from webhook.evaluation import HeldPod, evaluate
from webhook.policy import report as telling
from webhook.policy.configuration import Config
from webhook.policy.decision import Decision
from webhook.policy.facts import Facts, Lookups, Namespace, Sidecars
from webhook.policy.pod import KUBERNETES_DEFAULT_GRACE_SECONDS
from webhook.policy.pod.metadata import annotations_of
from webhook.policy.pod.pod import grace_seconds_of
from webhook.policy.prefix import DECISION_ANNOTATION

_DONE, _IGNORED_SOMETHING = 0, 1
_AT_ONCE = 32
_FACTS_SECONDS = 10.0
_WATCHES_SECONDS = 10.0
_WIDTH = 1000
"""Characters: no name is shortened; a terminal breaks lines itself."""
_SIDECARS = Sidecars(native=True, why_not="")
"""The cluster is not shown a test pod from here; the number is the same in both modes of the conversion."""


@dataclass(frozen=True, slots=True)
class _WithNativeSidecars:
    """A provider of facts (`evaluation.FactsProvider`): the cluster's, and native sidecars."""

    cluster: Cluster

    async def namespace(self, name: str, seconds: float) -> Namespace:
        """Return the cluster's Namespace."""
        return await self.cluster.namespace(name, seconds)

    async def facts(self, namespace: str, lookups: Lookups, seconds: float) -> Facts:
        """Return the cluster's facts, with native sidecars."""
        return replace(await self.cluster.facts(namespace, lookups, seconds), sidecars=_SIDECARS)


@dataclass(frozen=True, slots=True)
class PodRow:
    """One pod: the grace that it has, and what a pod like it would get."""

    running: RunningPod
    decision: Decision
    today_seconds: int
    tomorrow_seconds: int
    since_0_1_0: DecisionChange
    """The decision, beside that of version 0.1.0."""


def report(options: argparse.Namespace, config: Config) -> int:
    """Print the report; CommandError in one line where the cluster cannot be read."""
    namespace = None if options.all_namespaces else options.namespace
    try:
        api = Api.from_environment(options.context)
        lines = _decided(api, list(Workloads(api).pods(namespace)), config)
    except ApiError as error:
        raise CommandError(in_words(error)) from None
    by_workload: dict[Workload, list[PodRow]] = defaultdict(list)
    for line in lines:
        by_workload[line.running.workload].append(line)
    ordered = sorted(by_workload.items(), key=lambda item: (item[0].namespace, item[0].kind, item[0].name))
    if options.output == "json":
        sys.stdout.write(json.dumps([_as_json(*item) for item in ordered], indent=2) + "\n")
    else:
        _print_table(ordered)
    incomplete = any(line.decision.ignored or _faults(line.decision) for line in lines)
    return _IGNORED_SOMETHING if incomplete else _DONE


def in_words(error: ApiError) -> str:
    """Return one line that says why the cluster cannot be read."""
    if error.reason == "NoConfiguration":
        return f"no cluster: {error.message}"
    if error.status == 0:
        return f"the API server cannot be reached: {error.message}"
    return f"the API server refuses: {error.message or error.reason}"


def _decided(api: Api, running: Sequence[RunningPod], config: Config) -> list[PodRow]:
    cluster = Cluster(api, log.silent())
    cluster.start()
    try:
        end = time.monotonic() + _WATCHES_SECONDS
        while cluster.lacks() and time.monotonic() < end:
            time.sleep(0.02)
        return asyncio.run(_all_decided(cluster, running, config))
    finally:
        cluster.stop()


async def _all_decided(cluster: Cluster, running: Sequence[RunningPod], config: Config) -> list[PodRow]:
    rows: list[PodRow] = []
    for begin in range(0, len(running), _AT_ONCE):
        some = running[begin : begin + _AT_ONCE]
        rows += await asyncio.gather(*(_line(cluster, each, config) for each in some))
    return rows


async def _line(cluster: Cluster, running: RunningPod, config: Config) -> PodRow:
    today = grace_seconds_of(running.pod)
    fresh = _as_it_came(running, today)
    deadline = time.monotonic() + _FACTS_SECONDS
    provider = _WithNativeSidecars(cluster)
    namespace = running.workload.namespace
    decision = await evaluate(HeldPod(fresh), namespace, config, provider, deadline)
    former = await evaluate(HeldPod(fresh), namespace, config.as_in_0_1_0(), provider, deadline)
    return PodRow(running, decision, today, grace_after(decision), DecisionChange(former, decision))


def _as_it_came(running: RunningPod, today_seconds: int) -> dict[str, Any]:
    """The pod as its controller created it, as far as that can be told: with the grace of its template.

    Where that is not known, a pod with a decision on it is taken to have come with Kubernetes' default, unless the
    decision says that its own grace was kept; so a new maximum shows what it lowers.
    """
    if running.template_known:
        seconds = running.template_grace_seconds or KUBERNETES_DEFAULT_GRACE_SECONDS
    elif _was_raised(running.pod, today_seconds):
        seconds = KUBERNETES_DEFAULT_GRACE_SECONDS
    else:
        seconds = today_seconds
    return {**running.pod, "spec": {**running.pod["spec"], "terminationGracePeriodSeconds": seconds}}


def _was_raised(pod: dict[str, Any], today_seconds: int) -> bool:
    try:
        story = json.loads(annotations_of(pod).get(DECISION_ANNOTATION, "null"))
    except ValueError:
        return False
    return (
        isinstance(story, dict)
        and story.get("grace") == today_seconds
        and story.get("mode") == "enforce"
        and "kept" not in (story.get("terms") or {})
    )


def _faults(decision: Decision) -> list[str]:
    return [str(missing) for missing in decision.missing if missing.is_fault]


def _print_table(rows_by_workload: Sequence[tuple[Workload, list[PodRow]]]) -> None:
    left_alone = sum(_left_alone(lines) for _, lines in rows_by_workload)
    shown = [each for each in rows_by_workload if not _left_alone(each[1]) or changes_of(_pairs(each[1]))]
    table = Table(
        "namespace",
        "workload",
        "pods",
        "today",
        "tomorrow",
        "outcome",
        "from",
        f"since {VERSION}",
        box=None,
        padding=(0, 2),
    )
    for column in (2, 3, 4):
        table.columns[column].justify = "right"
    for workload, lines in shown:
        today, tomorrow = [line.today_seconds for line in lines], [line.tomorrow_seconds for line in lines]
        cells = (workload.namespace, f"{workload.kind} {workload.name}", str(len(lines)), f"{range_of(today)} s")
        table.add_row(
            *map(Text, cells),
            Text(f"{range_of(tomorrow)} s", style="bold" if today != tomorrow else ""),
            Text(_outcomes(lines)),
            Text(_source(lines)),
            Text(in_words_since(_pairs(lines))),
        )
    console = Console(width=_WIDTH, highlight=False)
    if shown:
        console.print(table)
    console.print(f"workloads that train: {len(rows_by_workload) - left_alone}, left alone: {left_alone}")
    for remark in dict.fromkeys(remark for _, lines in shown for remark in _remarks(lines)):
        console.print(Text(remark, style="yellow"))


def _left_alone(lines: Sequence[PodRow]) -> bool:
    return all(not line.decision.outcome.is_of_training_pod and not line.decision.ignored for line in lines)


def _pairs(lines: Sequence[PodRow]) -> list[DecisionChange]:
    return [line.since_0_1_0 for line in lines]


def _outcomes(lines: Sequence[PodRow]) -> str:
    return ", ".join(sorted({line.decision.outcome for line in lines}))


def _source(lines: Sequence[PodRow]) -> str:
    """What counts most for the number: the profile, and who says the size or the grace."""
    sources = []
    for line in lines:
        terms = {term.name: term.source for term in line.decision.terms}
        size = terms.get("grace-seconds") or terms.get("checkpoint") or terms.get("unknown-size")
        profile = f"profile {line.decision.profile}"
        sources += [profile] if line.decision.profile is not None and profile not in (size or "") else []
        sources += [size] if size else []
    return ", ".join(dict.fromkeys(sources))


def _remarks(lines: Sequence[PodRow]) -> Iterator[str]:
    for line in lines:
        workload = line.running.workload
        for heading, texts in (("ignored", line.decision.ignored), ("without", _faults(line.decision))):
            for text in texts:
                yield f"{workload.namespace} {workload.kind} {workload.name}: {heading} {text}"


def _as_json(workload: Workload, lines: Sequence[PodRow]) -> dict[str, Any]:
    today, tomorrow = [line.today_seconds for line in lines], [line.tomorrow_seconds for line in lines]
    return {
        "namespace": workload.namespace,
        "kind": workload.kind,
        "name": workload.name,
        "todaySeconds": max(today),
        "tomorrowSeconds": max(tomorrow),
        "since": {
            "version": VERSION,
            "changes": changes_of(_pairs(lines)),
            "seconds": max(grace_after(pair.former) for pair in _pairs(lines)),
        },
        "pods": [
            {
                "name": line.running.pod["metadata"]["name"],
                "todaySeconds": line.today_seconds,
                "tomorrowSeconds": line.tomorrow_seconds,
                **telling.row(line.decision),
            }
            for line in lines
        ],
    }
