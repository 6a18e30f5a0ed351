"""A decision as JSON Patch: the only module that knows JSON paths.

Law: no `test` operation, and every path comes from the received pod. A doubtful patch is not sent, because failurePolicy
Ignore does not cover a patch that fails to apply or makes a pod invalid.
"""

from typing import Any

from webhook.policy.configuration import Mode
from webhook.policy.decision import Decision
from webhook.policy.pod import SpecPosition
from webhook.policy.pod.metadata import JsonObject, annotations_of, labels_of
from webhook.policy.pod.pod import grace_seconds_of
from webhook.policy.prefix import DECISION_ANNOTATION
from webhook.policy.shutdown.changes import VariableEdit

_LARGEST_GRACE_SECONDS = 2**31 - 1

Operation = dict[str, Any]


class DoubtfulPatchError(Exception):
    """A patch that might not apply or might make the pod invalid; the pod is to be allowed as it is."""


def operations(pod: JsonObject, decision: Decision) -> list[Operation]:
    """Return the operations that carry the decision out; none where nothing changes, and in audit mode those on labels."""
    if decision.mode is Mode.AUDIT and not decision.labels:
        return []
    _check(pod, decision)
    if decision.mode is Mode.AUDIT:
        return _labels(pod, decision)
    restored = [{"op": "add", "path": f"/spec/{name}", "value": list(v)} for name, v in decision.restored.items()]
    if restored:
        pod = {**pod, "spec": {**pod["spec"], **decision.restored}}
    return [
        *restored,
        *_grace(pod, decision),
        *_environment(pod, decision),
        *_spec_changes(pod, decision),
        *_labels(pod, decision),
        *_annotation(pod, decision),
    ]


def _grace(pod: JsonObject, decision: Decision) -> list[Operation]:
    if decision.grace_seconds in {None, pod["spec"].get("terminationGracePeriodSeconds")}:
        return []
    return [{"op": "add", "path": "/spec/terminationGracePeriodSeconds", "value": decision.grace_seconds}]


def _environment(pod: JsonObject, decision: Decision) -> list[Operation]:
    return [_variable(pod, edit) for edit in decision.environment]


def _variable(pod: JsonObject, edit: VariableEdit) -> Operation:
    path = f"{_path(edit.position)}/env"
    if edit.entry_index is not None:
        return {"op": "add", "path": f"{path}/{edit.entry_index}/value", "value": edit.value}
    entry = {"name": edit.name, "value": edit.value}
    if pod["spec"][edit.position.group][edit.position.index].get("env"):
        return {"op": "add", "path": f"{path}/-", "value": entry}
    return {"op": "add", "path": path, "value": [entry]}


def _spec_changes(pod: JsonObject, decision: Decision) -> list[Operation]:
    """Return edits and replacements by the positions that came in, then removals from the end, then what is new."""
    changes = decision.changes
    if changes is None:
        return []
    return [
        *({"op": "add", "path": f"{_path(edit.position)}/{edit.field}", "value": edit.value} for edit in changes.edits),
        *({"op": "replace", "path": _path(position), "value": new} for position, new in changes.replaced.items()),
        *({"op": "remove", "path": _path(position)} for position in sorted(changes.removed, reverse=True)),
        *(operation for name, members in changes.appended.items() for operation in _appended(pod, name, members)),
    ]


def _path(position: SpecPosition) -> str:
    return f"/spec/{position.group}/{position.index}"


def _appended(pod: JsonObject, name: str, members: tuple[JsonObject, ...]) -> list[Operation]:
    if not pod["spec"].get(name):
        return [{"op": "add", "path": f"/spec/{name}", "value": list(members)}]
    return [{"op": "add", "path": f"/spec/{name}/-", "value": member} for member in members]


def _labels(pod: JsonObject, decision: Decision) -> list[Operation]:
    has = labels_of(pod)
    missing = {name: value for name, value in decision.labels.items() if value is not None and has.get(name) != value}
    if missing and not has:
        return [{"op": "add", "path": "/metadata/labels", "value": missing}]
    return [
        *({"op": "add", "path": f"/metadata/labels/{_pointer(name)}", "value": missing[name]} for name in missing),
        *(
            {"op": "remove", "path": f"/metadata/labels/{_pointer(name)}"}
            for name, value in decision.labels.items()
            if value is None and name in has
        ),
    ]


def _pointer(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _annotation(pod: JsonObject, decision: Decision) -> list[Operation]:
    if decision.annotation in {None, annotations_of(pod).get(DECISION_ANNOTATION)}:
        return []
    if not annotations_of(pod):
        return [{"op": "add", "path": "/metadata/annotations", "value": {DECISION_ANNOTATION: decision.annotation}}]
    path = f"/metadata/annotations/{_pointer(DECISION_ANNOTATION)}"
    return [{"op": "add", "path": path, "value": decision.annotation}]


def _check(pod: JsonObject, decision: Decision) -> None:
    """Refuse what an API server could refuse: rules over the decision, no copy of the pod."""
    if not isinstance(pod.get("metadata"), dict) or not isinstance(pod.get("spec"), dict):
        raise DoubtfulPatchError("the pod has no metadata or no spec")
    has = grace_seconds_of(pod)
    if decision.grace_seconds not in {None, has} and not has <= decision.grace_seconds <= _LARGEST_GRACE_SECONDS:
        raise DoubtfulPatchError(f"a grace of {decision.grace_seconds} s is out of range")
