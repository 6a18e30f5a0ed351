"""How big the checkpoint of a pod can be at most, where nobody says its size: what its accelerators can hold, x 14/18.

Training keeps 18 bytes for each parameter in the accelerators' memory (bf16 weights 2, fp32 gradients 4, fp32 weights and
two Adam moments 12: Megatron-Core), of which 14 are saved: gradients are not. Activations and free memory make it less.
A checkpoint that one rank gathers from the whole job can be more: its size is to be stated.
"""

from fractions import Fraction

from webhook.policy import accelerators, placement, quantity
from webhook.policy import pod as pods
from webhook.policy.config import MEBIBYTE
from webhook.policy.facts import Facts, JsonObject
from webhook.policy.size import Amount

_SAVED = Fraction(14, 18)
_OF_NVIDIA = "nvidia.com/gpu"


def most_bytes(pod: JsonObject, facts: Facts) -> Amount | None:
    """The most bytes that this pod, not its job, can have to save, and the terms of the product.

    None where it asks for no accelerator, or for one whose memory is not known.
    """
    asked = [
        (name, count) for container in pods.containers(pod) for name, count in accelerators.requested(container).items()
    ]
    if not asked:
        return None
    parts = []
    total_mib = 0
    for name, count in asked:
        each = _memory_mib(name, pod, facts)
        if each is None:
            return None
        total_mib += count * int(each.value)
        memory = quantity.human_bytes(each.value * MEBIBYTE)
        parts.append(f"{count} {name} x {memory} ({each.source})")
    return Amount(float(total_mib * MEBIBYTE * _SAVED), f"estimate, an upper bound: {' + '.join(parts)} x 14/18")


def _memory_mib(resource: str, pod: JsonObject, facts: Facts) -> Amount | None:
    """MiB of one accelerator: a MIG slice by its name, else by what the pod asks of its node, else the largest there can be."""
    of_slice = accelerators.memory_mib_of_name(resource)
    if of_slice is not None:
        return Amount(of_slice, "by its name")
    spec = pod.get("spec") or {}
    for label in accelerators.MEMORY_LABELS:
        sizes = [accelerators.whole_mib(value) for value in placement.asked(spec, label) or ()]
        if sizes and all(sizes):
            return Amount(max(sizes), label)
    for label in accelerators.PRODUCT_LABELS:
        products = sorted(placement.asked(spec, label) or ())
        known = [
            facts.accelerator_memory_mib.get(product) or accelerators.memory_mib_of_product(resource, product)
            for product in products
        ]
        if known and all(known):
            return Amount(max(filter(None, known)), ", ".join(products))
    if resource == _OF_NVIDIA and facts.accelerator_memory_mib:
        product, most = max(facts.accelerator_memory_mib.items(), key=lambda item: item[1])
        return Amount(most, f"{product}, the largest of the nodes")
    of_family = accelerators.most_mib_of_family(resource)
    return None if of_family is None else Amount(of_family, "the largest of its family")
