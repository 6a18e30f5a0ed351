"""The marks that training systems and servers leave on a pod: its labels, annotations, owners and variables."""

from collections.abc import Iterator

from webhook.policy.names import shown
from webhook.policy.pod import Pod, marks


def marks_of_serving(pod: Pod) -> Iterator[str]:
    """Yield what shows a serving or interactive workload, or a step that holds no checkpoint."""
    label = marks.first_match(pod.labels, marks.NOT_TRAINING_LABELS)
    if label is not None:
        yield f"label {label}"
    pairs = marks.NOT_TRAINING_LABEL_VALUES
    yield from (f"label {key}={value}" for key, value in pairs if pod.labels.get(key) == value)
    step, trainer = marks.TRAINER_STEP_LABEL
    if pod.labels.get(step, trainer) != trainer:
        yield f"label {step}={shown(pod.labels[step])}"
    for owner in pod.owners:
        if owner.kind in marks.NOT_TRAINING_OWNER_KINDS or any(
            word in owner.kind for word in marks.NOT_TRAINING_KIND_WORDS
        ):
            yield f"owned by a {shown(owner.kind)}"


def marks_of_training(pod: Pod, but: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield the marks of training systems; `but`: groups of owners that do not count."""
    label = marks.first_match(pod.labels, marks.TRAINING_LABELS)
    if label is not None:
        yield f"label {shown(label)}"
    for owner in pod.owners:
        if owner.group in marks.TRAINING_OWNER_GROUPS and owner.group not in but:
            yield f"owned by a {shown(owner.kind)} of {owner.group}"
    annotation = marks.first_match(pod.annotations, marks.TRAINING_ANNOTATIONS)
    if annotation is not None:
        yield f"annotation {shown(annotation)}"
    for container in pod.containers:
        variable = marks.first_match(container.variable_names, marks.TRAINING_VARIABLES)
        if variable is not None:
            yield f"environment variable {shown(variable)} of container {shown(container.name)}"


def batch_of(pod: Pod, but: frozenset[tuple[str, str]] = frozenset()) -> str | None:
    """Return the batch system that a pod belongs to; `but`: groups and kinds of owners that do not count."""
    for owner in pod.owners:
        kind = (owner.group, owner.kind)
        if kind in marks.BATCH_OWNERS and kind not in but:
            return f"a {owner.kind}"
    if pod.owners:
        return None
    pairs = (f"{key}={value}" for key, value in marks.BATCH_LABEL_VALUES if pod.labels.get(key) == value)
    label = marks.first_match(pod.labels, marks.BATCH_LABELS) or next(pairs, None)
    return f"a batch (label {label})" if label else None
