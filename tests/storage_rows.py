"""The rows of tables/storage_throughput.csv, and the objects that each of them describes as an API server holds them."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from webhook.policy.prefix import PREFIX
from webhook.policy.storage.claim import Claim

TABLE = Path(__file__).parent / "tables" / "storage_throughput.csv"
UNITS = {"MiB/s": 2**20, "MB/s": 10**6}

Json = dict[str, Any]


@dataclass
class Objects:
    """What is behind a claim `p`: class `c`, attributes class `a`, and a bound volume `v` where a capacity is given."""

    driver: str
    request: Any = ""
    capacity: Any = ""
    of_class: Mapping[Any, Any] | None = field(default_factory=dict)
    of_attributes_class: Mapping[Any, Any] = field(default_factory=dict)
    of_volume: Mapping[Any, Any] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    suffix: str = ""
    """Of all names, for more than one of these in a cluster."""

    @property
    def claim(self) -> Json:
        spec: Json = {"accessModes": ["ReadWriteOnce"], "storageClassName": f"c{self.suffix}"}
        spec["resources"] = {"requests": {"storage": self.request} if self.request else {}}
        spec |= {"volumeName": f"v{self.suffix}"} if self.capacity else {}
        spec |= {"volumeAttributesClassName": f"a{self.suffix}"} if self.of_attributes_class else {}
        return self._object("v1", "PersistentVolumeClaim", "p", spec=spec)

    @property
    def persistent_volume(self) -> Json | None:
        if not self.capacity:
            return None
        csi = {"driver": self.driver, "volumeHandle": f"v{self.suffix}", "volumeAttributes": self.of_volume}
        spec = {"capacity": {"storage": self.capacity}, "accessModes": ["ReadWriteOnce"], "csi": csi}
        return self._object("v1", "PersistentVolume", "v", spec=spec | {"storageClassName": f"c{self.suffix}"})

    @property
    def storage_class(self) -> Json | None:
        if self.of_class is None:
            return None
        fields = {"provisioner": self.driver, "parameters": self.of_class, "volumeBindingMode": "WaitForFirstConsumer"}
        return self._object("storage.k8s.io/v1", "StorageClass", "c", **fields)

    @property
    def attributes_class(self) -> Json | None:
        if not self.of_attributes_class:
            return None
        fields = {"driverName": self.driver, "parameters": self.of_attributes_class}
        return self._object("storage.k8s.io/v1", "VolumeAttributesClass", "a", **fields)

    @property
    def volume(self) -> Claim:
        """As the policy sees them."""
        return Claim(self.claim, self.persistent_volume, self.storage_class, self.attributes_class)

    def _object(self, version: str, kind: str, name: str, **fields: Any) -> Json:
        text = self.annotations.get(kind)
        metadata: Json = {"name": name + self.suffix}
        metadata |= {} if text is None else {"annotations": {PREFIX + "write-throughput": text}}
        return {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}


@dataclass(frozen=True)
class Row:
    """One line: what is given, and what was computed by hand from it."""

    cells: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.cells['driver']}: {self.cells['given']}"

    @property
    def driver(self) -> str:
        return self.cells["driver"]

    @property
    def reason(self) -> str:
        """Words of the source that the decision names."""
        return self.cells["said"]

    @property
    def bytes_per_second(self) -> float | None:
        """None where the objects tell nothing, and the default counts."""
        if not self.cells["takes"]:
            return None
        number, unit = self.cells["takes"].split()
        return float(number) * UNITS[unit]

    def objects(self, suffix: str = "") -> Objects:
        cells = self.cells
        return Objects(
            self.driver,
            request=cells["request"],
            of_class=None if cells["class"] == "unknown" else pairs(cells["class"]),
            of_attributes_class=pairs(cells["attributes class"]),
            of_volume=pairs(cells["volume attributes"]),
            capacity=cells["capacity"],
            annotations=pairs(cells["annotation"]),
            suffix=suffix,
        )


def rows() -> list[Row]:
    with TABLE.open(newline="") as file:
        return [Row(cells) for cells in csv.DictReader(file)]


def pairs(cell: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in cell.split(";")) if cell else {}
