"""Recognition and evidence as version 0.1.0 had them, for `compatibility: "0.1.0"`.

The rules, in this order:
1. A pod with a mark of a training system trains, also one that serves.
2. A pod that asks for an accelerator and has a batch owner trains.
3. A variable or an argument of a short list is evidence that it saves, also with an empty value.
"""

from webhook.policy.pod import Pod, marks
from webhook.policy.recognition.pod_marks import batch_of, marks_of_training
from webhook.policy.recognition.signs import accelerator_of

_GROUPS_SINCE = frozenset({"elastic.pytorch.org"})
_BATCH_OWNERS_SINCE = frozenset(
    {
        ("flyte.lyft.com", "flyteworkflow"),
        ("flyte.org", "TaskAction"),
        ("workflow.osmo.nvidia.com", "OSMOTaskGroup"),
    }
)
"""Owners that later versions know."""
_OPTION = "--"


def mark_of_training(pod: Pod) -> str | None:
    """Return the mark by which 0.1.0 knew that a pod trains."""
    mark, batch, accelerator = (
        next(marks_of_training(pod, but=_GROUPS_SINCE), None),
        batch_of(pod, but=_BATCH_OWNERS_SINCE),
        accelerator_of(pod),
    )
    return mark or (f"{accelerator} in {batch}" if accelerator and batch else None)


def sign_of_saving(pod: Pod) -> str | None:
    """Return in words what 0.1.0 took for evidence that a pod saves."""
    for container in pod.containers:
        variable = marks.first_match(container.variable_names, marks.CHECKPOINT_VARIABLES)
        if variable is not None:
            return f"environment variable {variable}"
        options = (
            word.partition("=")[0] for text in container.words for word in text.split() if word.startswith(_OPTION)
        )
        argument = next((option for option in options if option in marks.CHECKPOINT_ARGUMENTS), None)
        if argument is not None:
            return f"argument {argument}"
    return None
