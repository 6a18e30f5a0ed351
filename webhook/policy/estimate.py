"""How big the checkpoint of a pod can be at most, where nobody says its size: what its accelerators can hold, x 14/18.

Training keeps 18 bytes for each parameter in the accelerators' memory (bf16 weights 2, fp32 gradients 4, fp32 weights and
two Adam moments 12: Megatron-Core), of which 14 are saved: gradients are not. Activations and free memory make it less.
A checkpoint that one rank gathers from the whole job can be more: its size is to be stated.
"""

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

from webhook.policy import accelerators, brevity, placement, quantity
from webhook.policy import pod as pods
from webhook.policy.config import MEBIBYTE
from webhook.policy.facts import Facts, JsonObject
from webhook.policy.size import Amount

_SAVED = Fraction(14, 18)
_OF_NVIDIA = "nvidia.com/gpu"
_MOST_VALUES = 32
"""Products that a pod may land on, and resources that it asks for: with more of them nothing is known."""
_MOST_NAMES = 3


def most_bytes(pod: JsonObject, facts: Facts) -> Amount | None:
    """The most bytes that this pod, not its job, can have to save, and the terms of the product.

    None where it asks for no accelerator, or for one whose memory is not known.
    """
    asked: Counter[str] = Counter()
    for container in pods.containers(pod):
        asked.update(accelerators.requested(container))
    if not 0 < len(asked) <= _MOST_VALUES:
        return None
    node = _node(pod.get("spec") or {})
    parts = []
    total_mib = 0
    for name, count in asked.items():
        each = _memory_mib(name, node, facts)
        if each is None:
            return None
        total_mib += count * int(each.value)
        memory = quantity.human_bytes(each.value * MEBIBYTE)
        parts.append(f"{count} {name} x {memory} ({each.source})")
    terms = " + ".join(brevity.few(parts, _MOST_NAMES))
    return Amount(float(total_mib * MEBIBYTE * _SAVED), f"estimate, an upper bound: {terms} x 14/18")


@dataclass(frozen=True, slots=True)
class _Node:
    """What the pod asks of its node: the memory of an accelerator, and the products that it may be, by label."""

    memory: Amount | None
    products: tuple[tuple[str, ...], ...]


def _node(spec: JsonObject) -> _Node:
    asked = [sorted(placement.asked(spec, label) or ()) for label in accelerators.PRODUCT_LABELS]
    return _Node(_stated_memory(spec), tuple(tuple(products) for products in asked if len(products) <= _MOST_VALUES))


def _stated_memory(spec: JsonObject) -> Amount | None:
    for label in accelerators.MEMORY_LABELS:
        sizes = [accelerators.whole_mib(value) for value in placement.asked(spec, label) or ()]
        if sizes and all(sizes):
            return Amount(max(sizes), label)
    return None


def _memory_mib(resource: str, node: _Node, facts: Facts) -> Amount | None:
    """MiB of one accelerator: a MIG slice by its name, else by what the pod asks of its node, else the largest there can be."""
    of_slice = accelerators.memory_mib_of_name(resource)
    if of_slice is not None:
        return Amount(of_slice, "by its name")
    if node.memory is not None:
        return node.memory
    for products in node.products:
        known = [
            facts.accelerator_memory_mib.get(product) or accelerators.memory_mib_of_product(resource, product)
            for product in products
        ]
        if known and all(known):
            return Amount(max(filter(None, known)), ", ".join(brevity.few(products, _MOST_NAMES)))
    if resource == _OF_NVIDIA and facts.accelerator_memory_mib:
        product, most = max(facts.accelerator_memory_mib.items(), key=lambda item: item[1])
        return Amount(most, f"{product}, the largest of the nodes")
    of_family = accelerators.most_mib_of_family(resource)
    return None if of_family is None else Amount(of_family, "the largest of its family")
