"""How a decision is told: annotation, log line, audit annotations, report of a cluster, table for people.

Law: every form is made from _FIELDS. A new field of the decision is one row there.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Flag, StrEnum, auto
from typing import Any

from webhook import __version__
from webhook.policy import brevity
from webhook.policy.decision import Decision
from webhook.policy.names import shown
from webhook.policy.pod import Pod
from webhook.policy.pod.marks import OSMO_UPLOADER
from webhook.policy.prefix import DECISION_ANNOTATION
from webhook.policy.shutdown.grace import Term
from webhook.policy.statements.statements import Ignored

_LONGEST_WARNING = 120
_MOST_WARNINGS = 10
"""Of each kind: API servers show the first 4 KiB of all warnings."""
_LARGEST_ANNOTATION_BYTES = 16 * 1024
_LARGEST_ANNOTATIONS_BYTES = 256 * 1024
"""Of a whole object, by Kubernetes' own rule."""
_OF_CONTAINER = " of container "


class Tone(StrEnum):
    """How a line for people is shown."""

    PLAIN = "plain"
    RESULT = "result"
    CAUTION = "caution"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table for people."""

    text: str
    tone: Tone = Tone.PLAIN


class _Form(Flag):
    """Where a field is told."""

    ANNOTATION = auto()
    LOG = auto()
    AUDIT = auto()
    ROW = auto()
    TABLE = auto()
    EVERYWHERE = ANNOTATION | LOG | AUDIT | ROW | TABLE


@dataclass(frozen=True, slots=True)
class _Field:
    """One field of a decision: its name, its value as JSON, and where it is told."""

    name: str
    value: Callable[[Decision], Any]
    forms: _Form
    log_name: str = ""
    """Where the log's name has a unit."""
    log_value: Callable[[Decision], Any] | None = None
    """What a log line may hold: the keys that somebody set, never the texts."""
    lines: Callable[[Decision], Iterator[Line | Term]] | None = None
    """The lines for people, where `name: value` is not enough."""
    tone: Tone = Tone.PLAIN


def _outcome_line(decision: Decision) -> Iterator[Line | Term]:
    yield Line(f"{decision.outcome}: {decision.outcome.sentence}")


def _term_lines(decision: Decision) -> Iterator[Line | Term]:
    yield from decision.terms
    if decision.grace_seconds is not None:
        yield Line(f"grace: {decision.grace_before_seconds} s -> {decision.grace_seconds} s", Tone.RESULT)


def _change_lines(decision: Decision) -> Iterator[Line | Term]:
    changes = decision.changes
    if decision.osmo is not None:
        yield Line(f"osmo: {_osmo_text(decision)}")
    if changes is not None:
        names = [f"container {edit.container_name}" for edit in changes.edits if edit.field == "command"]
        also = "" if decision.osmo is None else f" and {OSMO_UPLOADER}"
        yield Line(f"wraps {', '.join(names)}{also}")
        added = (
            *changes.appended.get("initContainers", ()),
            *changes.replaced.values(),
            *changes.appended.get("containers", ()),
        )
        yield Line(f"adds {', '.join(each['name'] for each in added if each['name'] != OSMO_UPLOADER)}")
    for name, value in decision.labels.items():
        yield Line(f"labels the pod {name}={value}" if value is not None else f"removes label {name}")
    for edit in decision.environment:
        yield Line(f"sets {edit.name}={edit.value} in container {edit.container_name}")


def _osmo_text(decision: Decision) -> str | None:
    return None if decision.osmo is None else f"{decision.osmo.mode} ({decision.osmo.why})"


def _missing_texts(decision: Decision) -> tuple[str, ...]:
    return tuple(map(str, decision.missing))


def warnings(decision: Decision) -> tuple[str, ...]:
    """Return the admission warnings: what the pod's owner should mend, each at most 120 characters."""
    ignored = [each.warning for each in decision.ignored]
    faults = [f"decided without {missing}" for missing in decision.missing if missing.is_fault]
    texts = (text for kind in (ignored, decision.notes, faults) for text in brevity.few(kind, _MOST_WARNINGS))
    return tuple(dict.fromkeys(f"gracekeeper: {text}"[:_LONGEST_WARNING] for text in texts))


_FIELDS = (
    _Field("version", lambda _: __version__, _Form.ANNOTATION),
    _Field("outcome", lambda d: d.outcome, _Form.LOG | _Form.AUDIT | _Form.ROW | _Form.TABLE, lines=_outcome_line),
    _Field("mode", lambda d: d.mode, _Form.ANNOTATION | _Form.LOG | _Form.AUDIT | _Form.ROW),
    _Field("because", lambda d: d.because, _Form.EVERYWHERE),
    _Field("profile", lambda d: d.profile, _Form.EVERYWHERE),
    _Field("grace", lambda d: d.grace_seconds, _Form.ANNOTATION | _Form.LOG | _Form.AUDIT, log_name="grace_seconds"),
    _Field("trainer", lambda d: d.trainer, _Form.ANNOTATION),
    _Field(
        "osmo",
        _osmo_text,
        _Form.ANNOTATION | _Form.LOG,
        log_value=lambda d: None if d.osmo is None else d.osmo.mode,
    ),
    _Field(
        "terms",
        lambda d: {term.name: f"{term.value} ({term.source})" for term in d.terms},
        _Form.ANNOTATION | _Form.ROW | _Form.TABLE,
        lines=_term_lines,
    ),
    _Field("changes", lambda _: None, _Form.TABLE, lines=_change_lines),
    _Field(
        "ignored",
        lambda d: tuple(map(str, d.ignored)),
        _Form.ANNOTATION | _Form.LOG | _Form.ROW | _Form.TABLE,
        log_value=lambda d: [_key_and_origin(ignored) for ignored in d.ignored],
        tone=Tone.PROBLEM,
    ),
    _Field("missing", _missing_texts, _Form.EVERYWHERE, tone=Tone.CAUTION),
    _Field("notes", lambda d: d.notes, _Form.ANNOTATION | _Form.ROW | _Form.TABLE, tone=Tone.CAUTION),
    _Field("warnings", warnings, _Form.TABLE, tone=Tone.PROBLEM),
)


def annotation(decision: Decision, pod: Pod) -> str | None:
    """Return one line of JSON that explains the pod. It does not depend on what the pod had before, so a second pass agrees.

    The texts are cut where the line would be too long. None where the pod's own annotations leave no room: its grace
    does not depend on that.
    """
    lines = (_annotation_line(decision, most, longest) for most, longest in ((brevity.MOST, 400), (3, 60)))
    room_bytes = min(_LARGEST_ANNOTATION_BYTES, _room_bytes(pod))
    return next((line for line in lines if len(line) <= room_bytes), None)


def log_values(decision: Decision) -> dict[str, Any]:
    """Return the values of the log line. Of values that somebody wrote it holds key and origin, never the text."""
    return {
        field.log_name or field.name: (field.log_value or field.value)(decision)
        for field in _FIELDS
        if field.forms & _Form.LOG
    }


def audit_annotations(decision: Decision) -> dict[str, str]:
    """Return the texts for the API server's audit log; empty ones are left out."""
    values = {
        (field.log_name or field.name).replace("_", "-"): field.value(decision)
        for field in _FIELDS
        if field.forms & _Form.AUDIT
    }
    texts = {name: ", ".join(value) if isinstance(value, tuple) else value for name, value in values.items()}
    return {name: str(text) for name, text in texts.items() if text not in (None, "")}


def row(decision: Decision) -> dict[str, Any]:
    """Return the values for the report of a cluster, as JSON."""
    values = {field.name: field.value(decision) for field in _FIELDS if field.forms & _Form.ROW}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def table(decision: Decision) -> list[Line | Term]:
    """Return what people read, in order: lines, and the terms of the sum."""
    return [line for field in _FIELDS if field.forms & _Form.TABLE for line in _lines_of(field, decision)]


def _lines_of(field: _Field, decision: Decision) -> Iterator[Line | Term]:
    if field.lines is not None:
        yield from field.lines(decision)
        return
    value = field.value(decision)
    values = value if isinstance(value, tuple) else () if value is None else (value,)
    label = field.name.removesuffix("s") if isinstance(value, tuple) else field.name
    for each in values:
        yield Line(f"{label}: {each}", field.tone)


def _annotation_line(decision: Decision, most: int, longest: int) -> str:
    def cut(value: Any) -> Any:
        if isinstance(value, tuple):
            return brevity.few([brevity.short(text, longest) for text in value], most)
        if isinstance(value, Mapping):
            return {name: brevity.short(text, longest) for name, text in value.items()}
        return brevity.short(value, longest) if isinstance(value, str) else value

    values = {field.name: cut(field.value(decision)) for field in _FIELDS if field.forms & _Form.ANNOTATION}
    return json.dumps({name: value for name, value in values.items() if value not in (None, (), {})})


def _room_bytes(pod: Pod) -> int:
    """Return what is left for the decision's text beside the pod's other annotations."""
    others = ((key, text) for key, text in pod.annotations.items() if key != DECISION_ANNOTATION)
    taken = sum(len(key.encode()) + len(str(text).encode()) for key, text in others)
    return _LARGEST_ANNOTATIONS_BYTES - taken - len(DECISION_ANNOTATION)


def _key_and_origin(ignored: Ignored) -> str:
    origin, of, container = ignored.origin.partition(_OF_CONTAINER)
    return f"{origin}{of}{shown(container) if of else ''} {shown(ignored.key)}"
