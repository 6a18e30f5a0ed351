"""Which containers `upload-container` may name: those that run beside the trainer."""

from collections.abc import Iterator

from webhook.policy.pod import Container, Pod


def why_no_uploader(pod: Pod, name: str) -> str:
    """Return why the container of this name cannot be an uploader beside the trainer; empty where it can."""
    if pod.osmo_task is not None:
        return "an OSMO task is uploaded by osmo-ctrl"
    if name == pod.trainer.name:
        return "it is taken for the trainer"
    if any(container.name == name for container in _beside_the_trainer(pod)):
        return ""
    if any(container.name == name for container in pod.init_containers):
        return "an init container has ended before the trainer starts"
    return "the pod has no such container"


def example_of_uploader(pod: Pod, fallback: str) -> str:
    """Return the name of a container that could be meant; the fallback where there is none."""
    return next((container.name for container in _beside_the_trainer(pod)), fallback)


def _beside_the_trainer(pod: Pod) -> Iterator[Container]:
    return (each for each in pod.running_containers if each.position != pod.trainer.position)
