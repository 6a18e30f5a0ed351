"""How fast the checkpoint volume takes data: annotations first, then what its CSI driver's parameters promise.

Law: one file per driver family, each a pure function of the merged parameters and the capacity; a new family is a line in FAMILIES.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from webhook.policy import keys, quantity
from webhook.policy.facts import JsonObject
from webhook.policy.throughput import ebs

_GIB = 2**30


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
        """The CSI driver: of the bound volume, else of the StorageClass."""
        driver = (((self.persistent_volume or {}).get("spec") or {}).get("csi") or {}).get("driver")
        return str(driver or (self.storage_class or {}).get("provisioner") or "")

    def parameters(self) -> dict[str, tuple[str, str]]:
        """Driver parameters, lower-case, with the object that set each: VolumeAttributesClass, then PV, then StorageClass."""
        csi = ((self.persistent_volume or {}).get("spec") or {}).get("csi") or {}
        layers: list[tuple[str, JsonObject | None, Mapping[str, str]]] = [
            ("StorageClass", self.storage_class, (self.storage_class or {}).get("parameters") or {}),
            ("PersistentVolume", self.persistent_volume, csi.get("volumeAttributes") or {}),
            ("VolumeAttributesClass", self.attributes_class, (self.attributes_class or {}).get("parameters") or {}),
        ]
        return {
            key.lower(): (str(value), f"{kind} {((holder or {}).get('metadata') or {}).get('name', '')}")
            for kind, holder, parameters in layers
            for key, value in parameters.items()
        }

    def capacity_gib(self) -> float | None:
        """Capacity of the bound volume, else the claim's request."""
        bound = ((self.persistent_volume or {}).get("spec") or {}).get("capacity") or {}
        asked = (((self.claim.get("spec") or {}).get("resources") or {}).get("requests")) or {}
        text = bound.get("storage") or asked.get("storage")
        try:
            return None if text is None else quantity.size_bytes(str(text)) / _GIB
        except quantity.UnreadableError:
            return None


@dataclass(frozen=True, slots=True)
class Throughput:
    """Bytes per second and the sentence on where the number is from."""

    bytes_per_second: float
    source: str


Family = Callable[[Mapping[str, tuple[str, str]], float | None], tuple[float, str] | None]
FAMILIES: Mapping[str, Family] = {"ebs.csi.aws.com": ebs.write_bytes_per_second}


def of_volume(volume: Volume) -> tuple[Throughput | None, tuple[keys.Ignored, ...]]:
    """What the volume's own objects say, the nearest to the volume first; None where they say nothing."""
    ignored: list[keys.Ignored] = []
    family = FAMILIES.get(volume.provisioner)
    from_driver = family(volume.parameters(), volume.capacity_gib()) if family is not None else None
    near_the_volume = bool(from_driver) and not (from_driver or (0, ""))[1].startswith(("StorageClass", "default"))
    annotated = [
        keys.read_annotation(kind, holder, keys.WRITE_THROUGHPUT)
        for kind, holder in (
            ("PersistentVolumeClaim", volume.claim),
            ("PersistentVolume", volume.persistent_volume),
            ("StorageClass", volume.storage_class),
        )
    ]
    ignored.extend(said for said in annotated if isinstance(said, keys.Ignored))
    stated = [said if isinstance(said, keys.Stated) else None for said in annotated]
    for said in stated[: 2 if near_the_volume else 3]:
        if said is not None:
            return Throughput(said.value, said.source), tuple(ignored)
    return (None if from_driver is None else Throughput(*from_driver)), tuple(ignored)
