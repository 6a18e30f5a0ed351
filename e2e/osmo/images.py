"""The image of the stand-ins, built and put on every node; its tags name its content."""

import os
import shutil
import tempfile
from functools import partial
from pathlib import Path

from e2e.osmo.pods import Images
from tools import cluster_images
from tools.cluster import cache, go
from tools.cluster.kind_cluster import Cluster
from tools.cluster.steps import run, step

FOLDER = Path(__file__).parent
STAND_INS = FOLDER / "standin"


def stand_ins(cache_folder: Path) -> Path:
    """The one program that is all of them, static, built from its source in `kept`."""

    def build(target: Path) -> None:
        target.mkdir()
        environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"}
        with step("Building the stand-ins for OSMO's programs", "10 s"):
            command: list[str | Path] = [go.program(cache_folder), "build", "-trimpath", "-ldflags=-s -w"]
            run([*command, "-o", target / "standin", "."], directory=STAND_INS, environment=environment)

    return cache.kept(cache_folder, "osmo-standin", cache.key(STAND_INS), build) / "standin"


def loaded(cluster: Cluster) -> Images:
    """The image for the user's container and for osmo-ctrl, on every node."""
    key = cache.key(STAND_INS, FOLDER / "container", cluster.base_image)
    names = {stage: f"gracekeeper/e2e-osmo:{stage}-{key}" for stage in ("user", "client")}
    for stage, name in names.items():
        cluster_images.on_the_nodes(cluster, name, partial(_build, cluster, stage, name))
    return Images(**names)


def _build(cluster: Cluster, stage: str, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(FOLDER / "container", folder, dirs_exist_ok=True)
        shutil.copy(stand_ins(cluster.settings.cache), folder)
        base = ["--build-arg", f"BASE={cluster.base_image}"]
        run(["docker", "build", "-q", "-t", name, "--target", stage, *base, folder])
