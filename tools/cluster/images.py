"""Images in Docker's own store.

Law: an image made here carries the key of its inputs in its name, so one that is found under the name is right.
"""

from collections.abc import Callable
from pathlib import Path

from tools.cluster.steps import attempt, run, step


def there(reference: str) -> bool:
    """Whether Docker has it."""
    return attempt(["docker", "image", "inspect", reference]).returncode == 0


def loaded(reference: str, archive: Callable[[], Path]) -> str:
    """The same name, once Docker has it; the names that earlier keys left are dropped."""
    if not there(reference):
        path = archive()
        with step(f"Loading {reference} into Docker", "10 s"):
            run(["docker", "load", "--quiet", "--input", path])
        _drop_others(reference)
    return reference


def pulled(reference: str) -> str:
    """The same name, once Docker has it from its registry."""
    if not there(reference):
        with step(f"Pulling {reference}", "1 min"):
            run(["docker", "pull", "--quiet", reference])
    return reference


def _drop_others(reference: str) -> None:
    repository = reference.partition(":")[0]
    for other in run(["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", repository]).split():
        if other != reference:
            attempt(["docker", "image", "rm", other])  # refused while a cluster runs on it
