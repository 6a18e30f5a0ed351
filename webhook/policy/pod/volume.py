"""One volume of a pod as the rules read it: the claim behind it, whether data can be written to it and outlives the pod."""

from collections.abc import Iterator
from dataclasses import dataclass

from webhook.policy.pod.metadata import JsonObject

_READ_ONLY_KINDS = ("configMap", "secret", "projected", "downwardAPI", "image")


@dataclass(frozen=True, slots=True)
class PodVolume:
    """One entry of the pod's `volumes`."""

    name: str
    has_claim: bool
    """Whether a PersistentVolumeClaim or a generic ephemeral volume is behind it."""
    claim_name: str | None
    """The claim's name; None where there is no claim, or its name is not known yet."""
    claim_template: JsonObject | None
    """The template of a generic ephemeral volume's claim."""
    is_empty_dir: bool
    config_map_names: tuple[str, ...]
    """The ConfigMaps that are mounted with it."""
    can_be_written: bool


def read_volume(manifest: JsonObject, pod_name: str) -> PodVolume:
    """Read one volume.

    The claim of a generic ephemeral volume is named `<pod>-<volume>`, so it is known only once the pod has a name.
    """
    name = manifest.get("name", "")
    claim, ephemeral = manifest.get("persistentVolumeClaim") or {}, manifest.get("ephemeral")
    claim_name = claim.get("claimName")
    if claim_name is None and ephemeral and pod_name:
        claim_name = f"{pod_name}-{name}"
    return PodVolume(
        name=name,
        has_claim=bool(claim or ephemeral),
        claim_name=claim_name if claim_name and isinstance(claim_name, str) else None,
        claim_template=(ephemeral.get("volumeClaimTemplate") or {}) if ephemeral else None,
        is_empty_dir=manifest.get("emptyDir") is not None,
        config_map_names=tuple(_config_map_names(manifest)),
        can_be_written=not claim.get("readOnly") and not any(manifest.get(kind) for kind in _READ_ONLY_KINDS),
    )


def _config_map_names(manifest: JsonObject) -> Iterator[str]:
    sources = ((manifest.get("projected") or {}).get("sources") or (), (manifest,))
    for source in (source for kind in sources for source in kind):
        name = (source.get("configMap") or {}).get("name")
        if name:
            yield name
