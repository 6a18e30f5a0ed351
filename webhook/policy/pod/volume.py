"""One volume of a pod as the rules read it: the claim behind it, whether data can be written to it and outlives the pod."""

from collections.abc import Iterator
from dataclasses import dataclass

from webhook.policy.pod.marks import IN_TREE_FILE_SYSTEMS
from webhook.policy.pod.metadata import JsonObject

_OF_THE_SYSTEM = ("/dev/", "/etc/", "/lib/", "/proc/", "/run/", "/sys/", "/tmp/", "/usr/", "/var/run/")  # noqa: S108  # of nodes
"""Folders of a node that hold devices, programs and sockets, or are emptied."""
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
    is_in_memory: bool
    """Whether it is an emptyDir in the memory of the node."""
    size_limit: object
    """The sizeLimit of an emptyDir, as written; None without one."""
    config_map_names: tuple[str, ...]
    """The ConfigMaps that are mounted with it."""
    can_be_written: bool
    driver: str
    """The driver or in-tree kind of a volume without a claim, such as gcsfuse.csi.storage.gke.io; empty where none is known."""
    attributes: JsonObject
    """What the pod tells the driver of a volume without a claim."""
    host_path: str
    """The folder of the node that it is; empty where it is none."""

    @property
    def outlives_the_pod(self) -> bool:
        """Whether what is written to it is there when the pod has ended."""
        has_lasting_claim = self.has_claim and self.claim_template is None
        is_folder_for_data = bool(self.host_path) and not f"{self.host_path}/".startswith(_OF_THE_SYSTEM)
        return self.can_be_written and (has_lasting_claim or bool(self.driver) or is_folder_for_data)


def read_volume(manifest: JsonObject, pod_name: str) -> PodVolume:
    """Read one volume.

    The claim of a generic ephemeral volume is named `<pod>-<volume>`, so it is known only once the pod has a name.
    """
    name = manifest.get("name", "")
    claim, ephemeral = manifest.get("persistentVolumeClaim") or {}, manifest.get("ephemeral")
    claim_name = claim.get("claimName")
    if claim_name is None and ephemeral and pod_name:
        claim_name = f"{pod_name}-{name}"
    empty_dir = manifest.get("emptyDir") or {}
    inline, host_path = manifest.get("csi") or {}, manifest.get("hostPath") or {}
    in_tree = next((driver for kind, driver in IN_TREE_FILE_SYSTEMS.items() if manifest.get(kind)), "")
    return PodVolume(
        name=name,
        has_claim=bool(claim or ephemeral),
        claim_name=claim_name if claim_name and isinstance(claim_name, str) else None,
        claim_template=(ephemeral.get("volumeClaimTemplate") or {}) if ephemeral else None,
        is_empty_dir=manifest.get("emptyDir") is not None,
        is_in_memory=empty_dir.get("medium") == "Memory",
        size_limit=empty_dir.get("sizeLimit"),
        config_map_names=tuple(_config_map_names(manifest)),
        can_be_written=not (claim.get("readOnly") or inline.get("readOnly"))
        and not any(manifest.get(kind) for kind in _READ_ONLY_KINDS),
        driver=inline.get("driver") or in_tree,
        attributes=inline.get("volumeAttributes") or {},
        host_path=host_path.get("path") or "",
    )


def _config_map_names(manifest: JsonObject) -> Iterator[str]:
    sources = ((manifest.get("projected") or {}).get("sources") or (), (manifest,))
    for source in (source for kind in sources for source in kind):
        name = (source.get("configMap") or {}).get("name")
        if name:
            yield name
