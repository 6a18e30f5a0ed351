"""How many bytes the whole job writes for one checkpoint, where somebody says it."""

from dataclasses import dataclass

from webhook.policy import keys
from webhook.policy.config import Defaults


@dataclass(frozen=True, slots=True)
class Amount:
    """A number of bytes, pods or the like, and who said it."""

    value: float
    source: str


def checkpoint_bytes(said: keys.Statements, defaults: Defaults) -> Amount | None:
    """Bytes that the whole job writes for one checkpoint: stated, or parameters x bytes per parameter.

    Of a size and a parameter count the one that is said nearer to the pod wins; at the same place the size.
    """
    size, parameters = said.get(keys.CHECKPOINT_SIZE), said.get(keys.MODEL_PARAMETERS)
    places = list(keys.Place)
    if size is not None and (parameters is None or places.index(size.place) <= places.index(parameters.place)):
        return Amount(size.value, size.source)
    if parameters is None:
        return None
    each = said.get(keys.BYTES_PER_PARAMETER)
    per_parameter = defaults.bytes_per_parameter if each is None else each.value
    return Amount(
        parameters.value * per_parameter,
        f"{parameters.value:g} parameters ({parameters.source}) x {per_parameter:g} bytes "
        f"({'default' if each is None else each.source})",
    )
