"""The objects behind one PersistentVolumeClaim, and what they ask of the driver together."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from webhook.policy import quantity
from webhook.policy.facts import Facts
from webhook.policy.pod import Pod, PodVolume
from webhook.policy.pod.metadata import JsonObject, annotations_of, metadata_of
from webhook.policy.storage.drivers import family_of
from webhook.policy.storage.drivers.parameters import Setting, VolumeParameters

_GIB = 2**30
_MOST_CLAIMS = 256
"""Claims that are looked at: no node takes as many volumes."""
_DEFAULT_CLASS_ANNOTATION = "storageclass.kubernetes.io/is-default-class"
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
class InlineVolume:
    """A volume that the pod names by its driver, without a claim."""

    name: str
    driver: str
    attributes: JsonObject


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim with its PersistentVolume, StorageClass and VolumeAttributesClass, as far as they are known."""

    manifest: JsonObject
    persistent_volume: JsonObject | None
    storage_class: JsonObject | None
    attributes_class: JsonObject | None
    inline: InlineVolume | None = None
    """The volume of the pod that takes the place of all of these."""

    @property
    def shared(self) -> bool:
        """Whether several pods may write to it at once (ReadWriteMany)."""
        return "ReadWriteMany" in ((self.manifest.get("spec") or {}).get("accessModes") or ())

    @property
    def provisioner(self) -> str:
        """Return the driver: of the bound volume, else of the StorageClass."""
        if self.inline is not None:
            return self.inline.driver
        spec = _inner(self.persistent_volume, "spec")
        in_tree = next((name for source, name in _IN_TREE.items() if source in spec), "")
        return _text(_inner(spec, "csi"), "driver") or in_tree or _text(self.storage_class, "provisioner")

    @property
    def parameters(self) -> VolumeParameters:
        """Return what the volume is to be: of a VolumeAttributesClass, else the PersistentVolume, else the StorageClass."""
        capacity = _gib(_inner(self.persistent_volume, "spec", "capacity").get("storage"))
        request = _gib(_inner(self.manifest, "spec", "resources", "requests").get("storage"))
        return VolumeParameters(
            self.provisioner,
            self._settings(),
            request if capacity is None else capacity,
            bound=capacity is not None,
            by_class=self._maker is not None,
        )

    @property
    def _maker(self) -> JsonObject | None:
        """Return the StorageClass, where it can have made the volume.

        A static volume may name a class of another provisioner.
        """
        same_family = family_of(_text(self.storage_class, "provisioner")) is family_of(self.provisioner)
        return self.storage_class if same_family else None

    def _settings(self) -> dict[str, Setting]:
        """Return the parameters by lower-case name.

        Drivers copy the class's parameters to the volume. A copy counts as the class's word, so that an annotation which
        corrects the class corrects these volumes too.
        """
        settings = {
            str(key).lower(): Setting(str(text), _named("StorageClass", self._maker))
            for key, text in _inner(self._maker, "parameters").items()
        }
        of_class = {name: setting.text for name, setting in settings.items()}
        attributes = _inner(self.persistent_volume, "spec", "csi", "volumeAttributes")
        own = {key: text for key, text in attributes.items() if of_class.get(str(key).lower()) != str(text)}
        if self.inline is not None:
            return {
                str(key).lower(): Setting(str(text), f"volume {self.inline.name}", of_the_volume=True)
                for key, text in self.inline.attributes.items()
            }
        for kind, holder, parameters in (
            ("PersistentVolume", self.persistent_volume, own),
            ("VolumeAttributesClass", self.attributes_class, _inner(self.attributes_class, "parameters")),
        ):
            for key, text in parameters.items():
                settings[str(key).lower()] = Setting(str(text), _named(kind, holder), of_the_volume=True)
        return settings


def claims_behind(pod: Pod, volume_names: tuple[str, ...], facts: Facts) -> list[Claim | None]:
    """Return the claims behind these volumes of the pod; None for one that is not known, and for all beyond the most.

    A volume that the pod names by its driver counts as a claim of that driver.
    """
    volumes = {volume.name: volume for volume in pod.volumes}
    looked_at = [volumes[name] for name in volume_names[:_MOST_CLAIMS]]
    default_class = _default_class(facts)
    claims = [_claim_behind(volume, default_class, facts) for volume in looked_at]
    return claims if len(looked_at) == len(volume_names) else [*claims, None]


def _claim_behind(volume: PodVolume, default_class: JsonObject | None, facts: Facts) -> Claim | None:
    if volume.driver:
        return Claim({}, None, None, None, InlineVolume(volume.name, volume.driver, volume.attributes))
    manifest = facts.claims.get(volume.claim_name or "") or volume.claim_template
    return _claim(manifest, default_class, facts) if manifest else None


def _claim(manifest: JsonObject, default_class: JsonObject | None, facts: Facts) -> Claim:
    spec = manifest.get("spec") or {}
    class_name = spec.get("storageClassName")
    volume = facts.persistent_volumes.get(spec.get("volumeName") or "")
    return Claim(
        manifest,
        volume if _is_bound(volume, manifest) else None,
        default_class if class_name is None else facts.storage_classes.get(class_name),
        facts.volume_attributes_classes.get(spec.get("volumeAttributesClassName") or ""),
    )


def _is_bound(volume: JsonObject | None, claim: JsonObject) -> bool:
    """Return whether the volume is bound to this very claim.

    A claim may name any volume, also that of another namespace. Its facts are nobody else's business.
    """
    reference = ((volume or {}).get("spec") or {}).get("claimRef") or {}
    metadata = metadata_of(claim)
    same_name = all(reference.get(field) == metadata.get(field) for field in ("namespace", "name"))
    uids = (reference.get("uid"), metadata.get("uid"))
    return bool(reference) and same_name and (None in uids or uids[0] == uids[1])


def _default_class(facts: Facts) -> JsonObject | None:
    """Return the StorageClass that a claim without one gets."""
    classes = facts.storage_classes.values()
    return next((each for each in classes if annotations_of(each).get(_DEFAULT_CLASS_ANNOTATION) == "true"), None)


def _named(kind: str, holder: JsonObject | None) -> str:
    return f"{kind} {_inner(holder, 'metadata').get('name', '')}"


def _gib(text: object) -> float | None:
    """Return a capacity in GiB; None where it cannot be read, or is zero."""
    amount = quantity.kubernetes_quantity(str(text))
    return float(amount / _GIB) if amount else None


def _text(holder: object, key: str) -> str:
    return str(_inner(holder).get(key) or "")


def _inner(holder: object, *path: str) -> Mapping[Any, Any]:
    """Return a mapping inside an object; an empty one where it is missing or something else."""
    for name in path:
        holder = holder.get(name) if isinstance(holder, Mapping) else None
    return holder if isinstance(holder, Mapping) else {}
