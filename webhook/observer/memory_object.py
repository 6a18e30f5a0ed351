"""The ConfigMap in which the observer keeps what it has learned.

The chart renders it without data, so neither an upgrade nor a GitOps tool takes anything away. Whoever deletes it, empties it,
or writes nonsense into it, has made gracekeeper forget.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from webhook.api import Api, ApiError
from webhook.policy.observed.memory import DATA_KEY

_CALL_SECONDS = 10.0
_MOST_CONFLICTS = 5
_CONFLICT = 409
NOT_FOUND = 404
LABELS = {"app.kubernetes.io/component": "observer", "app.kubernetes.io/part-of": "gracekeeper"}
"""Of one that the observer makes again: those by which people find it. No release of the chart changes their values, so that
Helm, which applies them too, meets no conflict."""
_HELMS_LABEL, _HELMS_ANNOTATIONS = "app.kubernetes.io/managed-by", "meta.helm.sh/"
"""By these Helm knows what belongs to a release. They never change."""


@dataclass(frozen=True, slots=True)
class MemoryObject:
    """The ConfigMap, by its name."""

    api: Api
    namespace: str
    name: str
    _owner: dict[str, dict[str, str]] = field(default_factory=dict, init=False)
    """The labels and annotations by which Helm knew the ConfigMap when it was read last."""

    @property
    def path(self) -> str:
        """Return where the API has the ConfigMap."""
        return f"/api/v1/namespaces/{self.namespace}/configmaps/{self.name}"

    def change(self, changed: Callable[[str], str], key: str = DATA_KEY, *, may_create: bool = False) -> str:
        """Replace the text under a key by what `changed` makes of it, and return that. An equal text is not written.

        If somebody else writes meanwhile, their text is read and changed. If it is not there, it is made with `may_create`.
        Raises ApiError if it cannot be read or written.
        """
        attempts = 0
        while True:
            attempts += 1
            try:
                return self._change_once(changed, key, may_create=may_create)
            except ApiError as error:
                if error.status != _CONFLICT or attempts == _MOST_CONFLICTS:
                    raise

    def _change_once(self, changed: Callable[[str], str], key: str, *, may_create: bool) -> str:
        try:
            held = self.api.get(self.path, timeout_seconds=_CALL_SECONDS)
        except ApiError as error:
            if error.status != NOT_FOUND or not may_create:
                raise
            return self._create(key, changed(""))
        self._owner.update(_owner_in(held["metadata"]))
        text = text_in(held, key)
        after = changed(text)
        if after != text:
            content = {**held, "data": {**(held.get("data") or {}), key: after}}
            self.api.put(self.path, content, timeout_seconds=_CALL_SECONDS)
        return after

    def _create(self, key: str, text: str) -> str:
        labels = {**self._owner.get("labels", {}), **LABELS}
        metadata = {"name": self.name, "namespace": self.namespace, **self._owner, "labels": labels}
        content = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata,
            "data": {key: text} if text else {},
        }
        self.api.post(self.path.rpartition("/")[0], content, timeout_seconds=_CALL_SECONDS)
        return text


def _owner_in(metadata: dict[str, Any]) -> dict[str, dict[str, str]]:
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    return {
        "labels": {name: value for name, value in labels.items() if name == _HELMS_LABEL},
        "annotations": {name: value for name, value in annotations.items() if name.startswith(_HELMS_ANNOTATIONS)},
    }


def text_in(config_map: object, key: str = DATA_KEY) -> str:
    """Return the text that a ConfigMap holds under a key; empty where it holds none."""
    data = config_map.get("data") if isinstance(config_map, dict) else None
    text = data.get(key) if isinstance(data, dict) else None
    return text if isinstance(text, str) else ""
