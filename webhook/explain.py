"""A Decision for people: the terms of the sum as a table, what was ignored, what was missing, what is worth knowing."""

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from webhook.policy import pod as pods
from webhook.policy.decision import Decision
from webhook.policy.facts import JsonObject


def print_explanation(console: Console, title: str, pod: JsonObject, decision: Decision) -> None:
    """Print why the pod gets what it gets."""
    console.print(Group(Text(title, style="bold"), *_parts(pod, decision)))
    console.print()


def _parts(pod: JsonObject, decision: Decision) -> list[RenderableType]:
    parts: list[RenderableType] = [
        Text(f"  {decision.outcome}: {decision.outcome.sentence}"),
        Text(f"  because: {decision.because}"),
    ]
    if decision.profile is not None:
        parts.append(Text(f"  profile: {decision.profile}"))
    if decision.terms:
        parts.append(_terms(decision))
        parts.append(Text(f"  grace: {pods.grace_seconds(pod)} s -> {decision.grace_seconds} s", style="bold"))
    if decision.osmo is not None:
        parts.append(Text(f"  osmo: {decision.osmo.mode} ({decision.osmo.why})"))
    parts += [Text(f"  {change}") for change in _changes(pod, decision)]
    parts += [
        Text(f"  sets {edit.name}={edit.value} in {_container_name(pod, edit.group, edit.container_index)}")
        for edit in decision.environment
    ]
    parts += [Text(f"  ignored: {passed}", style="red") for passed in decision.ignored]
    parts += [Text(f"  missing: {missing}", style="yellow") for missing in decision.missing]
    parts += [Text(f"  note: {note}", style="yellow") for note in decision.notes]
    parts += [Text(f"  warning: {warning}", style="red") for warning in decision.warnings]
    return parts


def _changes(pod: JsonObject, decision: Decision) -> list[str]:
    """The containers that a conversion touches, in words."""
    changes = decision.conversion
    if changes is None:
        return []
    wrapped = [_container_name(pod, *edit.place) for edit in changes.edits if edit.field == "command"]
    added = (
        *changes.appended.get("initContainers", ()),
        *changes.replaced.values(),
        *changes.appended.get("containers", ()),
    )
    names = [container["name"] for container in added if container["name"] != pods.OSMO_UPLOADER]
    also = "" if decision.osmo is None else f" and {pods.OSMO_UPLOADER}"
    return [f"wraps {', '.join(wrapped)}{also}", f"adds {', '.join(names)}"]


def _container_name(pod: JsonObject, group: str, index: int) -> str:
    return f"container {pod['spec'][group][index].get('name')}"


def _terms(decision: Decision) -> Table:
    table = Table("term", "value", "from", box=None, pad_edge=True, padding=(0, 2))
    table.columns[1].justify = "right"
    for term in decision.terms:
        table.add_row(term.name, term.value, Text(term.source))
    return table
