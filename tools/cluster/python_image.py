"""The image that gracekeeper's own is built on where nothing can be pulled: Debian trixie with its Python 3.13."""

from pathlib import Path

from tools.cluster import archive, debian, images
from tools.cluster import cache as cached
from tools.cluster.settings import Settings

_SYSTEM = debian.System(
    "python",
    "trixie",
    ("python3",),
    # where the official image has them
    {"usr/local/bin/python3": "../../bin/python3", "usr/local/bin/python": "../../bin/python3"},
)
_CONFIG = {"Env": [archive.PATH], "Cmd": ["python3"]}
_REPOSITORY = "gracekeeper/python"


def loaded(settings: Settings) -> str:
    """The image's name, its key in it, once Docker has it."""
    key = cached.key(_SYSTEM.key, Path(__file__), Path(archive.__file__))
    reference = f"{_REPOSITORY}:3.13-{key}"

    def build(target: Path) -> None:
        layer = debian.tar(settings.cache, _SYSTEM)
        archive.write(target, archive.Image(reference, [layer], _CONFIG))

    return images.loaded(reference, lambda: cached.kept(settings.cache, "python-image", key, build))
