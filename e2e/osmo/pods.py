"""Pods as OSMO's own builder makes them (examples/), with what cannot run here exchanged, and nothing else.

Law: what differs from the example is listed in EXCHANGED; a test compares every other leaf.
"""

import copy
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tools.kube import Json

EXAMPLES = Path(__file__).with_name("examples")
EVIDENCE_ON_NODE = "/var/lib/gracekeeper-e2e"
EVIDENCE_FOLDER = "/evidence"
RUN_LABEL = "e2e/run"
CTRL, INIT = "osmo-ctrl", "osmo-init"
RUN_SCRIPT = 'eval "$OSMO_STANDIN_COMMAND"\n'
"""In place of the user's script: bash stays, and what the scenario says runs below it."""

EXCHANGED = {
    r"metadata\.(name|namespace|creationTimestamp)": "each run has its own",
    rf"metadata\.labels\.({RUN_LABEL}|gracekeeper\.dev/.+)": "which run it is; a scenario's opting out",
    r"spec\.(schedulerName|nodeSelector)(\..+)?": "KAI and the GPU nodes are not there",
    r"spec\.imagePullSecrets(\..+)?": "there is no registry",
    r"spec\.(initC|c)ontainers\.[^.]+\.(image|imagePullPolicy)": "the stand-ins' image, which is on the node",
    r"spec\.(initC|c)ontainers\.[^.]+\.resources\..+": "in proportion",
    r"spec\.(initC|c)ontainers\.[^.]+\.env\.(OSMO_STANDIN_|GRACEKEEPER_).+": "what the stand-ins do; the user's keys",
    r"spec\.containers\.osmo-ctrl\.args\.-(host|port|scheme|refreshScheme)\..+": "there is no service",
    r"spec\.containers\.[^.]+\.args\.-(commands|args)\..+": "a scenario's command",
    r"spec\.containers\.[^.]+\.args\.-checkpoint\..+": "a scenario's frequency",
    r"spec\.containers\.[^.]+\.lifecycle(\..+)?": "a scenario's preStop",
    r"spec\.(initC|c)ontainers\.[^.]+\.volumeMounts\./evidence\..+": "what outlives the pod",
    r"spec\.(initC|c)ontainers\.[^.]+\.volumeMounts\./var/run/secrets/kubernetes\.io/serviceaccount\..+": "filled in",
    r"spec\.volumes\.(evidence|kube-api-access-[^.]+)\..+": "what outlives the pod; filled in by the API server",
}
"""Paths of leaves (see `leaves`) as regular expressions, and why."""

QUANTITIES = {
    "cpu": {"16": "100m", "1": "50m", "500m": "50m", "250m": "25m"},
    "memory": {"400Gi": "100Mi", "300Gi": "80Mi", "1Gi": "32Mi"},
    "ephemeral-storage": {"500Gi": "50Mi", "200Gi": "40Mi", "1Gi": "5Mi"},
}
"""What is equal stays equal, what is more stays more."""
UNREACHABLE = {"-host": "osmo.invalid", "-port": "1", "-scheme": "ws", "-refreshScheme": "http"}


@dataclass(frozen=True, slots=True)
class Images:
    """The stand-ins' image, as root for the user's container and osmo-init, and as OSMO's uid for osmo-ctrl."""

    user: str
    client: str

    def of(self, container: str) -> str:
        """The image that a container runs."""
        return self.client if container == CTRL else self.user


@dataclass(frozen=True, slots=True)
class Variation:
    """What a scenario changes in the example; nothing by default."""

    command: str = "python3 -u /trainer.py"
    """Run by bash, as OSMO runs the user's script."""
    words: Sequence[str] = ()
    """In place of `bash /tmp/run.sh`."""
    user: Mapping[str, object] = field(default_factory=dict)
    """Variables of the user's container; names without GRACEKEEPER_ are the stand-ins' knobs."""
    ctrl: Mapping[str, object] = field(default_factory=dict)
    """Knobs of osmo-ctrl."""
    labels: Mapping[str, str] = field(default_factory=dict)
    checkpoint_seconds: int | None = None
    """How often the checkpoint is uploaded."""
    pre_stop: Json | None = None
    node: str | None = None
    user_image: str | None = None
    """One that no registry has."""
    slot: str | None = None
    """An extended resource of which the user's container takes one."""
    missing_secret: str | None = None
    """A Secret that is not there, and that a variable of the user's container is to come from."""


def examples() -> dict[str, Json]:
    """Every pod of the examples, by its task's name and its file: `train`, `master`, `worker_1`."""
    pods_by_name: dict[str, Json] = {}
    for path in sorted(EXAMPLES.glob("*-as-webhook-sees.yaml")):
        for pod in yaml.safe_load_all(path.read_text()):
            pods_by_name[pod["metadata"]["labels"]["osmo.task_name"]] = pod
    return pods_by_name


def exchanged(example: Mapping[str, Any], name: str, namespace: str, images: Images, change: Variation) -> Json:
    """The pod that runs here; EXCHANGED lists what is different in it."""
    pod: Json = copy.deepcopy(dict(example))
    metadata, spec = pod["metadata"], pod["spec"]
    metadata.pop("creationTimestamp", None)
    metadata.update(name=name, namespace=namespace)
    metadata["labels"] |= {RUN_LABEL: name, **change.labels}
    for gone in ("schedulerName", "nodeSelector", "imagePullSecrets"):
        spec.pop(gone, None)
    if change.node:
        spec["nodeSelector"] = {"kubernetes.io/hostname": change.node}
    spec["volumes"] = [volume for volume in spec["volumes"] if "projected" not in volume]
    folder = f"{EVIDENCE_ON_NODE}/{namespace}/{name}"
    spec["volumes"].append({"name": "evidence", "hostPath": {"path": folder, "type": "DirectoryOrCreate"}})
    for container in [*spec["initContainers"], *spec["containers"]]:
        _exchange(container, images)
    user = spec["containers"][0]
    ctrl = next(container for container in spec["containers"] if container["name"] == CTRL)
    _vary_user(user, change)
    ctrl["args"] = _with_options(ctrl["args"], UNREACHABLE)
    _set(ctrl, change.ctrl)
    return pod


def _exchange(container: Json, images: Images) -> None:
    container.update(image=images.of(container["name"]), imagePullPolicy="Never")
    for kind in ("limits", "requests"):
        given = container.get("resources", {}).get(kind)
        if given:
            container["resources"][kind] = {
                name: QUANTITIES[name][quantity] for name, quantity in given.items() if name in QUANTITIES
            }
    token = "/var/run/secrets/kubernetes.io/serviceaccount"
    mounts = [mount for mount in container["volumeMounts"] if mount["mountPath"] != token]
    container["volumeMounts"] = [*mounts, {"name": "evidence", "mountPath": EVIDENCE_FOLDER}]
    _set(container, {"EVIDENCE": EVIDENCE_FOLDER})


def _vary_user(user: Json, change: Variation) -> None:
    _set(user, {"COMMAND": change.command, **change.user})
    if change.words:
        first, *others = change.words
        following = [word for other in others for word in ("-args", other)]
        user["args"] = [*_without(user["args"], "-commands", "-args"), "-commands", first, *following]
    if change.checkpoint_seconds is not None:
        every = rf"\g<1>;{change.checkpoint_seconds};"
        user["args"] = [re.sub(r"^(/[^;]+;[^;]+);\d+;", every, word) for word in user["args"]]
    if change.pre_stop:
        user["lifecycle"] = {"preStop": change.pre_stop}
    if change.user_image:
        user.update(image=change.user_image, imagePullPolicy="Always")
    if change.slot:
        for kind in ("limits", "requests"):
            user["resources"][kind][change.slot] = "1"
    if change.missing_secret:
        reference = {"secretKeyRef": {"name": change.missing_secret, "key": "any"}}
        user["env"].append({"name": "OSMO_STANDIN_MISSING", "valueFrom": reference})


def _set(container: Json, variables: Mapping[str, object]) -> None:
    own = ("GRACEKEEPER_", "OSMO_STANDIN_")
    container.setdefault("env", []).extend(
        {"name": name if name.startswith(own) else f"OSMO_STANDIN_{name}", "value": str(value)}
        for name, value in variables.items()
    )


def _with_options(words: Sequence[str], options: Mapping[str, str]) -> list[str]:
    before = [None, *words[:-1]]
    return [options.get(previous or "", word) for previous, word in zip(before, words, strict=True)]


def _without(words: Sequence[str], *options: str) -> list[str]:
    before = [None, *words[:-1]]
    return [
        word for previous, word in zip(before, words, strict=True) if word not in options and previous not in options
    ]


def secrets(pod: Mapping[str, Any]) -> list[Json]:
    """The Secrets that the pod mounts or reads variables from, with something of each key."""
    keys: dict[str, dict[str, str]] = {}
    named = {volume["name"]: volume["secret"]["secretName"] for volume in pod["spec"]["volumes"] if "secret" in volume}
    for container in containers(pod):
        for mount in container["volumeMounts"]:
            if mount["name"] in named:
                key = mount["subPath"]
                keys.setdefault(named[mount["name"]], {})[key] = RUN_SCRIPT if key == "run.sh" else "auth: {}\n"
        for variable in container.get("env", ()):
            reference = variable.get("valueFrom", {}).get("secretKeyRef")
            if reference:
                keys.setdefault(reference["name"], {})[reference["key"]] = "/osmo/login/config"
    return [_secret(name, pod["metadata"]["namespace"], texts) for name, texts in keys.items()]


def _secret(name: str, namespace: str, texts: Mapping[str, str]) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "stringData": dict(texts),
    }


def containers(pod: Mapping[str, Any]) -> list[Json]:
    """All of the pod's containers, init containers first."""
    return [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, object]]:
    """Every leaf with its path: items of a list go by their name or mount path, arguments by the option before them."""
    if isinstance(value, dict):
        items: list[tuple[str, Any]] = list(value.items())
    elif isinstance(value, list):
        items = _named(value)
    else:
        yield path, value
        return
    if not items:
        yield path, value
    for key, inner in items:
        yield from leaves(inner, f"{path}.{key}" if path else str(key))


def _named(values: Sequence[Any]) -> list[tuple[str, Any]]:
    if not all(isinstance(value, dict) for value in values):
        return [(f"{option}.{number}", word) for number, (option, word) in enumerate(_by_option(values))]
    key: Callable[[Json], str] = lambda item: item.get("mountPath") or item.get("name") or item.get("key") or ""  # noqa: E731
    return [(key(value) or str(number), value) for number, value in enumerate(values)]


def _by_option(words: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    option, before = "", ""
    for word in map(str, words):
        if word.startswith("-") and before not in {"-commands", "-args"}:
            option = word
        before = word
        yield option, word
