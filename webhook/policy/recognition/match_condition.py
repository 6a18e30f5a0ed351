"""The webhook's match condition (CEL), generated from the marks: which pods the API server asks about at all.

Law: a superset of recognition. Cheap tests first, the environment last. Fields that may be absent are tested with has().
"""

from collections.abc import Iterable

from webhook.policy.pod import marks
from webhook.policy.prefix import ENVIRONMENT_PREFIX, PREFIX


def match_condition() -> str:
    """Return one CEL expression over `object`, a pod. It is true where a decision could change the pod."""
    owners = (*marks.TRAINING_OWNER_GROUPS,)
    batch_groups = sorted({group for group, _ in marks.BATCH_OWNERS})
    labels = (
        f"{PREFIX}*",
        *marks.TRAINING_LABELS,
        *marks.BATCH_LABELS,
        *(k for k, _ in marks.BATCH_LABEL_VALUES),
    )
    annotations = (f"{PREFIX}*", *marks.TRAINING_ANNOTATIONS)
    variables = (f"{ENVIRONMENT_PREFIX}*", *marks.TRAINING_VARIABLES)
    groups = (*owners, *batch_groups)
    owner_tests = " || ".join(f"r.apiVersion.startsWith('{group}/')" for group in groups)
    return "\n|| ".join(
        (
            f"(has(object.metadata.labels) && object.metadata.labels.exists(k, {_any('k', labels)}))",
            f"(has(object.metadata.annotations) && object.metadata.annotations.exists(k, {_any('k', annotations)}))",
            f"(has(object.metadata.ownerReferences) && object.metadata.ownerReferences.exists(r, {owner_tests}))",
            f"(!has(object.metadata.ownerReferences) && {_lasting_volume()} && {_accelerator()})",
            f"object.spec.containers.exists(c, has(c.env) && c.env.exists(e, {_any('e.name', variables)}))",
        )
    )


def _lasting_volume() -> str:
    kinds = " || ".join(f"has(v.{kind})" for kind in marks.LASTING_VOLUMES)
    return f"has(object.spec.volumes) && object.spec.volumes.exists(v, {kinds})"


def _accelerator() -> str:
    of_container = (
        f"has(c.resources) && has(c.resources.limits) && c.resources.limits.exists(k, {_any('k', marks.ACCELERATORS)})"
    )
    return f"(has(object.spec.resourceClaims) || object.spec.containers.exists(c, {of_container}))"


def _any(subject: str, marks: Iterable[str]) -> str:
    unique = list(dict.fromkeys(marks))
    exact = [mark for mark in unique if not mark.endswith("*")]
    tests = [f"{subject}.startsWith('{mark[:-1]}')" for mark in unique if mark.endswith("*")]
    return " || ".join((*tests, f"{subject} in [{', '.join(map(repr, exact))}]"))
