"""What a pod's accelerators can hold: every spelling of a product, and when nothing is estimated at all."""

import pytest

from webhook.policy.checkpoint.estimate import most_bytes
from webhook.policy.facts import Facts
from webhook.policy.pod import read_pod
from webhook.policy.pod.accelerators import memory_mib_by_product, memory_mib_of_name, requested

GIB = 2**30
KARPENTER_ACCELERATOR = "karpenter.k8s.aws/instance-accelerator-name"
EKS_ACCELERATOR = "eks.amazonaws.com/instance-accelerator-name"
NODES = Facts(accelerator_memory_mib={"NVIDIA-H100-80GB-HBM3": 81559, "NVIDIA-L4": 23034})


def a_pod(resources, **spec):
    return {"spec": {"containers": [{"name": "t", "resources": {"limits": resources}}], **spec}}


def required(*terms):
    """Required affinity of these terms, each a label and its values."""
    selectors = [{"matchExpressions": [{"key": k, "operator": "In", "values": v}]} for k, v in terms]
    needed = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": selectors}}
    return {"affinity": {"nodeAffinity": needed}}


@pytest.mark.parametrize(
    ("name", "gib"),
    [
        ("NVIDIA-A100-SXM4-40GB", 40),
        ("NVIDIA-A100-SXM4-80GB", 80),
        ("NVIDIA-A100-80GB-PCIe", 80),
        ("NVIDIA-A100-SXM4-40GB-MIG-1g.5gb", 5),
        ("NVIDIA-A100-SXM4-80GB-SHARED", 80),
        ("NVIDIA-H100-80GB-HBM3", 80),
        ("NVIDIA-H100-NVL", 94),
        ("NVIDIA-H200", 141),
        ("NVIDIA-GH200-480GB", 96),
        ("NVIDIA-GH200-144G-HBM3e", 144),
        ("NVIDIA-B200", 192),
        ("NVIDIA-GB200", 192),
        ("NVIDIA-L40S", 48),
        ("Tesla-V100-SXM2-16GB", 16),
        ("Tesla-T4", 16),
        ("nvidia-tesla-a100", 40),
        ("nvidia-a100-80gb", 80),
        ("nvidia-h100-mega-80gb", 80),
        ("nvidia-l4", 24),
        ("a10g", 24),
        ("NVIDIA-B300", 288),
        ("nvidia-gb300", 288),
        ("NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition", 96),
        ("nvidia-rtx-pro-6000", 96),
        ("rtx-pro-server-6000", 96),
        ("rtx-pro-4500", 32),
        ("tpu-v5p-slice", 95),
        ("tpu-v6e-slice", 32),
        ("tpu7x", 192),
        ("tpu-v5-lite-podslice", 16),
        ("AMD_Instinct_MI300X_OAM", 192),
        ("AMD_Instinct_MI355X", 288),
        ("inferentia", 8),
        ("inferentia2", 32),
        ("trainium", 32),
        ("trainium2", 96),
        ("trainium3", 144),
        ("nvidia.com/mig-1g.10gb", 10),
        ("nvidia.com/mig-3g.40gb", 40),
        ("nvidia.com/mig-1g.10gb.me", 10),
    ],
)
def test_the_memory_of_a_product_is_known_by_its_label(name, gib):
    assert memory_mib_of_name(name) == gib * 1024


@pytest.mark.parametrize(
    "name", ["", "NVIDIA-Z9000", "nvidia.com/gpu", "amd.com/gpu", "google.com/tpu", "0gb", "h100x", "trainium4", "6000"]
)
def test_what_is_no_known_product_has_no_memory(name):
    assert memory_mib_of_name(name) is None


def test_of_nodes_the_largest_memory_of_each_product_counts_and_odd_labels_do_not():
    def node(product, memory):
        return {"nvidia.com/gpu.product": product, "nvidia.com/gpu.memory": memory}

    labels = [node("a", "10"), node("a", "12"), node("a", "11"), node("b", "16GB"), {"nvidia.com/gpu.memory": "9"}, {}]
    assert memory_mib_by_product(labels) == {"a": 12}


def test_accelerators_are_counted_by_limits_and_by_requests_once():
    resources = {"requests": {"nvidia.com/gpu": "8", "cpu": "4"}, "limits": {"nvidia.com/gpu": 8, "memory": "1Gi"}}
    assert requested(resources) == {"nvidia.com/gpu": 8}
    assert requested({"limits": {"nvidia.com/gpu": "0", "amd.com/gpu": "many"}}) == {}
    assert requested({}) == {}


@pytest.mark.parametrize(
    ("pod", "gib"),
    [
        (a_pod({"nvidia.com/gpu": "9"}, nodeSelector={"nvidia.com/gpu.product": "NVIDIA-L40S"}), 9 * 48),
        (a_pod({"nvidia.com/gpu": "9"}, nodeSelector={"nvidia.com/gpu.memory": "8192"}), 72),
        (a_pod({"nvidia.com/gpu": "9"}, nodeSelector={"karpenter.k8s.aws/instance-gpu-memory": "16384"}), 9 * 16),
        (a_pod({"google.com/tpu": "4"}, nodeSelector={"cloud.google.com/gke-tpu-accelerator": "tpu-v5p-slice"}), 380),
        (a_pod({"amd.com/gpu": "8"}, nodeSelector={"amd.com/gpu.product-name": "MI300X"}), 8 * 192),
        (a_pod({"nvidia.com/mig-1g.5gb": "3", "nvidia.com/mig-2g.10gb": "1"}), 25),
        (a_pod({"aws.amazon.com/neuron": "16"}, nodeSelector={KARPENTER_ACCELERATOR: "trainium2"}), 16 * 96),
        (a_pod({"aws.amazon.com/neuroncore": "32"}, nodeSelector={KARPENTER_ACCELERATOR: "trainium"}), 32 * 16),
        (a_pod({"aws.amazon.com/neuroncore": "8"}, nodeSelector={EKS_ACCELERATOR: "trainium2"}), 8 * 24),
        (a_pod({"nvidia.com/gpu": "1"}, **required(("nvidia.com/gpu.product", ["Tesla-T4", "NVIDIA-A10"]))), 24),
        (a_pod({"nvidia.com/gpu": "1"}, **required(("nvidia.com/gpu.memory", ["1024", "2048"]))), 2),
    ],
)
def test_the_most_is_what_the_accelerators_hold_less_the_gradients(pod, gib):
    most = most_bytes(read_pod(pod), Facts())
    assert most is not None
    assert most.value == pytest.approx(gib * GIB * 14 / 18)


@pytest.mark.parametrize(
    ("pod", "mib", "source"),
    [
        (a_pod({"nvidia.com/gpu": "1"}), 81559, "NVIDIA-H100-80GB-HBM3, the largest of the nodes"),
        (a_pod({"nvidia.com/gpu": "1"}, nodeSelector={"nvidia.com/gpu.product": "NVIDIA-L4"}), 23034, "NVIDIA-L4"),
        (a_pod({"nvidia.com/gpu": "1"}, nodeSelector={"nvidia.com/gpu.product": "Z9"}), 81559, "largest of the nodes"),
        (
            a_pod({"nvidia.com/gpu": "1"}, **required(("nvidia.com/gpu.product", ["NVIDIA-L4"]), ("zone", ["a"]))),
            81559,
            "largest of the nodes",
        ),
    ],
)
def test_what_the_nodes_tell_counts_before_the_table_and_where_the_pod_is_bound_to_nothing_known(pod, mib, source):
    most = most_bytes(read_pod(pod), NODES)
    assert most is not None
    assert most.value == pytest.approx(mib * 2**20 * 14 / 18)
    assert source in most.source


@pytest.mark.parametrize(
    ("resource", "gib"),
    [
        ("habana.ai/gaudi", 128),
        ("aws.amazon.com/neuron", 144),
        ("aws.amazon.com/neurondevice", 144),
        ("aws.amazon.com/neuroncore", 36),
    ],
)
def test_where_nothing_names_the_product_the_largest_of_a_family_that_one_maker_makes_counts(resource, gib):
    """Gaudi 3 and Trainium3; of a Trainium3 chip's 8 cores a logical one has two."""
    most = most_bytes(read_pod(a_pod({resource: "2"})), NODES)
    assert most is not None
    assert most.value == pytest.approx(2 * gib * GIB * 14 / 18)
    assert "the largest of its family" in most.source


@pytest.mark.parametrize(
    "pod",
    [
        {},
        a_pod({}),
        a_pod({"cpu": "8"}),
        a_pod({"amd.com/gpu": "8"}),
        a_pod({"google.com/tpu": "8"}),
        a_pod({"huawei.com/Ascend910": "8"}),
        a_pod({"nvidia.com/mig-1g.5gb": "1", "google.com/tpu": "4"}),
    ],
)
def test_without_an_accelerator_whose_memory_is_known_there_is_no_estimate(pod):
    assert most_bytes(read_pod(pod), NODES) is None
