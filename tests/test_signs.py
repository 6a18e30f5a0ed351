"""Signs that a pod saves: every name, with the values that make it none."""

import pytest

from webhook.policy.pod import marks, read_pod
from webhook.policy.recognition.signs import sign_of_saving

GPU = {"resources": {"limits": {"nvidia.com/gpu": 1}}}


def sign(*volumes, mounts=(), **container):
    trainer = {"name": "a", "volumeMounts": [{"name": n, "mountPath": p} for n, p in mounts], **container}
    return sign_of_saving(read_pod({"spec": {"containers": [trainer], "volumes": list(volumes)}}))


ALL_VARIABLES = (*marks.CHECKPOINT_VARIABLES, *marks.LIKELY_CHECKPOINT_VARIABLES, *marks.SAVING_VARIABLES)
ALL_ARGUMENTS = (*marks.CHECKPOINT_ARGUMENTS, *marks.LIKELY_CHECKPOINT_ARGUMENTS, *marks.SAVING_ARGUMENTS)


@pytest.mark.parametrize("name", ALL_VARIABLES)
@pytest.mark.parametrize(
    ("entry", "counts"),
    [
        ({"value": "100"}, True),
        ({"valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}, True),
        ({"value": ""}, False),
        ({"value": None}, False),
        ({}, False),
        ({"value": "null"}, False),
        ({"value": " None "}, False),
        ({"value": "<no value>"}, False),
        ({"valueFrom": None}, False),
    ],
)
def test_a_variable_counts_where_it_has_a_value(name, entry, counts):
    found = sign(command=["python", "t.py"], env=[{"name": name, **entry}])
    assert found == (f"environment variable {name}" if counts else None)


@pytest.mark.parametrize("value", ["false", "No", "0", "-1", "off"])
def test_a_switch_that_is_off_is_no_sign(value):
    assert sign(env=[{"name": "ENABLE_CKPT_WRITE", "value": value}]) is None
    assert sign(command=["python", "t.py", f"--save_steps={value}"]) is None
    assert sign(command=["python", "t.py", f"checkpoint.save_interval={value}"]) is None


@pytest.mark.parametrize("name", ALL_ARGUMENTS)
def test_an_argument_counts_however_its_value_is_written(name):
    for words in (
        [name, "/x"],
        [f"{name}=/x"],
        [name],
        [name, "--lr"],
        [f"{name} /x"],
    ):
        assert sign(command=["python", "t.py", *words]) == f"argument {name}"
        assert sign(command=["bash", "-c", f"python t.py {' '.join(words)}"]) == f"argument {name}"


@pytest.mark.parametrize("name", ALL_ARGUMENTS)
def test_an_argument_with_an_empty_value_is_no_sign(name):
    for line in (f'{name}=""', f"{name}=''", f"{name} ''", f"{name}=", f"{name}=null", f"{name} None"):
        assert sign(command=["bash", "-c", f"python t.py {line}"]) is None
    assert sign(command=["python", "t.py", name, ""]) is None
    assert sign(command=["python", "t.py", f"{name}="]) is None


@pytest.mark.parametrize(
    ("command", "found"),
    [
        (["python", "t.py", "output_dir=/x"], "output_dir"),
        (["python", "t.py", "++megatron_ckpt_dir=/x"], "megatron_ckpt_dir"),
        (["bash", "-c", "cd /a; A=1 python t.py +checkpoint.save_interval=100"], "checkpoint.save_interval"),
        (["tune", "run", "x", "checkpointer.output_dir=/x"], "checkpointer.output_dir"),
        (["tune", "run", "x", "checkpointer.checkpoint_dir=/x"], None),
        (["python", "t.py", "output_dir="], None),
        (["python", "t.py", "output_dir=null"], None),
        (["python", "t.py", "output_dir"], None),
        (["bash", "-c", "output_dir=/x; python t.py"], None),
        (["python", "t.py", "data.output_dir=/x"], None),
        (["python", "t.py", "--gradient_checkpointing=true", "model_checkpoint_path=/x"], None),
        (["python", "evaluate.py", "output_dir=/x"], None),
    ],
)
def test_an_override_counts_behind_a_program(command, found):
    assert sign(command=command) == (found and f"argument {found}")


@pytest.mark.parametrize(
    ("volume", "path", "found"),
    [
        ({"persistentVolumeClaim": {"claimName": "c"}}, "/checkpoints", "the mount path of volume v"),
        ({"persistentVolumeClaim": {"claimName": "c"}}, "/mnt/ckpt/run", "the mount path of volume v"),
        ({"persistentVolumeClaim": {"claimName": "llm-ckpt-2"}}, "/x", "the name of the claim behind volume v"),
        ({"persistentVolumeClaim": {"claimName": "pretrained-checkpoints"}}, "/x", None),
        ({"persistentVolumeClaim": {"claimName": "c"}}, "/base-checkpoint", None),
        ({"persistentVolumeClaim": {"claimName": "c"}}, "/checkpointing", None),
        ({"persistentVolumeClaim": {"claimName": "c", "readOnly": True}}, "/checkpoints", None),
        ({"csi": {"driver": "gcsfuse.csi.storage.gke.io"}}, "/checkpoints", "the mount path of volume v"),
        ({"csi": {"driver": "gcsfuse.csi.storage.gke.io", "readOnly": True}}, "/checkpoints", None),
        ({"hostPath": {"path": "/x"}}, "/checkpoints", "the mount path of volume v"),
        ({"hostPath": {"path": "/dev/shm"}}, "/checkpoints", None),
        ({"hostPath": {"path": "/tmp"}}, "/checkpoints", None),
        ({"hostPath": {"path": "/device"}}, "/checkpoints", "the mount path of volume v"),
        ({"nfs": {"server": "s"}}, "/checkpoints", "the mount path of volume v"),
        ({"emptyDir": {}}, "/checkpoints", None),
        ({"ephemeral": {"volumeClaimTemplate": {}}}, "/checkpoints", None),
        ({"configMap": {"name": "c"}}, "/checkpoints", None),
    ],
)
def test_a_volume_that_lasts_counts_where_it_is_named_after_checkpoints(volume, path, found):
    assert sign({"name": "v", **volume}, mounts=[("v", path)], **GPU) == found


def test_a_volume_named_after_checkpoints_counts_beside_an_accelerator_of_a_pod_that_may_train():
    volume = {"name": "ckpt", "persistentVolumeClaim": {"claimName": "c"}}
    mounts = [("gone", "/checkpoints"), ("ckpt", "/x")]
    assert sign(volume, mounts=mounts, **GPU) == "the name of volume ckpt"
    assert sign(volume, mounts=mounts) is None
    assert sign(volume, **GPU) is None
    assert sign(volume, mounts=mounts, command=["sleep", "9"], **GPU) is None
    for probe in ({"httpGet": {"port": 1}}, {"tcpSocket": {"port": 1}}, {"grpc": {"port": 1}}):
        assert sign(volume, mounts=mounts, readinessProbe=probe, **GPU) is None
    assert sign(volume, mounts=mounts, readinessProbe={"exec": {"command": ["true"]}}, **GPU) is not None


def test_a_mount_that_is_read_only_is_no_sign():
    volume = {"name": "ckpt", "persistentVolumeClaim": {"claimName": "c"}}
    mount = {"name": "ckpt", "mountPath": "/checkpoints", "readOnly": True}
    trainer = {"name": "a", "volumeMounts": [mount], **GPU}
    assert sign_of_saving(read_pod({"spec": {"containers": [trainer], "volumes": [volume]}})) is None


def test_an_evaluation_with_a_name_that_is_sure_keeps_what_it_has_today():
    command = ["python", "evaluate.py", "--output_dir=/x"]
    assert sign(command=command) == "argument --output_dir"


def test_given_a_command_of_64_kib_when_a_likely_name_stands_behind_it_then_only_a_sure_one_counts():
    words = ["python", "t.py", *["x" * 100] * 700]
    assert sign(command=[*words, "--save_steps=5"]) is None
    assert sign(command=[*words, "--save_dir=/x"]) == "argument --save_dir"
    assert sign(command=["python", "t.py", "--save_steps=5", *words]) == "argument --save_steps"
