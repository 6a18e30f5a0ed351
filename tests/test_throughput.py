"""How fast a volume takes data by what its driver's parameters promise; tests/tables/storage_throughput.csv has the numbers."""

import math
import random
from collections import Counter

import pytest

from tests.storage_rows import Objects, rows
from webhook.policy.facts import Facts
from webhook.policy.pod import read_pod
from webhook.policy.storage.claim import Claim, claims_behind
from webhook.policy.storage.drivers import FAMILIES
from webhook.policy.storage.drivers.silent import why_silent
from webhook.policy.storage.throughput import Throughput, fallback_for, throughput_of

FALLBACK = Throughput(1.0, "default")


def a_volume(driver, **fields) -> Claim:
    return Objects(driver, **fields).volume


@pytest.mark.parametrize("row", rows(), ids=str)
def test_a_volume_takes_what_was_computed_by_hand(row):
    volume = row.objects().volume
    throughput, ignored = throughput_of(volume)
    assert ignored == ()
    if row.bytes_per_second is None:
        assert throughput is None
        assert fallback_for(volume, FALLBACK) == Throughput(1.0, f"default, as {fallback_reason(volume)}")
        assert row.reason in fallback_reason(volume)
    else:
        assert throughput is not None
        assert throughput.bytes_per_second == pytest.approx(row.bytes_per_second)
        assert row.reason in throughput.source


def fallback_reason(volume: Claim) -> str:
    return fallback_for(volume, FALLBACK).source.removeprefix("default, as ")


def test_every_driver_has_rows_and_every_family_at_least_five():
    of_family = Counter(FAMILIES.get(row.driver, why_silent).__module__ for row in rows())
    assert set(FAMILIES) <= {row.driver for row in rows()}
    assert len(of_family) == 10
    assert min(of_family.values()) >= 5


@pytest.mark.parametrize(
    ("source", "provisioner"),
    [
        ({"awsElasticBlockStore": {"volumeID": "vol-1"}}, "kubernetes.io/aws-ebs"),
        ({"gcePersistentDisk": {"pdName": "d"}}, "kubernetes.io/gce-pd"),
        ({"nfs": {"server": "s", "path": "/"}}, "kubernetes.io/nfs"),
        ({"csi": {"driver": "disk.csi.azure.com"}}, "disk.csi.azure.com"),
        ({}, "ebs.csi.aws.com"),
    ],
)
def test_the_driver_is_that_of_the_bound_volume_be_it_in_tree(source, provisioner):
    made_by = Claim({}, {"spec": {"capacity": {"storage": "1Ti"}, **source}}, {"provisioner": "ebs.csi.aws.com"}, None)
    assert made_by.provisioner == provisioner


@pytest.mark.parametrize("provisioner", ["kubernetes.io/no-provisioner", "ebs.csi.aws.com"])
def test_a_class_that_did_not_make_the_volume_tells_nothing_of_it(provisioner):
    static = {"spec": {"capacity": {"storage": "1200Gi"}, "csi": {"driver": "fsx.csi.aws.com"}}}
    parameters = {"deploymentType": "SCRATCH_2", "type": "gp3"}
    volume = Claim({}, static, {"provisioner": provisioner, "parameters": parameters}, None)
    assert throughput_of(volume) == (None, ())
    assert "no StorageClass tells what fsx.csi.aws.com made the volume as" in fallback_for(volume, FALLBACK).source


def test_what_is_not_known_of_a_volume_is_said_with_the_fallback():
    assert fallback_for(a_volume("nfs.csi.k8s.io", request="1Gi"), Throughput(5.0, "profile fast")) == Throughput(
        5.0, "profile fast, as nfs.csi.k8s.io states no throughput"
    )


@pytest.mark.parametrize("volume", [Claim({}, None, None, None), a_volume("ebs.csi.aws.com", request="1Gi")])
def test_the_fallback_stands_alone_where_no_driver_is_known_or_the_driver_speaks(volume):
    assert fallback_for(volume, FALLBACK) == FALLBACK


@pytest.mark.parametrize(
    ("annotated", "attributes_class", "wins"),
    [
        (
            ("PersistentVolumeClaim", "PersistentVolume", "StorageClass"),
            {"throughput": "500"},
            "PersistentVolumeClaim p",
        ),
        (("PersistentVolume", "StorageClass"), {"throughput": "500"}, "PersistentVolume v annotation"),
        (("StorageClass",), {"throughput": "500"}, "VolumeAttributesClass a"),
        (("StorageClass",), {}, "StorageClass c annotation"),
        ((), {}, "StorageClass c: gp3"),
    ],
)
def test_the_object_nearest_to_the_volume_is_heard_first(annotated, attributes_class, wins):
    volume = a_volume(
        "ebs.csi.aws.com",
        of_class={"throughput": "250"},
        of_attributes_class=attributes_class,
        capacity="1Ti",
        annotations=dict.fromkeys(annotated, "7MiB/s"),
    )
    throughput, _ = throughput_of(volume)
    assert throughput is not None
    assert throughput.source.startswith(wins)


def test_an_attributes_class_is_of_the_volume_even_where_it_repeats_its_class():
    same = {"throughput": "250"}
    volume = a_volume(
        "ebs.csi.aws.com",
        of_class=same,
        of_attributes_class=same,
        capacity="1Ti",
        annotations={"StorageClass": "7MiB/s"},
    )
    throughput, _ = throughput_of(volume)
    assert throughput is not None
    assert throughput.source.startswith("VolumeAttributesClass a")


NUMBERS = {
    "ebs.csi.aws.com": (
        ["gp2", "gp3", "io1", "io2", "st1", "sc1", "standard"],
        "type",
        ["throughput", "iops", "iopsPerGB"],
    ),
    "kubernetes.io/aws-ebs": (["", "gp2", "gp3"], "type", ["throughput", "iops", "iopsPerGB"]),
    "pd.csi.storage.gke.io": (
        ["pd-standard", "pd-balanced", "pd-ssd", "hyperdisk-balanced", "hyperdisk-throughput", "hyperdisk-extreme"],
        "type",
        ["provisioned-throughput-on-create", "provisioned-iops-on-create", "throughput", "iops"],
    ),
    "disk.csi.azure.com": (
        ["Premium_LRS", "StandardSSD_LRS", "Standard_LRS", "UltraSSD_LRS", "PremiumV2_LRS"],
        "skuName",
        ["DiskMBpsReadWrite", "DiskIOPSReadWrite"],
    ),
    "file.csi.azure.com": (
        ["Standard_LRS", "Premium_LRS", "PremiumV2_LRS", "StandardV2_LRS"],
        "skuName",
        ["provisionedBandwidth"],
    ),
    "fsx.csi.aws.com": (
        ["SCRATCH_1", "SCRATCH_2", "PERSISTENT_1", "PERSISTENT_2"],
        "deploymentType",
        ["perUnitStorageThroughput"],
    ),
    "lustre.csi.storage.gke.io": ([""], "network", ["perUnitStorageThroughput"]),
    "azurelustre.csi.azure.com": ([""], "zone", ["sku-name"]),
}
"""By driver: the types, the parameter that names them, and the parameters that are numbers."""


def a_number(chance: random.Random) -> int:
    return math.ceil(10 ** chance.uniform(0, 7))


def spelled(driver: str, key: str, number: int, suffix: str) -> str:
    if driver == "pd.csi.storage.gke.io" and "throughput" in key:
        return f"{number}{suffix}"
    return f"AMLFS-Durable-Premium-{number}" if key == "sku-name" else str(number)


def speed(volume: Claim) -> float:
    throughput, _ = throughput_of(volume)
    return 0.0 if throughput is None else throughput.bytes_per_second


@pytest.mark.parametrize("driver", NUMBERS)
def test_more_capacity_or_a_higher_setting_never_lowers_the_result(driver):
    """1000 volumes for each driver, of one seed; each is compared with one that has more of one thing."""
    chance = random.Random(driver)
    kinds, type_key, numeric = NUMBERS[driver]
    for _ in range(1000):
        of_class = {type_key: chance.choice(kinds), "storageType": chance.choice(["SSD", "HDD"])}
        suffix = chance.choice(["", "Ki", "Mi", "M", "G"])
        numbers = {key: a_number(chance) for key in chance.sample(numeric, chance.randint(0, len(numeric)))}
        gib, bound = a_number(chance) / 10, chance.random() < 0.3

        def volume(numbers, gib, of_class=of_class, suffix=suffix, bound=bound):
            texts = {key: spelled(driver, key, number, suffix) for key, number in numbers.items()}
            size = f"{gib:.1f}Gi"
            return a_volume(driver, request=size, of_class={**of_class, **texts}, capacity=size if bound else "")

        before = speed(volume(numbers, gib))
        assert math.isfinite(before)
        larger = gib + a_number(chance) / 10
        assert speed(volume(numbers, larger)) >= before, (of_class, numbers, gib, larger)
        for key, number in numbers.items():
            higher = {**numbers, key: number + a_number(chance)}
            assert speed(volume(higher, gib)) >= before, (of_class, numbers, higher, gib)


ODD = ["", " ", "0", "-1", "+5", "1e309", "1e99", "9" * 30, "9" * 5000, "0x10", "NaN", "inf", "null", "true", "1.5", "10Gi", "500m",
       "250Mi", "1n", "٣", "²", "gp3", "io2", "st1", "GP2", "pd-ssd", "hyperdisk-extreme", "hyperdisk-throughput", "Premium_LRS",
       "PremiumV2_LRS", "UltraSSD_LRS", "StandardV2_LRS", "HDD", "PERSISTENT_1", "AMLFS-Durable-Premium-0", "nfs", "\x00", "é" * 99,
       0, -3, 2.5, True, None, [], {}]  # fmt: skip
KEYS_OF_DRIVERS = ["type", "Type", "TYPE ", "", 7, "csi.storage.k8s.io/fstype", "storageType", "deploymentType", "protocol", "fsType",
                   "skuName", "storageAccountType", "enablePerformancePlus", *{key for _, _, numeric in NUMBERS.values() for key in numeric}]  # fmt: skip


def test_no_parameters_however_odd_raise_an_error_or_make_a_volume_take_nothing():
    """10000 volumes of one seed, of every driver, with parameters and capacities that nobody would write."""
    chance = random.Random(5)
    drivers = [*FAMILIES, "nfs.csi.k8s.io", "csi.example.com", "", "é"]
    for _ in range(10_000):
        odd = [
            {chance.choice(KEYS_OF_DRIVERS): chance.choice(ODD) for _ in range(chance.randint(0, 6))} for _ in range(3)
        ]
        volume = a_volume(
            chance.choice(drivers),
            request=chance.choice(ODD),
            of_class=odd[0] if chance.random() < 0.8 else None,
            of_attributes_class=odd[1],
            of_volume=odd[2],
            capacity=chance.choice(ODD),
        )
        throughput, _ = throughput_of(volume)
        assert throughput is None or 0 < throughput.bytes_per_second < math.inf, volume
        assert fallback_for(volume, FALLBACK).source.startswith("default")


@pytest.mark.parametrize("parameters", [None, [], "type=gp3", 7])
def test_parameters_that_are_no_parameters_count_as_none(parameters):
    volume = Claim(
        {"spec": None},
        {"spec": {"csi": parameters}},
        {"provisioner": "ebs.csi.aws.com", "parameters": parameters},
        None,
    )
    throughput, _ = throughput_of(volume)
    assert throughput == Throughput(125 * 2**20, "default of ebs.csi.aws.com gp3: gp3 throughput 125 MiB/s")


@pytest.mark.parametrize(
    ("reference", "counts"),
    [
        ({"namespace": "team-a", "name": "data"}, True),
        ({"namespace": "team-a", "name": "data", "uid": "u1"}, True),
        ({"namespace": "team-a", "name": "data", "uid": "u0"}, False),
        ({"namespace": "team-b", "name": "data", "uid": "u1"}, False),
        ({"namespace": "team-a", "name": "other"}, False),
        ({}, False),
        (None, False),
    ],
)
def test_a_volume_counts_only_where_it_is_bound_to_this_very_claim(reference, counts):
    claim = {"metadata": {"namespace": "team-a", "name": "data", "uid": "u1"}, "spec": {"volumeName": "pv"}}
    volume = {"metadata": {"name": "pv"}, "spec": {"claimRef": reference}}
    pod = read_pod({"spec": {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]}})
    [known] = claims_behind(pod, ("v",), Facts(claims={"data": claim}, persistent_volumes={"pv": volume}))
    assert known is not None
    assert (known.persistent_volume is not None) is counts
