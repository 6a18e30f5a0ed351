"""Who owns a training pod, in words."""

from webhook.doctor.trainers import TrainingPod
from webhook.policy.pod.metadata import controller_of


def owner_of(trainer: TrainingPod) -> str:
    """Return the pod's controller, such as Job ml/llama; the pod itself where it has none."""
    controller = controller_of(trainer.manifest)
    if not controller:
        return f"Pod {trainer.full_name}"
    return f"{controller.get('kind')} {trainer.namespace}/{controller.get('name')}"
