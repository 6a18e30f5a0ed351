"""GK302: Jobs, their pods and claims in, findings out."""

import json
import shlex

import pytest

from tests.doctor.objects import ML, findings_of, owned_by, trainer


def claim(mode="ReadWriteMany", name="ckpt"):
    return {
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": ML},
        "spec": {"accessModes": [mode]},
    }


def job(metadata=None, **spec):
    return {"kind": "Job", "metadata": {"name": "llama", "namespace": ML, **(metadata or {})}, "spec": spec}


def writer(name="llama-a", volume=None, owner="Job"):
    volume = volume or {"persistentVolumeClaim": {"claimName": "ckpt"}}
    mounts = [{"name": "out", "mountPath": "/checkpoints"}]
    spec = {
        "containers": [{"name": "main", "image": "a", "volumeMounts": mounts}],
        "volumes": [{"name": "out", **volume}],
    }
    return trainer(name, metadata=owned_by(owner, "llama"), spec=spec)


def test_a_job_that_replaces_a_dying_pod_has_two_writers():
    # given a Job as most people write it, whose pods write to a shared claim
    [finding] = findings_of("GK302", job(backoffLimit=6), writer(), writer("llama-b"), claim())
    # then it is named with its pods and the seconds
    assert (finding.severity, finding.subject) == ("error", "Job ml/llama")
    assert finding.pods == ("ml/llama-a", "ml/llama-b")
    assert "still writes for up to 782 s into claim ckpt" in finding.sentence
    assert finding.evidence[0].value == "(not set: TerminatingOrFailed)"


@pytest.mark.parametrize(
    "spec",
    [
        {"podReplacementPolicy": "Failed"},
        {"podFailurePolicy": {"rules": []} | {"x": 1}},
        {"backoffLimit": 0},
        {"backoffLimitPerIndex": 0},
        {"suspend": True},
    ],
    ids=lambda spec: next(iter(spec)),
)
def test_a_job_that_waits_or_never_replaces_is_no_finding(spec):
    assert findings_of("GK302", job(**spec), writer(), claim()) == []


@pytest.mark.parametrize(
    ("volume", "mode", "severity"),
    [
        (None, "ReadWriteMany", "error"),
        (None, "ReadWriteOnce", "warning"),
        (None, "ReadWriteOncePod", None),
        ({"hostPath": {"path": "/data"}}, "", "warning"),
        ({"csi": {"driver": "gcsfuse.csi.storage.gke.io"}}, "", "error"),
        ({"emptyDir": {}}, "", None),
        ({"ephemeral": {"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteMany"]}}}}, "", None),
    ],
)
def test_only_a_volume_that_both_pods_mount_has_two_writers(volume, mode, severity):
    pod = writer(volume=volume)
    pod["spec"]["containers"][0]["env"] = [{"name": "CHECKPOINT_DIR", "value": "/checkpoints"}]
    findings = findings_of("GK302", job(), pod, claim(mode))
    assert [each.severity for each in findings] == ([severity] if severity else [])


def test_pods_of_other_controllers_are_left_out():
    assert findings_of("GK302", job(), writer(owner="PyTorchJob"), claim()) == []
    assert findings_of("GK302", job(owned_by("JobSet", "set", "jobset.x-k8s.io/v1alpha2")), writer(), claim()) == []


def patches_of(command):
    return [
        (words[2], words[3], json.loads(words[words.index("-p") + 1]))
        for words in (shlex.split(part) for part in command.split(" && "))
    ]


def test_the_patch_cures_the_job_and_the_cronjob_above_it():
    [finding] = findings_of("GK302", job(owned_by("CronJob", "nightly")), writer(), claim())
    patch = {"spec": {"podReplacementPolicy": "Failed"}}
    assert patches_of(finding.cure.command) == [
        ("job", "llama", patch),
        ("cronjob", "nightly", {"spec": {"jobTemplate": patch}}),
    ]
    assert findings_of("GK302", job(**patch["spec"]), writer(), claim()) == []


def test_a_job_that_says_so_is_skipped():
    silent = job({"annotations": {"gracekeeper.dev/doctor-skip": "GK302"}})
    assert findings_of("GK302", silent, writer(), claim()) == []
