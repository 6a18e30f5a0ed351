"""YAML and JSON texts as the objects in them, or one line on why they cannot be read."""

from collections.abc import Iterator
from typing import Any

from webhook import yaml_text
from webhook.shapes import kind_of_value


class BadManifestError(Exception):
    """A file that holds no pod that could be created; the message is one line."""


def documents(text: str, name: str) -> list[dict[str, Any]]:
    """The objects of a YAML (or JSON) text, Lists unfolded; `name` is the file's, for messages."""
    try:
        loaded = [document for document in yaml_text.documents(text) if document is not None]
    except yaml_text.NotYamlError as error:
        raise BadManifestError(f"{name}: {error}") from None
    return [item for document in loaded for item in _unfolded(document, name)]


def _unfolded(document: Any, name: str) -> Iterator[dict[str, Any]]:
    if not isinstance(document, dict):
        raise BadManifestError(f"{name}: a document is no Kubernetes object but {kind_of_value(document)}")
    if isinstance(document.get("items"), list):
        for item in document["items"]:
            yield from _unfolded(item, name)
    else:
        yield document
