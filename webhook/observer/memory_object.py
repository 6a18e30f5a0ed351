"""The ConfigMap in which the observer keeps what it has learned.

The chart renders it without data, so neither an upgrade nor a GitOps tool takes anything away, and the observer needs no right
to create one. Whoever empties it, or writes nonsense into it, has made gracekeeper forget.
"""

from collections.abc import Callable
from dataclasses import dataclass

from webhook.api import Api, ApiError
from webhook.policy.observed.memory import DATA_KEY

_CALL_SECONDS = 10.0
_MOST_CONFLICTS = 5
_CONFLICT = 409


@dataclass(frozen=True, slots=True)
class MemoryObject:
    """One ConfigMap, by its name."""

    api: Api
    namespace: str
    name: str

    @property
    def path(self) -> str:
        """Return where the API has the ConfigMap."""
        return f"/api/v1/namespaces/{self.namespace}/configmaps/{self.name}"

    def change(self, changed: Callable[[str], str], key: str = DATA_KEY) -> str:
        """Replace the text under a key by what `changed` makes of it, and return that.

        An equal text is not written. If somebody else writes meanwhile, their text is read and changed. Raises ApiError if it cannot be read or written.
        """
        attempts = 0
        while True:
            attempts += 1
            held = self.api.get(self.path, timeout_seconds=_CALL_SECONDS)
            text = text_in(held, key)
            after = changed(text)
            if after == text:
                return text
            content = {**held, "data": {**(held.get("data") or {}), key: after}}
            try:
                self.api.put(self.path, content, timeout_seconds=_CALL_SECONDS)
            except ApiError as error:
                if error.status != _CONFLICT or attempts == _MOST_CONFLICTS:
                    raise
            else:
                return after


def text_in(config_map: object, key: str = DATA_KEY) -> str:
    """Return the text that a ConfigMap holds under a key; empty where it holds none."""
    data = config_map.get("data") if isinstance(config_map, dict) else None
    text = data.get(key) if isinstance(data, dict) else None
    return text if isinstance(text, str) else ""
