"""Which claims are looked up: those that the checkpoint may go to, and only where their speed counts."""

from typing import Any

import pytest

from tests.policy_calls import lookups_of
from webhook.policy.configuration import UnknownSize

SIZE = {"gracekeeper.dev/checkpoint-size": "9.2GB"}
GPU = {"limits": {"nvidia.com/gpu": "8"}}


def a_pod(annotations: dict[str, str], *, container: dict[str, Any] | None = None) -> dict[str, Any]:
    """A pod with two claims that it may write to, and a dataset that it may not."""
    trainer = {
        "name": "trainer",
        "volumeMounts": [
            {"name": "checkpoints", "mountPath": "/checkpoints"},
            {"name": "scratch", "mountPath": "/scratch"},
            {"name": "dataset", "mountPath": "/data", "readOnly": True},
        ],
        **(container or {}),
    }
    volumes = [
        {"name": name, "persistentVolumeClaim": {"claimName": f"{name}-claim"}}
        for name in ("dataset", "checkpoints", "scratch")
    ]
    metadata = {"name": "train", "annotations": annotations}
    return {"metadata": metadata, "spec": {"containers": [trainer], "volumes": volumes}}


@pytest.mark.parametrize(
    ("annotations", "container", "claim_names"),
    [
        (SIZE, {}, ("checkpoints-claim", "scratch-claim")),
        (SIZE, {"args": ["--save-dir", "/checkpoints/run"]}, ("checkpoints-claim",)),
        (SIZE | {"gracekeeper.dev/checkpoint-volume": "scratch"}, {}, ("scratch-claim",)),
        (SIZE, {"args": ["--save-dir", "s3://bucket/run"]}, ()),
        ({"gracekeeper.dev/model-parameters": "8.03B"}, {"args": ["--save-dir", "/scratch"]}, ("scratch-claim",)),
    ],
)
def test_claims_that_the_checkpoint_cannot_go_to_are_not_looked_up(annotations, container, claim_names):
    pod = a_pod(annotations, container=container)
    assert lookups_of(pod, UnknownSize.EVIDENCE).claim_names == claim_names


@pytest.mark.parametrize("key", ["write-throughput=1GiB/s", "grace-seconds=900"])
def test_no_claim_is_looked_up_where_the_pod_states_what_its_claims_would_tell(key):
    name, _, value = key.partition("=")
    pod = a_pod(SIZE | {f"gracekeeper.dev/{name}": value})
    assert lookups_of(pod, UnknownSize.EVIDENCE).claim_names == ()


@pytest.mark.parametrize(
    ("unknown_size", "is_looked_up"),
    [
        (UnknownSize.ESTIMATE, True),
        (UnknownSize.EVIDENCE, False),
        (UnknownSize.DEFAULT, False),
        (UnknownSize.SKIP, False),
    ],
)
def test_where_nobody_says_a_size_claims_are_looked_up_for_an_estimate_alone(unknown_size, is_looked_up):
    pod = a_pod({}, container={"resources": GPU})
    assert bool(lookups_of(pod, unknown_size).claim_names) is is_looked_up


def test_the_claim_of_a_generic_ephemeral_volume_is_not_looked_up_as_it_is_made_after_the_pod():
    pod = a_pod(SIZE)
    pod["spec"]["volumes"][1] = {"name": "checkpoints", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}
    assert lookups_of(pod, UnknownSize.EVIDENCE).claim_names == ("scratch-claim",)
