"""The ConfigMap in which the observer keeps what it has learned.

The chart renders it without data, so neither an upgrade nor a GitOps tool takes anything away, and the observer needs no right
to create one. Whoever empties it, or writes nonsense into it, has made gracekeeper forget.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from webhook.api import Api, ApiError
from webhook.policy.observed import interruptions
from webhook.policy.observed.memory import DATA_KEY

_CALL_SECONDS = 10.0
_MOST_CONFLICTS = 5
_CONFLICT = 409


@dataclass(frozen=True, slots=True)
class MemoryObject:
    """One text of a ConfigMap, by the names of both."""

    api: Api
    namespace: str
    name: str
    key: str = DATA_KEY
    """Under which the ConfigMap holds the text: the memory of workloads, unless another is named."""

    @property
    def path(self) -> str:
        """Return where the API has the ConfigMap."""
        return f"/api/v1/namespaces/{self.namespace}/configmaps/{self.name}"

    @property
    def interruptions(self) -> "MemoryObject":
        """Return the text beside it, which counts interruptions."""
        return replace(self, key=interruptions.DATA_KEY)

    def change(self, changed: Callable[[str], str]) -> str:
        """Replace the text that it holds by what `changed` makes of it, and return that. An equal text is not written.

        If somebody else writes meanwhile, their text is read and changed. Raises ApiError if it cannot be read or written.
        """
        attempts = 0
        while True:
            attempts += 1
            held = self.api.get(self.path, timeout_seconds=_CALL_SECONDS)
            text = text_in(held, self.key)
            after = changed(text)
            if after == text:
                return text
            content = {**held, "data": {**(held.get("data") or {}), self.key: after}}
            try:
                self.api.put(self.path, content, timeout_seconds=_CALL_SECONDS)
            except ApiError as error:
                if error.status != _CONFLICT or attempts == _MOST_CONFLICTS:
                    raise
            else:
                return after


def text_in(config_map: object, key: str = DATA_KEY) -> str:
    """Return a text that a ConfigMap holds; empty where it holds none."""
    data = config_map.get("data") if isinstance(config_map, dict) else None
    text = data.get(key) if isinstance(data, dict) else None
    return text if isinstance(text, str) else ""
