"""Whether a container registry answers: images are pulled then, else built from Debian packages and Go modules."""

from enum import StrEnum

from tools.cluster import images
from tools.cluster.settings import PYTHON_IMAGE, Settings
from tools.cluster.steps import StepError, attempt

_TIMEOUT_SECONDS = 10


class World(StrEnum):
    """Where images come from."""

    REGISTRY = "registry"
    OFFLINE = "offline"


def find(settings: Settings) -> World:
    """GRACEKEEPER_WORLD where set, else by whether both images were pulled before, or the registry names the nodes'."""
    if settings.world:
        try:
            return World(settings.world)
        except ValueError as error:
            raise StepError(f"GRACEKEEPER_WORLD is {settings.world!r}: registry or offline") from error
    if images.there(settings.node_image) and images.there(PYTHON_IMAGE):
        return World.REGISTRY
    answer = attempt(["docker", "manifest", "inspect", settings.node_image], timeout_seconds=_TIMEOUT_SECONDS)
    return World.OFFLINE if answer.returncode else World.REGISTRY
