"""The doctor's report as people and programs read it: the pool table first, then findings, then what could not be looked at."""

import json
import re
import shlex
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from webhook import __version__
from webhook.cli import doctor_values
from webhook.doctor.examination import Report
from webhook.doctor.finding import Finding, PodLoss, Severity, Unseen
from webhook.doctor.pools import PoolRow

_WIDTH = 1000
"""Characters: no name is shortened; a terminal breaks lines itself."""
_DOCS = "docs/doctor.md"
_MOST_PODS = 10
_PODS_IN_TABLE = 3
_IDS_IN_TABLE = 3
_ALL = 1000
_ONLY_SHOWS = re.compile(r"kubectl (?:--context \S+ )?(?:get|events|edit) |gracekeeper |gcloud |az aks show")
"""Commands that change nothing by themselves: the note beside them says what to do."""
_RESTARTS_NOTHING = "It restarts nothing"
"""How every other cure begins to say what it restarts. Those that restart something are never shown without saying so."""
_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.INFO: ""}
_INDENT = " " * 15
_COMMANDS = re.compile(r"\bkubectl\b|\bgracekeeper doctor\b(?! --rbac)")


def printed(report: Report, output: str, context: str | None = None) -> None:
    """Print the report as table, wide, json or config. Its commands name the context that it was made in."""
    report = _in_context(report, context)
    if output == "config":
        sys.stdout.write(doctor_values.values(report))
        return
    if output == "json":
        sys.stdout.write(json.dumps(as_json(report), indent=2) + "\n")
        return
    console = Console(width=_WIDTH, highlight=False, markup=False, soft_wrap=True)
    console.print(_pool_table(report.pools) if report.pools else "no nodes and no training pods are known")
    console.print()
    is_wide = output == "wide"
    shown = [each for each in report.findings if is_wide or each.severity is not Severity.INFO]
    for finding in shown:
        _print_finding(console, finding, is_wide=is_wide)
    for line in _unseen_lines(report.unseen, most=_ALL if is_wide else _IDS_IN_TABLE):
        console.print(Text.assemble((f"{'unseen':8}", "cyan"), line))
    for note in report.notes:
        console.print(Text.assemble((f"{'note':8}", "dim"), note))
    console.print(_summary(report, hidden=len(report.findings) - len(shown)))


def _in_context(report: Report, context: str | None) -> Report:
    """Return the report with commands for that context: pasted, they must not change another cluster."""
    if context is None:
        return report

    def of_context(command: str) -> str:
        return _COMMANDS.sub(lambda match: f"{match[0]} --context {shlex.quote(context)}", command)

    findings = tuple(
        replace(
            each,
            cure=replace(each.cure, command=of_context(each.cure.command), note=of_context(each.cure.note)),
            evidence=tuple(replace(evidence, command=of_context(evidence.command)) for evidence in each.evidence),
        )
        for each in report.findings
    )
    unseen = tuple(replace(each, command=of_context(each.command)) for each in report.unseen)
    return replace(report, findings=findings, unseen=unseen)


def _pool_table(pools: Iterable[PoolRow]) -> Table:
    table = Table("POOL", "NODES", "KUBELET", "SHORTEST", "BY", "PODS CUT", box=None, padding=(0, 2), pad_edge=False)
    for row in pools:
        shortest = f"{row.cap.seconds} s" if row.cap else "-"
        by = f"{row.cap.name} ({row.check})" if row.cap else "nothing that was looked at"
        table.add_row(row.name, str(row.nodes), ",".join(row.kubelets) or "-", shortest, by, _cut(row))
    return table


def _cut(row: PoolRow) -> str:
    if not row.trainers:
        return "no training pod"
    longest = f", longest needs {row.longest_seconds} s" if row.longest_seconds else ""
    return f"{row.cut} of {row.trainers}{longest}"


def _print_finding(console: Console, finding: Finding, *, is_wide: bool) -> None:
    head = (f"{finding.severity:8}", _STYLES[finding.severity])
    console.print(Text.assemble(head, f"{finding.check}  {finding.sentence}"))
    pods = _pods_in_words(finding, _MOST_PODS if is_wide else _PODS_IN_TABLE)
    if pods:
        console.print(f"{_INDENT} {pods}")
    if is_wide:
        for evidence in finding.evidence:
            console.print(f"{_INDENT} See: {evidence.command}")
            console.print(f"{_INDENT}      {evidence.path} is {evidence.value}")
    console.print(Text.assemble(f"{_INDENT} Fix: ", (finding.cure.command, "bold")))
    restarts = not finding.cure.restarts.startswith(_RESTARTS_NOTHING)
    if finding.cure.note and (is_wide or restarts or _ONLY_SHOWS.match(finding.cure.command)):
        console.print(f"{_INDENT}      {finding.cure.note}")
    if is_wide or restarts:
        console.print(f"{_INDENT}      {finding.cure.restarts}")
    if is_wide:
        console.print(f"{_INDENT}      More: {docs_link(finding.check)}")


def docs_link(check_id: str) -> str:
    """Return where a check is explained."""
    return f"{_DOCS}#{check_id.lower()}"


def _pods_in_words(finding: Finding, most: int) -> str:
    if finding.losses:
        count, longest = len(finding.losses), max(loss.asked_seconds for loss in finding.losses)
        who = "1 pod asks for more" if count == 1 else f"{count} pods ask for more, up to {longest} s"
        named = ", ".join(_loss_in_words(loss) for loss in finding.losses[:most])
        return f"{who}: {named}{_and_more(count, most)}."
    if finding.pods:
        return f"Pods: {', '.join(finding.pods[:most])}{_and_more(len(finding.pods), most)}."
    return ""


def _loss_in_words(loss: PodLoss) -> str:
    return f"{loss.namespace}/{loss.name} loses {loss.lost_seconds} s of {loss.asked_seconds} s"


def _and_more(count: int, most: int) -> str:
    return f" and {count - most} more" if count > most else ""


def _unseen_lines(unseen: Iterable[Unseen], most: int) -> Iterator[str]:
    """Yield one line for each reason why things could not be looked at, with the checks that it keeps from looking."""
    for (sentence, command), of_reason in _by_reason(unseen).items():
        checks = list(dict.fromkeys(each.check for each in of_reason))
        things = ", ".join(dict.fromkeys(each.what for each in of_reason))
        more = f" and {len(checks) - most} more" if len(checks) > most else ""
        yield f"{','.join(checks[:most])}{more}  {things}: {sentence} Run: {command}"


def _by_reason(unseen: Iterable[Unseen]) -> dict[tuple[str, str], list[Unseen]]:
    """Return what could not be looked at by why, and what to run."""
    by_reason: dict[tuple[str, str], list[Unseen]] = {}
    for each in unseen:
        by_reason.setdefault((each.sentence, each.command), []).append(each)
    return by_reason


def _summary(report: Report, hidden: int) -> str:
    count = {severity: sum(each.severity is severity for each in report.findings) for severity in Severity}
    more = f" -o wide shows {hidden} more, which cut no pod today." if hidden else ""
    return (
        f"training pods: {report.trainers}, errors: {count[Severity.ERROR]}, warnings: {count[Severity.WARNING]}, "
        f"not looked at: {len(_by_reason(report.unseen))}.{more}"
    )


def as_json(report: Report) -> dict[str, Any]:
    """Return the report as docs/doctor.schema.json describes it."""
    return {
        "version": __version__,
        "cluster": {
            "server": report.server,
            "notes": list(report.notes),
            "pools": [_pool_as_json(row) for row in report.pools],
            "trainingPods": report.trainers,
        },
        "findings": [_finding_as_json(each) for each in report.findings],
        "unseen": [
            {"id": each.check, "what": each.what, "reason": each.reason, "why": each.sentence, "command": each.command}
            for each in report.unseen
        ],
    }


def _pool_as_json(row: PoolRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "nodes": row.nodes,
        "kubelets": list(row.kubelets),
        "spot": row.spot,
        "smallestCap": None if row.cap is None else {"seconds": row.cap.seconds, "by": row.cap.name, "id": row.check},
        "trainingPods": row.trainers,
        "podsCut": row.cut,
        "longestSeconds": row.longest_seconds,
    }


def _finding_as_json(finding: Finding) -> dict[str, Any]:
    losses, cap = finding.losses, finding.cap
    pods: list[dict[str, Any]] = [
        {"name": f"{loss.namespace}/{loss.name}", "asked": loss.asked_seconds, "given": loss.given_seconds}
        for loss in losses[:_MOST_PODS]
    ] or [{"name": name} for name in finding.pods[:_MOST_PODS]]
    return {
        "id": finding.check,
        "severity": finding.severity,
        "object": finding.subject,
        "seconds": cap.seconds if cap else losses[0].given_seconds if losses else None,
        "asked": max((loss.asked_seconds for loss in losses), default=None),
        "pods": pods,
        "podCount": len(losses) or len(finding.pods),
        "sentence": finding.sentence,
        "fix": finding.cure.command,
        "note": finding.cure.note,
        "restarts": finding.cure.restarts,
        "docs": docs_link(finding.check),
        "evidence": [{"get": each.command, "path": each.path, "value": each.value} for each in finding.evidence],
    }
