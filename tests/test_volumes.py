"""Which volume the checkpoint goes to, where a golden case would say little: every spelling of a path, every kind of volume."""

import pytest

from tests.policy_calls import statements_of
from webhook.policy.checkpoint import writers
from webhook.policy.checkpoint.size import Amount
from webhook.policy.configuration import Config
from webhook.policy.facts import Facts
from webhook.policy.pod import read_pod
from webhook.policy.pod.container import read_container
from webhook.policy.storage.destination import Destination, destination_of
from webhook.policy.storage.folder_to_sync import folder_to_sync
from webhook.policy.storage.save_paths import save_paths
from webhook.policy.storage.speed import node_limit, target_of

CLAIM = {"name": "ckpt", "persistentVolumeClaim": {"claimName": "c"}}
OTHER = {"name": "data", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}
SCRATCH = {"name": "scratch", "emptyDir": {}}


def a_pod(*pod_volumes, mounts=(), annotations=None, **container):
    trainer = {"name": "trainer", "volumeMounts": [{"name": n, "mountPath": p} for n, p in mounts], **container}
    metadata = {"annotations": {f"gracekeeper.dev/{key}": value for key, value in (annotations or {}).items()}}
    return {"metadata": metadata, "spec": {"containers": [trainer], "volumes": list(pod_volumes)}}


def statements_of_pod(pod):
    return statements_of(pod)


def destination(pod):
    return destination_of(read_pod(pod), statements_of_pod(pod))


@pytest.mark.parametrize(
    ("container", "paths"),
    [
        ({"args": ["--save", "/a"]}, ["/a"]),
        ({"args": ["--save=/a"]}, ["/a"]),
        ({"command": ["python"], "args": ["t.py", "--output-dir=/a/../b//c/"]}, ["/b/c"]),
        ({"command": ["sh", "-c", "python t.py --ckpt_dir /a; sleep 1"]}, ["/a"]),
        ({"command": ["sh", "-c", "python t.py --ckpt_dir='/a b' && exit"]}, ["/a b"]),
        ({"command": ["bash", "-c", "t --save_dir \\\n  /a \\\n --lr 1"]}, ["/a"]),
        ({"command": ["bash", "-c", "(t --save /a&); t --save-dir=/b|tee l"]}, ["/a", "/b"]),
        ({"args": ["--save /a"]}, ["/a"]),
        ({"args": ["--save"]}, []),
        ({"args": ["--save", "--lr", "1"]}, []),
        ({"args": ["--saves=/a", "--no--save=/a", "x--save /a"]}, []),
        ({"args": ["--save=out"]}, []),
        ({"args": ["--save=out"], "workingDir": "/app"}, ["/app/out"]),
        ({"args": ["--save=/"]}, []),
        ({"args": ["--save=gs://b/x"]}, ["gs://b/x"]),
        ({"args": ["--save=$(DIR)/x"], "env": [{"name": "DIR", "value": "/a"}]}, ["/a/x"]),
        ({"args": ["--save=${DIR}/x"], "env": [{"name": "DIR", "value": "/a"}]}, ["/a/x"]),
        ({"args": ["--save=$DIR/x"], "env": [{"name": "DIR", "valueFrom": {}}]}, []),
        ({"args": ["--save=/a/$RUN/x"]}, ["/a"]),
        ({"args": ["--save=/a-$RUN"]}, []),
        ({"env": [{"name": "OUTPUT_DIR", "value": "/o"}, {"name": "CHECKPOINT_DIR", "value": "/c"}]}, ["/c", "/o"]),
        ({"env": [{"name": "CKPT_DIR", "value": "/c"}], "args": ["--save", "/a"]}, ["/c", "/a"]),
        ({"env": [{"name": "CKPT_DIR", "valueFrom": {"configMapKeyRef": {}}}]}, []),
        ({"args": ["--save", 7]}, []),
        ({}, []),
    ],
)
def test_a_path_is_read_however_it_is_said(container, paths):
    assert [path.path for path in save_paths(read_container("containers", 0, container))] == paths


def test_a_long_script_is_read_in_no_time():
    script = "x --lr 1 --savey /a \\\n" * 20_000 + "t --save /a"
    assert [path.path for path in save_paths(read_container("containers", 0, {"command": ["sh", "-c", script]}))] == [
        "/a"
    ]


@pytest.mark.parametrize("named", ["ckpt", "/ckpt", "/ckpt/", "/ckpt/run-1"])
def test_a_volume_is_named_by_itself_by_its_mount_or_by_a_path_in_it(named):
    pod = a_pod(CLAIM, OTHER, mounts=[("ckpt", "/ckpt"), ("data", "/data")], annotations={"checkpoint-volume": named})
    assert destination(pod) == Destination(("ckpt",))


def test_a_volume_that_is_not_there_is_noted_and_the_next_rule_is_heard():
    pod = a_pod(CLAIM, annotations={"checkpoint-volume": "/ckptt"}, mounts=[("ckpt", "/ckpt")])
    target = destination(pod)
    assert target.volume_names == ("ckpt",)
    assert target.notes == ("checkpoint-volume /ckptt is no volume or mount path of the pod",)


def test_the_named_volume_counts_before_a_path():
    pod = a_pod(
        CLAIM, OTHER, mounts=[("data", "/data")], annotations={"checkpoint-volume": "ckpt"}, args=["--save=/data"]
    )
    assert destination(pod).volume_names == ("ckpt",)


@pytest.mark.parametrize("kind", [{"nfs": {"server": "s"}}, {"csi": {"driver": "gcsfuse.csi.storage.gke.io"}}])
def test_a_volume_that_the_pod_names_by_its_driver_counts_as_one(kind):
    pod = a_pod(CLAIM, {"name": "other", **kind}, mounts=[("other", "/o")], args=["--save=/o"])
    assert destination(pod) == Destination(("other",), why="volume other by --save /o")


def test_a_volume_of_an_unknown_kind_is_nothing_to_look_up():
    pod = a_pod(CLAIM, {"name": "other", "rbd": {"image": "x"}}, mounts=[("other", "/o")], args=["--save=/o"])
    assert destination(pod) == Destination(why="volume other by --save /o")


def test_a_folder_of_the_node_is_on_one_node():
    pod = a_pod(CLAIM, {"name": "other", "hostPath": {"path": "/x"}}, mounts=[("other", "/o")], args=["--save=/o"])
    assert destination(pod) == Destination(why="volume other by --save /o", on_one_node="other")


@pytest.mark.parametrize(
    ("container", "why"),
    [
        ({"env": [{"name": "CKPT_SAVE_DIR", "value": "/ckpt/run"}]}, "volume ckpt by CKPT_SAVE_DIR /ckpt/run"),
        (
            {"command": ["python", "t.py", "--checkpoint-file=/ckpt/a.pt"]},
            "volume ckpt by --checkpoint-file /ckpt/a.pt",
        ),
        ({"command": ["sh", "-c", "t.py --output_path '/ckpt'"]}, "volume ckpt by --output_path /ckpt"),
        ({"command": ["python", "t.py", "+output_dir=/ckpt"]}, "volume ckpt by output_dir /ckpt"),
        (
            {"command": ["python", "t.py", "--save=/tmp/x", "--save_location=/ckpt"]},
            "volume ckpt by --save_location /ckpt",
        ),
        ({"command": ["python", "t.py", "--resume_from_checkpoint=/ckpt"]}, ""),
        ({"command": ["python", "t.py", "--output_path=/tmp/x"]}, ""),
        ({"command": ["python", "evaluate.py", "--output_path=/ckpt"]}, ""),
        ({"command": ["sh", "-c", "output_dir=/ckpt python t.py"]}, ""),
    ],
)
def test_a_path_that_is_likely_counts_where_it_leads_to_a_volume_that_lasts(container, why):
    pod = a_pod(CLAIM, {**CLAIM, "name": "second"}, mounts=[("ckpt", "/ckpt")], **container)
    found = destination(pod)
    assert found.why == why
    assert found.volume_names == (("ckpt",) if why else ("ckpt", "second"))


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (["--save=./out"], "the image's working directory (--save ./out)"),
        (["--save", "out"], "the image's working directory (--save out)"),
        (["python", "t.py", "--output_path=out"], "the image's working directory (--output_path out)"),
        (["python", "evaluate.py", "--save=out"], "the image's working directory (--save out)"),
        (["python", "evaluate.py", "--output_path=out"], ""),
        (["python", "t.py", "--output_path=/tmp/x"], "the root file system (--output_path /tmp/x)"),
        (["--save=True"], ""),
        (["--save", "5"], ""),
        (["--save", "a b"], ""),
        (["--save="], ""),
        (["--save=null"], ""),
        (["--save=$RUN/x"], ""),
        (["--save", "--lr"], ""),
        (["--save=/"], ""),
        (["--save=s3://b/x"], ""),
    ],
)
def test_a_relative_path_ends_with_a_pod_that_mounts_nothing_that_lasts(words, place):
    assert destination(a_pod(SCRATCH, mounts=[("scratch", "/s")], args=words)).ends_with_the_pod == place
    mounting = a_pod(
        {"name": "b", "hostPath": {"path": "/b"}}, mounts=[("b", "/b"), ("gone", "/g")], args=["--save=./out"]
    )
    assert destination(mounting) == Destination()


def test_without_a_claim_a_volume_by_its_driver_counts_where_the_trainer_mounts_it():
    bucket = {"name": "b", "csi": {"driver": "gcsfuse.csi.storage.gke.io"}}
    assert destination(a_pod(bucket, SCRATCH, mounts=[("b", "/b")])) == Destination(("b",))
    assert destination(a_pod(bucket, mounts=[])) == Destination()
    assert destination(a_pod(bucket, CLAIM, mounts=[("b", "/b"), ("ckpt", "/c")])) == Destination(("ckpt",))


def test_a_claim_counts_before_a_path_that_is_relative():
    assert destination(a_pod(CLAIM, args=["--save=./out"])) == Destination(("ckpt",))


def test_a_working_directory_makes_a_relative_path_absolute():
    pod = a_pod(args=["--save=./out"], workingDir="/app")
    assert destination(pod).ends_with_the_pod == "the root file system (--save /app/out)"


def test_a_path_where_nothing_can_be_written_is_passed_over():
    read_only = {"name": "in", "persistentVolumeClaim": {"claimName": "d", "readOnly": True}}
    mounts = [("in", "/in"), ("cm", "/etc/x"), ("ckpt", "/ckpt"), ("gone", "/gone")]
    pod = a_pod(read_only, {"name": "cm", "configMap": {"name": "m"}}, CLAIM, mounts=mounts)
    pod["spec"]["containers"][0]["args"] = ["--save=/in/x", "--output_dir=/etc/x", "--save_dir=/gone"]
    assert destination(pod) == Destination(("ckpt",))


def test_only_the_trainer_s_own_words_count():
    pod = a_pod(CLAIM, SCRATCH, mounts=[("ckpt", "/ckpt")])
    sidecar = {"name": "logs", "env": [{"name": "OUTPUT_DIR", "value": "/tmp"}]}
    pod["spec"]["containers"].append(sidecar)
    assert destination(pod) == Destination(("ckpt",))


def test_a_claim_that_one_container_may_write_to_counts():
    pod = a_pod(CLAIM, OTHER, mounts=[("ckpt", "/ckpt")])
    reader = {"name": "reader", "volumeMounts": [{"name": "ckpt", "mountPath": "/in", "readOnly": True}]}
    pod["spec"]["containers"].insert(0, reader)
    assert destination(pod).volume_names == ("ckpt", "data")


@pytest.mark.parametrize("pod", [{}, {"spec": {}}, {"spec": {"containers": None, "volumes": None}}])
def test_a_pod_of_which_little_is_there_goes_nowhere(pod):
    assert destination(pod) == Destination()


def test_who_mounts_the_emptydir_beside_the_trainer_while_it_runs_may_upload_it():
    pod = a_pod(SCRATCH, mounts=[("scratch", "/out")], args=["--save=/out"])
    mount = {"volumeMounts": [{"name": "scratch", "mountPath": "/in"}]}
    pod["spec"]["containers"] += [{"name": "copy", **mount}, {"name": "proxy"}]
    pod["spec"]["initContainers"] = [{"name": "sync", "restartPolicy": "Always", **mount}, {"name": "prepare", **mount}]
    assert destination(pod).shared_with == ("copy", "sync")
    pod["metadata"]["annotations"] = {"gracekeeper.dev/checkpoint-volume": "scratch"}
    assert destination(pod).shared_with == ("copy", "sync")


def test_an_osmo_task_s_folder_is_uploaded_and_so_worth_no_warning():
    pod = a_pod(SCRATCH, mounts=[("scratch", "/out")], annotations={"checkpoint-size": "9.2GB"}, args=["--save=/out"])
    pod["metadata"]["labels"] = {"osmo.task_uuid": "t", "osmo.workflow_uuid": "w"}
    share = writers.share_of_job(read_pod(pod), statements_of_pod(pod), Amount(1e9, "test"), None)
    assert "ends with the pod" in target_of(read_pod(pod), Facts(), statements_of_pod(pod), Config(), share).notes[0]
    pod["spec"]["containers"][0]["command"] = ["/osmo/bin/osmo_exec"]
    pod["spec"]["containers"].append({"name": "osmo-ctrl", "command": ["/osmo/bin/osmo_ctrl"]})
    target = target_of(read_pod(pod), Facts(), statements_of_pod(pod), Config(), share)
    assert target.notes == ()
    assert target.throughput.bytes_per_second == Config().defaults.write_bytes_per_second


def test_the_pod_s_own_throughput_is_bounded_by_nothing_but_its_folder_is_still_warned_of():
    pod_statements = {"checkpoint-size": "9.2GB", "write-throughput": "1GiB/s"}
    pod = a_pod(SCRATCH, mounts=[("scratch", "/out")], annotations=pod_statements, args=["--save=/out"])
    pod["spec"]["nodeSelector"] = {"node.kubernetes.io/instance-type": "m5.large"}
    share = writers.share_of_job(read_pod(pod), statements_of_pod(pod), Amount(1e9, "test"), None)
    target = target_of(read_pod(pod), Facts(), statements_of_pod(pod), Config(node_throughput={"m5.large": 1e6}), share)
    assert target.throughput.bytes_per_second == 2**30
    assert target.notes == ("the checkpoint ends with the pod: it goes to volume scratch (emptyDir)",)


@pytest.mark.parametrize(
    ("configured", "limit"),
    [
        ({"m5.large": 5.0, "pool=a": 7.0}, 5.0),
        ({"m5.large": 7.0, "pool=a": 5.0}, 5.0),
        ({"pool=b": 5.0, "m5": 4.0, "other=a": 3.0}, None),
        ({}, None),
    ],
)
def test_of_the_limits_that_hold_for_the_node_the_smallest_counts(configured, limit):
    pod = {"spec": {"nodeSelector": {"beta.kubernetes.io/instance-type": "m5.large", "pool": "a"}}}
    limit_of_node = node_limit(read_pod(pod), Config(node_throughput=configured))
    assert (limit_of_node and limit_of_node.bytes_per_second) == limit


def test_what_a_file_leaves_out_is_no_error():
    pod = {"spec": {"containers": [{"volumeMounts": [{}, {"name": "x"}], "args": ["--save=/a"]}], "volumes": [{}]}}
    assert destination(pod) == Destination(ends_with_the_pod="the root file system (--save /a)")


HOST_PATH = {"name": "disk", "hostPath": {"path": "/x"}}
NFS = {"name": "nfs", "nfs": {"server": "s", "path": "/x"}}


@pytest.mark.parametrize(
    ("pod", "folder"),
    [
        (a_pod(CLAIM, mounts=[("ckpt", "/ckpt")]), "/ckpt"),
        (a_pod(CLAIM, mounts=[("ckpt", "/ckpt")], args=["--save=/ckpt/run-1"]), "/ckpt"),
        (a_pod(HOST_PATH, mounts=[("disk", "/disk")], args=["--save=/disk"]), "/disk"),
        (a_pod(CLAIM, OTHER, mounts=[("ckpt", "/ckpt"), ("data", "/data")]), ""),
        (
            a_pod(
                CLAIM, OTHER, mounts=[("ckpt", "/ckpt"), ("data", "/data")], annotations={"checkpoint-volume": "data"}
            ),
            "/data",
        ),
        (a_pod(NFS, mounts=[("nfs", "/nfs")], args=["--save=/nfs"]), ""),
        (a_pod(SCRATCH, mounts=[("scratch", "/out")], args=["--save=/out"]), ""),
        (a_pod(CLAIM), ""),
        (a_pod(), ""),
    ],
    ids=["only claim", "by path", "hostPath", "two", "named", "NFS", "emptyDir", "not in the trainer", "no volume"],
)
def test_a_folder_is_synced_where_one_volume_that_outlives_the_pod_takes_the_checkpoint(pod, folder):
    assert folder_to_sync(read_pod(pod), statements_of_pod(pod)) == folder
