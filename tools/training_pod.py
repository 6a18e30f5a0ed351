"""A training pod with its claim and its volume, as the demo and the tests create them."""

from collections.abc import Mapping

from tools.kube import Json


def a_claim(name: str, namespace: str, storage_class_name: str, volume_name: str | None = None) -> Json:
    """A claim, bound to a certain volume where one is named."""
    spec: Json = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": storage_class_name,
        "resources": {"requests": {"storage": "100Gi"}},
    }
    if volume_name:
        spec["volumeName"] = volume_name
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def a_host_path_volume(name: str, folder: str, annotations: Mapping[str, str] | None = None) -> Json:
    """A static volume in a folder of the node that its pod runs on; kept when its claim goes."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": dict(annotations or {})},
        "spec": {
            "capacity": {"storage": "100Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "by-hand",
            "hostPath": {"path": folder, "type": "DirectoryOrCreate"},
        },
    }


def a_trainer(name: str, image: str, claim: str, node: str, **metadata: Mapping[str, str]) -> Json:
    """A real training pod: saves for 45 s when it is told to stop (tools/trainer)."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, **{key: dict(value) for key, value in metadata.items()}},
        "spec": {
            "nodeSelector": {"kubernetes.io/hostname": node},
            "restartPolicy": "Never",
            "containers": [
                {
                    "name": "trainer",
                    "image": image,
                    "imagePullPolicy": "Never",
                    "env": [{"name": "CHECKPOINT_DIR", "value": "/checkpoints"}],
                    "volumeMounts": [{"name": "checkpoints", "mountPath": "/checkpoints"}],
                }
            ],
            "volumes": [{"name": "checkpoints", "persistentVolumeClaim": {"claimName": claim}}],
        },
    }


def a_job(namespace: str, pod: Json) -> Json:
    """A Job of one such pod, as most people write it: it says nothing of podReplacementPolicy."""
    name, annotations = pod["metadata"]["name"], pod["metadata"].get("annotations", {})
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"template": {"metadata": {"annotations": annotations}, "spec": pod["spec"]}},
    }
