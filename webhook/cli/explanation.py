"""A decision on a terminal: the terms of the sum as a table, and a line for everything else."""

from collections.abc import Iterable, Iterator
from itertools import groupby

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from webhook.policy import report
from webhook.policy.decision import Decision
from webhook.policy.report import Line, Tone
from webhook.policy.shutdown.grace import Term

_STYLES = {Tone.PLAIN: "", Tone.RESULT: "bold", Tone.CAUTION: "yellow", Tone.PROBLEM: "red"}


def print_explanation(console: Console, title: str, decision: Decision) -> None:
    """Print why the pod gets what it gets."""
    console.print(Group(Text(title, style="bold"), *_parts(decision)))
    console.print()


def _parts(decision: Decision) -> Iterator[RenderableType]:
    for is_term, lines in groupby(report.table(decision), key=lambda line: isinstance(line, Term)):
        if is_term:
            yield _terms(line for line in lines if isinstance(line, Term))
        else:
            yield from (Text(f"  {line.text}", _STYLES[line.tone]) for line in lines if isinstance(line, Line))


def _terms(terms: Iterable[Term]) -> Table:
    table = Table("term", "value", "from", box=None, pad_edge=True, padding=(0, 2))
    table.columns[1].justify = "right"
    for term in terms:
        table.add_row(term.name, term.value, Text(term.source))
    return table
