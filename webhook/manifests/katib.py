"""Katib's Experiment: each of its trials is an object of its own, mostly a Job, whose pods carry Katib's labels."""

from collections.abc import Iterator
from typing import Any

from webhook.policy.pod.metadata import JsonObject

KIND = ("kubeflow.org", "Experiment")
_TRIAL = "katib.kubeflow.org/trial"
_EXPERIMENT = "katib.kubeflow.org/experiment"


def trials(experiment: JsonObject) -> Iterator[dict[str, Any]]:
    """The object that is made for a trial; nothing where it stands elsewhere."""
    trial = _trial_spec(experiment)
    if trial is None:
        return
    metadata = experiment.get("metadata") or {}
    name = metadata.get("name") or metadata.get("generateName", "")
    labelled = _labelled(trial, {_TRIAL: name, _EXPERIMENT: name})
    own = {key: value for key, value in {"name": name, "namespace": metadata.get("namespace")}.items() if value}
    yield {**labelled, "metadata": {**own, **(trial.get("metadata") or {})}}


def unread(experiment: JsonObject) -> Iterator[str]:
    """Why its trials cannot be shown."""
    if _trial_spec(experiment) is None:
        yield "its trials are in a ConfigMap: give the object of a trial"


def _trial_spec(experiment: JsonObject) -> JsonObject | None:
    trial = ((experiment.get("spec") or {}).get("trialTemplate") or {}).get("trialSpec")
    return trial if isinstance(trial, dict) else None


def _labelled(value: Any, labels: dict[str, str], *, is_inner: bool = False) -> Any:
    """The value with these labels on every pod template in it."""
    if isinstance(value, list):
        return [_labelled(each, labels, is_inner=True) for each in value]
    if not isinstance(value, dict):
        return value
    if is_inner and isinstance(value.get("spec"), dict) and isinstance(value["spec"].get("containers"), list):
        metadata = value.get("metadata") or {}
        return {**value, "metadata": {**metadata, "labels": {**labels, **(metadata.get("labels") or {})}}}
    return {key: _labelled(inner, labels, is_inner=True) for key, inner in value.items()}
