"""The texts that the observer keeps in its ConfigMap: JSON of a version, with one list of entries."""

import json
from typing import Any


def entries_in(text: object, name: str, version: int, most_bytes: int) -> list[Any]:
    """Return the list of this name in a text; empty for one of another version, and for a text that is none or far too long.

    A text is written with at most `most_bytes`. Somebody else may have written it, so nothing in it is taken for granted.
    """
    if not isinstance(text, str) or len(text) > 2 * most_bytes:
        return []
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return []
    is_ours = isinstance(document, dict) and document.get("version") == version
    entries = document.get(name) if is_ours else None
    return entries if isinstance(entries, list) else []
