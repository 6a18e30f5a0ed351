"""GK305: pods that save to their node in, findings out. The sizes are stated; two checkpoints need 20 GiB."""

import pytest

from tests.doctor.objects import findings_of, owned_by, trainer

SIZE = {"gracekeeper.dev/checkpoint-size": "10GiB"}


def saver(name="a", empty_dir=None, limit=None, beside=None, sidecar=None, **metadata):
    """A pod that saves to an emptyDir, or to its root file system; limits of ephemeral-storage of its containers."""

    def container(container_name, of_container, **more):
        limits = {} if of_container is None else {"resources": {"limits": of_container}}
        return {"name": container_name, "image": "i", **limits, **more}

    main = container("main", limit, command=["python", "train.py", "--save=/c"])
    spec = {"containers": [main, *([container("log", beside)] if beside else [])]}
    if sidecar is not None:
        spec["initContainers"] = [container("sync", sidecar, restartPolicy="Always")]
    if empty_dir is not None:
        main["volumeMounts"] = [{"name": "v", "mountPath": "/c"}]
        spec["volumes"] = [{"name": "v", "emptyDir": empty_dir}]
    return trainer(name, metadata={"annotations": SIZE, **metadata}, spec=spec)


def ephemeral(amount):
    return {"ephemeral-storage": amount}


@pytest.mark.parametrize(
    ("pod", "limit"),
    [
        (saver(empty_dir={"sizeLimit": "19Gi"}), "its sizeLimit"),
        (saver(empty_dir={"sizeLimit": "20Gi"}), None),
        (saver(empty_dir={}), None),
        (saver(empty_dir={}, limit=ephemeral("15Gi")), "the pod's limits of ephemeral-storage"),
        (saver(empty_dir={}, limit=ephemeral("15Gi"), beside=ephemeral("5Gi")), None),
        (
            saver(empty_dir={}, limit=ephemeral("15Gi"), sidecar=ephemeral("4Gi")),
            "the pod's limits of ephemeral-storage",
        ),
        (saver(limit=ephemeral("15Gi"), beside=ephemeral("50Gi")), "the trainer's limit of ephemeral-storage"),
        (saver(limit=ephemeral("100Gi")), None),
        (saver(), None),
        (saver(empty_dir={"medium": "Memory"}, limit={"memory": "16Gi"}), "memory limit of the trainer"),
        (saver(empty_dir={"medium": "Memory"}, limit=ephemeral("1Gi")), None),
        (saver(empty_dir={"medium": "Memory", "sizeLimit": "1Gi"}), "its sizeLimit"),
        (saver(empty_dir={"sizeLimit": "much"}), None),
    ],
)
def test_what_is_smaller_than_two_checkpoints_evicts(pod, limit):
    findings = findings_of("GK305", pod)
    assert [each.evidence[0].path for each in findings] == ([limit] if limit else [])
    assert all(each.severity == "error" and "evicted in 2 s" in each.sentence for each in findings)


def test_pods_of_one_owner_are_one_finding():
    job = owned_by("Job", "llama")
    pods = [saver(name, empty_dir={"sizeLimit": "15Gi"}, **job) for name in ("a", "b")]
    [finding] = findings_of("GK305", *pods)
    assert (finding.subject, finding.pods) == ("Job ml/llama", ("ml/a", "ml/b"))
    assert "volume v (emptyDir) has 15 GiB (its sizeLimit), 2 checkpoints need 20 GiB" in finding.sentence
    assert "raise its sizeLimit to 20Gi" in finding.cure.note


def test_a_size_that_nobody_states_is_not_compared():
    pod = saver(empty_dir={"sizeLimit": "1Gi"})
    del pod["metadata"]["annotations"]
    assert findings_of("GK305", pod) == []
