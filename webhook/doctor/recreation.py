"""The cure for pods that gracekeeper would create otherwise today: create them anew."""

from collections.abc import Sequence

from webhook.doctor.finding import Cure
from webhook.doctor.trainers import TrainingPod

_MOST_IN_COMMAND = 20


def recreated(namespace: str, trainers: Sequence[TrainingPod]) -> Cure:
    """Return the cure that creates training pods of a namespace anew."""
    names = " ".join(each.name for each in trainers[:_MOST_IN_COMMAND])
    return Cure(
        f"kubectl delete pod -n {namespace} {names}",
        "gracekeeper starts these trainers through supervise today. Wait for their next checkpoint: a pod that is deleted now "
        "loses what it has not saved. Its controller creates it anew. A pod without a controller you create yourself.",
        "It restarts these pods.",
    )
