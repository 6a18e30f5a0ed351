"""Accelerators: how many a container asks for, and how much memory one of them has.

Law: of memory never less than there is. "80GB" in a product's name counts as 80 GiB, of several variants the largest. So
amd.com/gpu.vram is not read: it says 191G where 192 GiB are built in. A resource that only one maker's family has counts as
the largest of it where nothing names the product; amd.com/gpu is too wide for that, and of google.com/tpu a larger one is
announced than is sold (TPU 8t), so that they count for nothing then. Nor does a DRA claim: what it asks for is in other objects.
Sources: NVIDIA's data sheets, ROCm's page of GPU specifications; GPU Feature Discovery for the spelling of
nvidia.com/gpu.product and for nvidia.com/gpu.memory (MiB of one GPU, or of one MIG slice where all are alike); GKE's
documentation of GPU and TPU node pools (cloud.google.com/gke-accelerator, gke-tpu-accelerator) and Cloud TPU's of memory per
chip; Karpenter's for the labels karpenter.k8s.aws/instance-gpu-name, instance-gpu-memory (MiB) and instance-accelerator-name,
which EKS Auto Mode has under eks.amazonaws.com, and for RTX PRO; AWS Neuron's architecture guides and device plugin for
memory and cores of a chip; Hugging Face Accelerate's guide for Gaudi.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from math import ceil

from webhook.policy import quantity
from webhook.policy.pod import marks
from webhook.policy.pod.metadata import JsonObject

MEBIBYTE_PER_GIBIBYTE = 1024

NVIDIA_GPU = "nvidia.com/gpu"
"""The resource whose memory the nodes' labels tell."""

PRODUCT_LABEL = "nvidia.com/gpu.product"
MEMORY_LABEL = "nvidia.com/gpu.memory"
PRODUCT_LABELS = (
    PRODUCT_LABEL,
    "cloud.google.com/gke-accelerator",
    "cloud.google.com/gke-tpu-accelerator",
    "karpenter.k8s.aws/instance-gpu-name",
    "eks.amazonaws.com/instance-gpu-name",
    "karpenter.k8s.aws/instance-accelerator-name",
    "eks.amazonaws.com/instance-accelerator-name",
    "k8s.amazonaws.com/accelerator",
    "amd.com/gpu.product-name",
)
"""Node labels whose value names a product."""
MEMORY_LABELS = (MEMORY_LABEL, "karpenter.k8s.aws/instance-gpu-memory", "eks.amazonaws.com/instance-gpu-memory")
"""Node labels whose value is the memory of one accelerator in MiB."""

_GIB_BY_NAME = {
    "nvidia-tesla-a100": 40,  # GKE's A100 of 80 GB is nvidia-a100-80gb
    "nvidia-tesla-v100": 32,
    "nvidia-h100-nvl": 94,
    "nvidia-gh200-480gb": 96,  # 480 GB are the CPU's
    "tpu-v3-slice": 32,
    "tpu-v3-device": 32,
    "tpu-v4-podslice": 32,
    "tpu-v5-lite-podslice": 16,
    "tpu-v5-lite-device": 16,
    "tpu-v5p-slice": 95,
    "tpu-v6e-slice": 32,
}
"""Values of product labels, in lower case, whose words or figures would mislead."""
_GIB_BY_MODEL = {
    **dict.fromkeys(("a2", "a16", "t4", "t4g", "p100"), 16),
    **dict.fromkeys(("a10", "a10g", "a30", "l4"), 24),
    **dict.fromkeys(("v100", "v100s"), 32),
    **dict.fromkeys(("a40", "a6000", "l20", "l40", "l40s"), 48),
    **dict.fromkeys(("a100", "a800", "h100", "h800"), 80),
    **dict.fromkeys(("h20", "h200"), 141),
    "gh200": 144,
    **dict.fromkeys(("b100", "b200", "gb200"), 192),
    **dict.fromkeys(("b300", "gb300"), 288),
    **dict.fromkeys(("mi250", "mi250x", "mi300a"), 128),
    "mi300x": 192,
    "mi325x": 256,
    **dict.fromkeys(("mi350x", "mi355x"), 288),
    "rtx-pro-4500": 32,
    **dict.fromkeys(("rtx-pro-6000", "rtx-pro-server-6000"), 96),
    "tpu7x": 192,
    "inferentia": 8,
    **dict.fromkeys(("inferentia2", "trainium"), 32),
    "trainium2": 96,
    "trainium3": 144,
}
"""Words of product names that say no memory themselves."""
_NEURON_CORE = "aws.amazon.com/neuroncore"
_CORES = {"inferentia": 4, "inferentia2": 2, "trainium": 2, "trainium2": 4, "trainium3": 4}
"""The fewest that a chip is offered as: a logical core of Trainium2 and later can be two of its eight."""
_MOST_GIB_OF_FAMILY = {
    "habana.ai/gaudi": 128,
    "aws.amazon.com/neuron": 144,
    "aws.amazon.com/neurondevice": 144,
    _NEURON_CORE: 36,
}
"""Resources of one maker's family: Gaudi 3 and Trainium3 are the largest."""
_GIGABYTES = re.compile(r"(?<![a-z0-9])(?:[0-9]g\.)?([0-9]{1,3})gb?(?![a-z0-9])")
_BETWEEN_WORDS = re.compile(r"[^a-z0-9]+")
_DIGITS = re.compile(r"[0-9]{1,9}")
_LONGEST_NAME = 253
"""Of a resource, whose domain and name are 253 and 63 at most; a longer text would be kept in memory."""


def requested(resources: JsonObject) -> dict[str, int]:
    """Return how many accelerators of each resource name a container's `resources` ask for."""
    amounts = {**(resources.get("requests") or {}), **(resources.get("limits") or {})}
    known = {name: text for name, text in amounts.items() if marks.first_match((name,), marks.ACCELERATORS)}
    counts = {name: quantity.kubernetes_quantity(text) for name, text in known.items()}
    return {name: ceil(count) for name, count in counts.items() if count}


def memory_mib_of_name(name: str) -> int | None:
    """MiB of one accelerator by the value of a product label, or by a MIG resource such as nvidia.com/mig-1g.10gb.

    None for a product that is not known. The last size in a name counts: NVIDIA-A100-SXM4-40GB-MIG-1g.5gb has 5 GB.
    """
    return _memory_mib_of_name(name) if len(name) <= _LONGEST_NAME else None


@lru_cache(maxsize=256)
def _memory_mib_of_name(name: str) -> int | None:
    lower = name.lower()
    gib = _GIB_BY_NAME.get(lower)
    if gib is None:
        sizes = _GIGABYTES.findall(lower)
        words = f"-{_BETWEEN_WORDS.sub('-', lower)}-"
        gib = (
            int(sizes[-1]) if sizes else max((_GIB_BY_MODEL[m] for m in _GIB_BY_MODEL if f"-{m}-" in words), default=0)
        )
    return None if not gib else gib * MEBIBYTE_PER_GIBIBYTE


def memory_mib_of_product(resource: str, product: str) -> int | None:
    """MiB of what one of a resource is on such a node: the whole chip, or one of its cores."""
    of_chip = memory_mib_of_name(product)
    if resource != _NEURON_CORE or of_chip is None:
        return of_chip
    return of_chip // _CORES.get(product.lower(), 1)


def most_mib_of_family(resource: str) -> int | None:
    """MiB of the largest accelerator that a resource can be by its name alone; None where that bounds nothing."""
    gib = _MOST_GIB_OF_FAMILY.get(resource)
    return None if gib is None else gib * MEBIBYTE_PER_GIBIBYTE


def memory_mib_by_product(labels_of_nodes: Iterable[Mapping[str, str]]) -> dict[str, int]:
    """MiB of one GPU by the value of nvidia.com/gpu.product, as the nodes' labels say; of several the largest."""
    found: dict[str, int] = {}
    for labels in labels_of_nodes:
        product, memory_mib = labels.get(PRODUCT_LABEL), whole_mib(labels.get(MEMORY_LABEL))
        if product and memory_mib:
            found[product] = max(memory_mib, found.get(product, 0))
    return found


def whole_mib(text: object) -> int:
    """The value of a label that is a number of MiB; 0 for anything else."""
    return int(str(text)) if _DIGITS.fullmatch(str(text)) else 0
