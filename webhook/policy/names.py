"""What is a name in Kubernetes.

Law: a pod is looked at before it is validated. What is no name never becomes part of a path, and is never repeated.
"""

import re
from typing import TypeGuard

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
NO_NAME = "(no name)"
"""What is said instead."""


def is_name(name: object) -> TypeGuard[str]:
    """Whether an object can have this name."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None
