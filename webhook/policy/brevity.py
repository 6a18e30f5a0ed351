"""How much of a pod's own words is repeated: its author does not decide how long a decision, a warning or a log line gets."""

from collections.abc import Sequence

MOST = 32
"""Values of one kind that a decision names; no pod that is meant well has more."""
_LONGEST = 400


def short(text: str, longest: int = _LONGEST) -> str:
    """The text, cut where it is longer than that many characters."""
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def few(texts: Sequence[str], most: int = MOST) -> tuple[str, ...]:
    """The first of the texts, and how many there are beyond."""
    more = len(texts) - most
    return tuple(texts) if more <= 0 else (*texts[:most], f"and {more} more")
