"""The largest checkpoint that a pod of unstated size can have: what its accelerators can hold, x 14/18.

Training keeps 18 bytes for each parameter in the accelerators' memory (bf16 weights 2, fp32 gradients 4, fp32 weights and
two Adam moments 12: Megatron-Core). 14 of them are saved, as gradients are not. Activations and free memory make it less.
A checkpoint that one rank gathers from the whole job can be more: state its size.
"""

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

from webhook.policy import brevity, quantity
from webhook.policy.checkpoint.size import Amount
from webhook.policy.configuration import MEBIBYTE
from webhook.policy.facts import Facts
from webhook.policy.pod import Pod, accelerators
from webhook.policy.pod.placement import Placement

_SAVED = Fraction(14, 18)
_MOST_VALUES = 32
"""Products that a pod may land on, and resources that it asks for: with more of them nothing is known."""
_MOST_NAMES = 3


def most_bytes(pod: Pod, facts: Facts) -> Amount | None:
    """Return the most bytes that this pod, not its job, can have to save, and the terms of the product.

    None where it asks for no accelerator, or for one whose memory is not known.
    """
    counts: Counter[str] = Counter()
    for container in pod.containers:
        counts.update(container.accelerators)
    if not 0 < len(counts) <= _MOST_VALUES:
        return None
    node = _node(pod.placement)
    parts = []
    total_mib = 0
    for resource, count in counts.items():
        each = _memory_mib(resource, node, facts)
        if each is None:
            return None
        total_mib += count * int(each.value)
        memory = quantity.human_bytes(each.value * MEBIBYTE)
        parts.append(f"{count} {resource} x {memory} ({each.source})")
    terms = " + ".join(brevity.few(parts, _MOST_NAMES))
    return Amount(float(total_mib * MEBIBYTE * _SAVED), f"estimate, an upper bound: {terms} x 14/18")


@dataclass(frozen=True, slots=True)
class _Node:
    """What the pod asks of its node: the memory of an accelerator, and the products that it may be, by label."""

    memory: Amount | None
    products: tuple[tuple[str, ...], ...]


def _node(placement: Placement) -> _Node:
    products = [sorted(placement.values_of(label) or ()) for label in accelerators.PRODUCT_LABELS]
    return _Node(_stated_memory(placement), tuple(tuple(each) for each in products if len(each) <= _MOST_VALUES))


def _stated_memory(placement: Placement) -> Amount | None:
    for label in accelerators.MEMORY_LABELS:
        sizes = [accelerators.whole_mib(value) for value in placement.values_of(label) or ()]
        if sizes and all(sizes):
            return Amount(max(sizes), label)
    return None


def _memory_mib(resource: str, node: _Node, facts: Facts) -> Amount | None:
    """Return the MiB of one accelerator: by a MIG slice's name, by what the pod asks of its node, else the largest."""
    of_slice = accelerators.memory_mib_of_name(resource)
    if of_slice is not None:
        return Amount(of_slice, "by its name")
    if node.memory is not None:
        return node.memory
    for products in node.products:
        sizes = [
            facts.accelerator_memory_mib.get(product) or accelerators.memory_mib_of_product(resource, product)
            for product in products
        ]
        if sizes and all(sizes):
            return Amount(max(filter(None, sizes)), ", ".join(brevity.few(products, _MOST_NAMES)))
    if resource == accelerators.NVIDIA_GPU and facts.accelerator_memory_mib:
        product, most = max(facts.accelerator_memory_mib.items(), key=lambda item: item[1])
        return Amount(most, f"{product}, the largest of the nodes")
    of_family = accelerators.most_mib_of_family(resource)
    return None if of_family is None else Amount(of_family, "the largest of its family")
