"""What is a name in Kubernetes, and what else has the form of one of its words.

Law: a pod is looked at before it is validated. What is no name never becomes part of a path, and is never repeated.
"""

import re
from typing import TypeGuard

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_WORD = re.compile(r"[A-Za-z0-9_]([-A-Za-z0-9_./]{0,315}[A-Za-z0-9_])?")
NO_NAME = "(no name)"
"""What is said instead."""


def is_name(name: object) -> TypeGuard[str]:
    """Whether an object can have this name."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def shown(word: object) -> str:
    """A name, a kind, a key of a label or a variable as logs may have it; of any other text nothing."""
    return word if isinstance(word, str) and _WORD.fullmatch(word) else NO_NAME
