"""The chart as Helm 3 and Helm 4 render it, for the tests: each rendering once a session, nothing asked of a cluster."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.cluster import programs
from tools.cluster.settings import Settings
from tools.cluster.steps import StepError

FOLDER = Path(__file__).parent.parent / "charts" / "gracekeeper"
HELMS = ("helm3", "helm4")
CI_FILES = sorted(path.name.removesuffix("-values.yaml") for path in (FOLDER / "ci").glob("*-values.yaml"))
RELEASE, NAMESPACE = "gk", "gk-system"
_KUBERNETES_VERSION = "1.37.0"
"""Given to Helm, because one that is built from its module takes itself for years old."""


class _StrictLoader(yaml.CSafeLoader):
    """Refuses a key that stands twice in a map: which of the two holds is anybody's guess."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002  # PyYAML's signature
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"twice in one map: {twice}", node.start_mark)
        return super().construct_mapping(node, deep)


@cache
def helm(name: str) -> Path:
    """The program, at the version that is tested; without it the test fails in one line."""
    try:
        return programs.there(Settings.from_environment(os.environ), name)
    except StepError as error:
        pytest.fail(str(error), pytrace=False)


def run(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """One Helm command."""
    environment = {**os.environ, "KUBECONFIG": os.devnull}
    command = [helm(name), *arguments, "--kube-version", _KUBERNETES_VERSION]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@cache
def template(name: str, *arguments: str | Path, release: str = RELEASE, namespace: str = NAMESPACE) -> str:
    """What Helm would create, as text."""
    done = run(name, "template", release, FOLDER, "--namespace", namespace, *arguments)
    if done.returncode:
        pytest.fail(f"{name} template {arguments}: {done.stderr}", pytrace=False)
    return done.stdout


def refusal(name: str, *arguments: str | Path) -> str:
    """What Helm says instead of rendering."""
    done = run(name, "template", RELEASE, FOLDER, "--namespace", NAMESPACE, *arguments)
    assert done.returncode, f"{name} rendered {arguments}"
    return done.stderr


def parsed(text: str) -> tuple[dict[str, Any], ...]:
    """The objects of a rendering."""
    return tuple(manifest for manifest in yaml.load_all(text, _StrictLoader) if manifest)  # a SafeLoader


@cache
def objects(
    name: str, *arguments: str | Path, release: str = RELEASE, namespace: str = NAMESPACE
) -> tuple[dict[str, Any], ...]:
    """What Helm would create."""
    return parsed(template(name, *arguments, release=release, namespace=namespace))


def ci(file: str) -> tuple[str | Path, ...]:
    """The arguments that render with one file of ci/."""
    return ("--values", FOLDER / "ci" / f"{file}-values.yaml")


def rendered(name: str, file: str = "default") -> tuple[dict[str, Any], ...]:
    """What Helm would create with one file of ci/."""
    return objects(name, *ci(file))


def of_kind(manifests: Sequence[Mapping[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Objects of one kind."""
    return [dict(each) for each in manifests if each["kind"] == kind]


def the(manifests: Sequence[Mapping[str, Any]], kind: str, ending: str = "") -> dict[str, Any]:
    """The one object of this kind whose name ends so; where no ending is given, the first of the kind."""
    return next(each for each in of_kind(manifests, kind) if each["metadata"]["name"].endswith(ending))


def container(manifests: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The server's container."""
    (only,) = the(manifests, "Deployment")["spec"]["template"]["spec"]["containers"]
    return dict(only)


def environment_of(manifests: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The server's environment."""
    return {variable["name"]: variable["value"] for variable in container(manifests)["env"]}


def pod_specs(manifests: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of the server, of `helm test`, and of the DaemonSet and the Job where there are any."""
    templated = (
        each["spec"]["template"]["spec"]
        for kind in ("Deployment", "DaemonSet", "Job")
        for each in of_kind(manifests, kind)
    )
    return [*templated, the(manifests, "Pod")["spec"]]


def containers(pod: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All of a pod's, those that only begin it first."""
    return [*pod.get("initContainers", ()), *pod["containers"]]


def default_values() -> dict[str, Any]:
    """values.yaml."""
    values: dict[str, Any] = yaml.load((FOLDER / "values.yaml").read_text(), yaml.CSafeLoader)
    return values


def ci_values(file: str) -> dict[str, Any]:
    """One file of ci/, alone."""
    values: dict[str, Any] = yaml.load((FOLDER / "ci" / f"{file}-values.yaml").read_text(), yaml.CSafeLoader)
    return values


def leaves(values: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value that holds no further ones, with its path."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*above, key))
        else:
            yield (*above, key), value
