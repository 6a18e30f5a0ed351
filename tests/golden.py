"""The golden cases of tests/cases: a pod, what surrounds it, what is expected of it by hand, and the patch that comes of it.

`python -m tests.golden` writes every patch.yaml anew, to be read in the diff; case.yaml is only ever written by people.
"""

import asyncio
import copy
import json
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.policy_calls import facts_in_files
from webhook import manifests
from webhook.config import fields
from webhook.manifests.file_facts import FileFacts
from webhook.policy.configuration import Config, Observer
from webhook.policy.decision import Decision
from webhook.policy.door import Look, decide, first_look
from webhook.policy.facts import Facts, Namespace, Sidecars
from webhook.policy.patch import operations
from webhook.policy.pod import read_pod
from webhook.policy.prefix import DECISION_ANNOTATION

SUPERVISE_IMAGE = "gracekeeper/supervise:0.1.0"
FOLDER = Path(__file__).parent / "cases"
_DECISION_PATH = "/metadata/annotations/gracekeeper.dev~1decision"


@dataclass(frozen=True)
class Case:
    """One folder of tests/cases, read."""

    name: str
    namespace: Namespace
    pod: dict[str, Any]
    facts: Facts
    """What the decision looks up."""
    everything: Facts
    """What there is around the pod, whether or not the decision looks it up."""
    config: Config
    expect: dict[str, Any]

    def decide(self, pod: dict[str, Any] | None = None) -> Decision:
        return decide(self.look(pod), self.facts)

    def look(self, pod: dict[str, Any] | None = None) -> Look:
        return first_look(read_pod(self.pod if pod is None else pod), self.namespace, self.config)

    def without_observer(self) -> "Case":
        """Return the case as it is with `observer.enabled=false`."""
        return replace(self, config=replace(self.config, observer=Observer(enabled=False)))

    def golden(self) -> list[dict[str, Any]]:
        operations: list[dict[str, Any]] = _yaml_of(self.name, "patch.yaml")
        return operations


def names() -> list[str]:
    return sorted(folder.name for folder in FOLDER.iterdir())


def load(name: str) -> Case:
    """The case, with a pod of its own, which a test may change."""
    case = _read(name)
    return replace(case, pod=copy.deepcopy(case.pod))


def document(name: str) -> dict[str, Any]:
    """Return case.yaml as it is."""
    document: dict[str, Any] = _yaml_of(name, "case.yaml")
    return document


def _yaml_of(name: str, file: str) -> Any:
    return yaml.load((FOLDER / name / file).read_text(), yaml.CSafeLoader)


@cache
def _read(name: str) -> Case:
    """Each case is read once a session."""
    text = document(name)
    config = text.get("config", {})
    pod_in_file = _pod(name, text)
    source = FileFacts(pod_in_file, text.get("objects"))
    namespace = asyncio.run(source.namespace(pod_in_file.namespace, 0))
    loaded = fields.load_config({**config, "supervise": {"image": SUPERVISE_IMAGE, **config.get("supervise", {})}})
    lookups = first_look(read_pod(pod_in_file.pod), namespace, loaded).lookups
    facts = _facts(asyncio.run(source.facts(pod_in_file.namespace, lookups, 0)), text.get("sidecars"))
    everything = _facts(facts_in_files(pod_in_file, text.get("objects")), text.get("sidecars"))
    return Case(name, namespace, pod_in_file.pod, facts, everything, loaded, text["expect"])


def _pod(name: str, text: dict[str, Any]) -> manifests.PodInFile:
    """The pod of the case; where it holds objects (`manifest`) instead, the first pod that comes of them."""
    if "pod" in text:
        return manifests.PodInFile(name, text["namespace"], text["pod"])
    return manifests.pods_in(text["manifest"], name, text["namespace"])[0]


def _facts(facts: Facts, sidecars: dict[str, Any] | None) -> Facts:
    """The facts with what the case says of the cluster's nodes; without a word they run native sidecars."""
    if sidecars is None:
        return facts
    sidecar_support = Sidecars(
        native=not sidecars.get("why_not"),
        why_not=sidecars.get("why_not", ""),
        architectures=frozenset(sidecars.get("architectures", ())),
    )
    return replace(facts, sidecars=sidecar_support)


def readable(patch: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The patch with its decision annotation unfolded and without the version, which changes with every release."""
    return [_unfolded(operation) for operation in patch]


def _unfolded(operation: dict[str, Any]) -> dict[str, Any]:
    if operation["path"] == _DECISION_PATH:
        return {**operation, "value": _story(operation["value"])}
    if operation["path"] == "/metadata/annotations":
        return {**operation, "value": {DECISION_ANNOTATION: _story(operation["value"][DECISION_ANNOTATION])}}
    return operation


def _story(text: str) -> dict[str, Any]:
    story: dict[str, Any] = json.loads(text)
    del story["version"]
    return story


def _write() -> None:
    for name in names():
        case = load(name)
        patch = readable(operations(case.pod, case.decide()))
        (FOLDER / name / "patch.yaml").write_text(yaml.safe_dump(patch, sort_keys=False, width=120))


if __name__ == "__main__":
    _write()
