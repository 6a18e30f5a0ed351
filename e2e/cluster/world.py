"""Whether a container registry answers: images are pulled then, else built from Debian packages and Go modules."""

from enum import StrEnum

from e2e.cluster.settings import Settings
from e2e.cluster.steps import StepError, attempt

_TIMEOUT_SECONDS = 10


class World(StrEnum):
    """Where images come from."""

    REGISTRY = "registry"
    OFFLINE = "offline"


def find(settings: Settings) -> World:
    """GRACEKEEPER_WORLD where set, else by asking for the node image's manifest."""
    if settings.world:
        try:
            return World(settings.world)
        except ValueError as error:
            raise StepError(f"GRACEKEEPER_WORLD is {settings.world!r}: registry or offline") from error
    answer = attempt(["docker", "manifest", "inspect", settings.node_image], timeout_seconds=_TIMEOUT_SECONDS)
    return World.OFFLINE if answer.returncode else World.REGISTRY
