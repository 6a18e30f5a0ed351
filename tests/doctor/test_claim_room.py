"""GK306: claims and the pods that save to them in, findings out. Two checkpoints need 20 GiB."""

import json
import shlex

import pytest

from tests.doctor.objects import ML, findings_of, trainer


def claim(request="15Gi", capacity=None, mode="ReadWriteOnce", storage_class="fast", name="ckpt"):
    status = {} if capacity is None else {"status": {"capacity": {"storage": capacity}}}
    spec = {"accessModes": [mode], "resources": {"requests": {"storage": request}}, "storageClassName": storage_class}
    if storage_class is None:
        del spec["storageClassName"]
    return {"kind": "PersistentVolumeClaim", "metadata": {"name": name, "namespace": ML}, "spec": spec, **status}


def storage_class(name="fast", *, expands=True, provisioner="ebs.csi.aws.com", **annotations):
    return {
        "kind": "StorageClass",
        "metadata": {"name": name, "annotations": annotations},
        "provisioner": provisioner,
        "allowVolumeExpansion": expands,
    }


def saver(name="a", arguments=(), size="10GiB", writers=None, claims=("ckpt",)):
    words = ["python", "train.py", "--save=/v0", *arguments]
    mounts = [{"name": f"v{index}", "mountPath": f"/v{index}"} for index in range(len(claims))]
    volumes = [{"name": f"v{index}", "persistentVolumeClaim": {"claimName": each}} for index, each in enumerate(claims)]
    annotations = {"gracekeeper.dev/checkpoint-size": size} | (
        {} if writers is None else {"gracekeeper.dev/checkpoint-writers": writers}
    )
    spec = {
        "containers": [{"name": "main", "image": "i", "command": words, "volumeMounts": mounts}],
        "volumes": volumes,
    }
    return trainer(name, metadata={"annotations": annotations}, spec=spec)


@pytest.mark.parametrize(
    ("of_claim", "arguments", "is_too_small"),
    [
        (claim("15Gi"), (), True),
        (claim("20Gi"), (), False),
        (claim("15Gi", capacity="30Gi"), (), False),  # it has grown, or the driver rounded up
        (claim("30Gi", capacity="15Gi"), (), True),  # it has not grown yet
        (claim("25Gi"), ("--save_total_limit=2",), True),
        (claim("25Gi"), ("--save_total_limit", "2"), True),
        (claim("30Gi"), ("--save_total_limit", "2"), False),
        (claim("25Gi"), ("--keep-last=3",), True),
    ],
)
def test_the_next_checkpoint_needs_room_beside_those_that_are_kept(of_claim, arguments, is_too_small):
    findings = findings_of("GK306", of_claim, saver(arguments=arguments))
    assert [each.subject for each in findings] == (["PersistentVolumeClaim ml/ckpt"] if is_too_small else [])


def test_the_volume_counts_before_the_claim():
    bound = claim("10Gi")
    bound["spec"]["volumeName"] = "pv"
    volume = {
        "kind": "PersistentVolume",
        "metadata": {"name": "pv"},
        "spec": {"capacity": {"storage": "100Gi"}, "claimRef": {"namespace": ML, "name": "ckpt"}},
    }
    assert findings_of("GK306", bound, volume, saver()) == []


def test_pods_that_share_a_claim_write_the_whole_checkpoint_to_it():
    # given four pods that write a sharded checkpoint of 40 GiB
    pods = [saver(name, size="40GiB", writers="4") for name in ("a", "b")]
    # then a shared claim needs room for all of it twice, and a claim of its own for a share
    [finding] = findings_of("GK306", claim("79Gi", mode="ReadWriteMany"), *pods)
    assert "2 checkpoints need 80 GiB" in finding.sentence
    assert finding.pods == ("ml/a", "ml/b")
    assert findings_of("GK306", claim("20Gi"), pods[0]) == []


@pytest.mark.parametrize("provisioner", ["efs.csi.aws.com", "gcsfuse.csi.storage.gke.io"])
def test_a_volume_without_a_size_of_its_own_is_left_out(provisioner):
    assert findings_of("GK306", claim("1Gi"), storage_class(provisioner=provisioner), saver()) == []


def test_without_the_claim_nothing_is_claimed():
    assert findings_of("GK306", saver()) == []


@pytest.mark.parametrize(
    ("of_claim", "of_class"),
    [
        (claim(), storage_class()),
        (
            claim(storage_class=None),
            storage_class(**{"storageclass.kubernetes.io/is-default-class": "true"}),
        ),
    ],
)
def test_a_claim_that_may_grow_is_grown_and_the_finding_is_gone(of_claim, of_class):
    [finding] = findings_of("GK306", of_claim, of_class, saver())
    words = shlex.split(finding.cure.command)
    assert words[:5] == ["kubectl", "patch", "pvc", "ckpt", "-n"]
    spec = json.loads(words[-1])["spec"]
    assert spec == {"resources": {"requests": {"storage": "20Gi"}}}
    assert findings_of("GK306", {**of_claim, "spec": of_claim["spec"] | spec}, of_class, saver()) == []


@pytest.mark.parametrize("classes", [[], [storage_class(expands=False)]])
def test_a_claim_that_may_not_grow_is_made_anew(classes):
    [finding] = findings_of("GK306", claim(), *classes, saver())
    assert "patch" not in finding.cure.command
    assert "Make a new claim of 20Gi" in finding.cure.note
