"""How fast the checkpoint volume takes data: annotations first, then what its CSI driver's parameters promise.

Law: one file per driver family, each a pure function of what the volume was asked to be; a new family is a line in FAMILIES.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from webhook.policy import keys, quantity
from webhook.policy.facts import JsonObject
from webhook.policy.throughput import (
    azure_disk,
    azure_files,
    azure_lustre,
    ebs,
    efs,
    fsx_lustre,
    managed_lustre,
    persistent_disk,
    silent,
)
from webhook.policy.throughput.asked import Asked, Family, Promise, Setting, Silence

_GIB = 2**30
FAMILIES: Mapping[str, Family] = {
    "azurelustre.csi.azure.com": azure_lustre.write,
    "disk.csi.azure.com": azure_disk.write,
    "ebs.csi.aws.com": ebs.write,
    "efs.csi.aws.com": efs.write,
    "file.csi.azure.com": azure_files.write,
    "fsx.csi.aws.com": fsx_lustre.write,
    "kubernetes.io/aws-ebs": ebs.write,
    "kubernetes.io/azure-disk": azure_disk.write,
    "kubernetes.io/azure-file": azure_files.write,
    "kubernetes.io/gce-pd": persistent_disk.write,
    "lustre.csi.storage.gke.io": managed_lustre.write,
    "pd.csi.storage.gke.io": persistent_disk.write,
}
"""Every other driver states nothing: `silent`."""
_IN_TREE = {
    "awsElasticBlockStore": "kubernetes.io/aws-ebs",
    "azureDisk": "kubernetes.io/azure-disk",
    "azureFile": "kubernetes.io/azure-file",
    "cephfs": "kubernetes.io/cephfs",
    "gcePersistentDisk": "kubernetes.io/gce-pd",
    "hostPath": "kubernetes.io/host-path",
    "local": "kubernetes.io/local",
    "nfs": "kubernetes.io/nfs",
    "rbd": "kubernetes.io/rbd",
}
"""Sources that a PersistentVolume can have instead of `csi`, with the name of their provisioner."""


@dataclass(frozen=True, slots=True)
class Volume:
    """The objects behind one claim, as far as they are known, and what the driver's parameters say together."""

    claim: JsonObject
    persistent_volume: JsonObject | None
    storage_class: JsonObject | None
    attributes_class: JsonObject | None

    @property
    def shared(self) -> bool:
        """Whether several pods may write to it at once (ReadWriteMany)."""
        return "ReadWriteMany" in ((self.claim.get("spec") or {}).get("accessModes") or ())

    @property
    def provisioner(self) -> str:
        """The driver: of the bound volume, else of the StorageClass."""
        spec = _inner(self.persistent_volume, "spec")
        in_tree = next((name for source, name in _IN_TREE.items() if source in spec), "")
        return _text(_inner(spec, "csi"), "driver") or in_tree or _text(self.storage_class, "provisioner")

    def asked(self) -> Asked:
        """What the volume was asked to be: a VolumeAttributesClass before the PersistentVolume before the StorageClass."""
        bound = _gib(_inner(self.persistent_volume, "spec", "capacity").get("storage"))
        request = _gib(_inner(self.claim, "spec", "resources", "requests").get("storage"))
        return Asked(
            self.provisioner,
            self._settings(),
            request if bound is None else bound,
            bound=bound is not None,
            by_class=self._maker is not None,
        )

    @property
    def _maker(self) -> JsonObject | None:
        """The StorageClass, where the volume can be of its making: a static volume may name one of another provisioner."""
        return (
            self.storage_class
            if _family(_text(self.storage_class, "provisioner")) is _family(self.provisioner)
            else None
        )

    def _settings(self) -> dict[str, Setting]:
        """Parameters by lower-case name.

        Drivers copy the class's parameters to the volume. What only repeats the class is the class's word: who corrects
        a class with an annotation means these volumes too.
        """
        settings = {
            str(key).lower(): Setting(str(text), _named("StorageClass", self._maker))
            for key, text in _inner(self._maker, "parameters").items()
        }
        of_class = {name: setting.text for name, setting in settings.items()}
        attributes = _inner(self.persistent_volume, "spec", "csi", "volumeAttributes")
        own = {key: text for key, text in attributes.items() if of_class.get(str(key).lower()) != str(text)}
        for kind, holder, parameters in (
            ("PersistentVolume", self.persistent_volume, own),
            ("VolumeAttributesClass", self.attributes_class, _inner(self.attributes_class, "parameters")),
        ):
            for key, text in parameters.items():
                settings[str(key).lower()] = Setting(str(text), _named(kind, holder), of_the_volume=True)
        return settings


@dataclass(frozen=True, slots=True)
class Throughput:
    """Bytes per second and the sentence on where the number is from."""

    bytes_per_second: float
    source: str


def of_volume(volume: Volume) -> tuple[Throughput | None, tuple[keys.Ignored, ...]]:
    """What the volume's own objects say, the nearest to the volume first; None where they say nothing."""
    annotated = [
        keys.read_annotation(kind, holder, keys.WRITE_THROUGHPUT)
        for kind, holder in (
            ("PersistentVolumeClaim", volume.claim),
            ("PersistentVolume", volume.persistent_volume),
            ("StorageClass", volume.storage_class),
        )
    ]
    ignored = tuple(said for said in annotated if isinstance(said, keys.Ignored))
    of_claim, of_volume_itself, of_class = (
        Throughput(said.value, said.source) if isinstance(said, keys.Stated) else None for said in annotated
    )
    asked = volume.asked()
    promise = _promise(asked)
    if isinstance(promise, Silence):
        return of_claim or of_volume_itself or of_class, ignored
    setter = _setter(asked, promise)
    holder = f"default of {asked.driver} {promise.kind}" if setter is None else setter.holder
    from_driver = Throughput(promise.bytes_per_second, f"{holder}: {promise.reason}")
    if setter is not None and setter.of_the_volume:
        return of_claim or of_volume_itself or from_driver, ignored
    return of_claim or of_volume_itself or of_class or from_driver, ignored


def instead(volume: Volume, fallback: Throughput) -> Throughput:
    """The fallback for a volume whose objects say nothing, with the reason why they do not."""
    asked = volume.asked()
    promise = _promise(asked) if asked.driver else None
    if isinstance(promise, Silence):
        return Throughput(fallback.bytes_per_second, f"{fallback.source}, as {promise.why}")
    return fallback


def _promise(asked: Asked) -> Promise | Silence:
    return _family(asked.driver)(asked)


def _family(driver: str) -> Family:
    return FAMILIES.get(driver, silent.write)


def _setter(asked: Asked, promise: Promise) -> Setting | None:
    """Of the settings that made the promise the one nearest to the volume; None where it is the driver's default."""
    made_by = [asked.settings[name] for name in promise.by if name in asked.settings]
    return max(made_by, key=lambda setting: setting.of_the_volume, default=None)


def _named(kind: str, holder: JsonObject | None) -> str:
    return f"{kind} {_inner(holder, 'metadata').get('name', '')}"


def _gib(text: object) -> float | None:
    """A capacity in GiB; None where it cannot be read, or is nothing."""
    read = quantity.kubernetes_quantity(str(text))
    return float(read / _GIB) if read else None


def _text(holder: object, key: str) -> str:
    return str(_inner(holder).get(key) or "")


def _inner(holder: object, *path: str) -> Mapping[Any, Any]:
    """A mapping inside an object; an empty one where it is missing or something else."""
    for name in path:
        holder = holder.get(name) if isinstance(holder, Mapping) else None
    return holder if isinstance(holder, Mapping) else {}
