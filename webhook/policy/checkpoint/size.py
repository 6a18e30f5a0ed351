"""How many bytes the whole job writes for one checkpoint, where somebody states it."""

from dataclasses import dataclass

from webhook.policy.configuration import Defaults
from webhook.policy.statements import keys
from webhook.policy.statements.statements import Statements, StatementSource


@dataclass(frozen=True, slots=True)
class Amount:
    """A number of bytes, pods or the like, and who stated it."""

    value: float
    source: str


def checkpoint_bytes(statements: Statements, defaults: Defaults) -> Amount | None:
    """Return the bytes that the whole job writes for one checkpoint: stated, or parameters x bytes per parameter.

    Of a size and a number of parameters, the one from the earlier source wins; of the same source the size wins.
    """
    size, parameters = statements.get(keys.CHECKPOINT_SIZE), statements.get(keys.MODEL_PARAMETERS)
    order = list(StatementSource)
    if size is not None and (parameters is None or order.index(size.source) <= order.index(parameters.source)):
        return Amount(size.value, size.origin)
    if parameters is None:
        return None
    stated = statements.get(keys.BYTES_PER_PARAMETER)
    per_parameter = defaults.bytes_per_parameter if stated is None else stated.value
    return Amount(
        parameters.value * per_parameter,
        f"{parameters.value:g} parameters ({parameters.origin}) x {per_parameter:g} bytes "
        f"({'default' if stated is None else stated.origin})",
    )
