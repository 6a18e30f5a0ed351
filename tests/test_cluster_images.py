"""Images of this checkout on a cluster: built only where Docker has none under the tag, which names what they are made from."""

from typing import Any

import pytest

from tools import cluster_images

TAG = "gracekeeper/example:e2e-0123456789ab"
DOCKER = """#!/bin/sh
[ "$*" = "image inspect {tag}" ] && [ -e {there} ]
"""


class Nodes:
    """A cluster as far as images can tell."""

    def __init__(self) -> None:
        self.loaded: list[str] = []

    def load(self, image: str) -> None:
        self.loaded.append(image)


@pytest.fixture
def docker_has(tmp_path, monkeypatch):
    """A file that stands for the image in Docker."""
    there = tmp_path / "there"
    (tmp_path / "docker").write_text(DOCKER.format(tag=TAG, there=there))
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return there


def test_an_image_that_docker_has_is_loaded_and_not_built(docker_has):
    docker_has.touch()
    nodes: Any = Nodes()
    built: list[object] = []
    assert cluster_images.on_the_nodes(nodes, TAG, lambda: built.append(TAG)) == TAG
    assert (built, nodes.loaded) == ([], [TAG])


@pytest.mark.usefixtures("docker_has")
def test_an_image_that_docker_does_not_have_is_built_first(capfd):
    nodes: Any = Nodes()
    built: list[object] = []
    assert cluster_images.on_the_nodes(nodes, TAG, lambda: built.append(list(nodes.loaded))) == TAG
    assert (built, nodes.loaded) == ([[]], [TAG])
    assert f"Building {TAG}" in capfd.readouterr().err
