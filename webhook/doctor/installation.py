"""The gracekeeper that runs in a cluster: its version, and the configuration that it decides with."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from webhook.policy.pod.metadata import JsonObject, labels_of, metadata_of

_LABELS = {"app.kubernetes.io/part-of": "gracekeeper", "app.kubernetes.io/component": "webhook"}
_VERSION_LABEL = "app.kubernetes.io/version"
_VOLUME = "config"
_FILE = "config.yaml"


@dataclass(frozen=True, slots=True)
class Installation:
    """One installation of the chart."""

    namespace: str
    name: str
    version: str
    """Empty where its Deployment names none."""
    config_map: str
    """The name of the ConfigMap with its configuration; empty where its Deployment mounts none."""

    @property
    def full_name(self) -> str:
        """Return namespace/name."""
        return f"{self.namespace}/{self.name}"


def installations(deployments: Iterable[JsonObject]) -> tuple[Installation, ...]:
    """Return the installations among these Deployments: the webhook's servers, without their observers."""
    return tuple(_installation(each) for each in deployments if _LABELS.items() <= labels_of(each).items())


def configuration_text(config_map: JsonObject) -> str | None:
    """Return the text of the configuration in a ConfigMap; None where it holds none."""
    text = (config_map.get("data") or {}).get(_FILE)
    return text if isinstance(text, str) else None


def _installation(deployment: JsonObject) -> Installation:
    metadata = metadata_of(deployment)
    pod = ((deployment.get("spec") or {}).get("template") or {}).get("spec") or {}
    volumes: Sequence[Mapping[str, Any]] = pod.get("volumes") or ()
    mounted = (volume.get("configMap") or {} for volume in volumes if volume.get("name") == _VOLUME)
    return Installation(
        metadata.get("namespace", ""),
        metadata.get("name", ""),
        str(labels_of(deployment).get(_VERSION_LABEL) or ""),
        str(next((each.get("name") for each in mounted), None) or ""),
    )
