"""YAML and JSON texts as the objects in them, or one line on why they cannot be read."""

import re
from collections.abc import Iterator
from typing import Any

from webhook import yaml_text
from webhook.shapes import kind_of_value

_DOCUMENT = re.compile(r"^---(?=\s|$)", re.MULTILINE)
_MOST_DOCUMENTS = 100


class BadManifestError(Exception):
    """A file that holds no pod that could be created; the message is one line."""


class NoPodError(BadManifestError):
    """A file that can be read, and holds no pod."""


def documents_and_refusals(text: str, name: str) -> tuple[list[dict[str, Any]], list[str]]:
    """The objects of a text of which a document may be unreadable, and one line for each that is.

    A document is read alone only where the whole cannot be. BadManifestError where none can.
    """
    try:
        return documents(text, name), []
    except BadManifestError as error:
        parts = _parts(text)
        if len(parts) < 2:  # noqa: PLR2004  # one document, which is refused
            raise BadManifestError(str(error)) from None
    objects, refused = [], []
    for lines_before, part in parts:
        try:
            objects += documents(part, name)
        except BadManifestError:
            refused.append(_refusal(lines_before, part, name))
    if not objects:
        raise BadManifestError(refused[0])
    return objects, refused


def _parts(text: str) -> list[tuple[int, str]]:
    """The documents of a text, each with the number of lines before it; one part where there are too many of them.

    A line that begins with `---` begins a document, wherever it stands (YAML 1.2, 9.1.2).
    """
    starts = [0, *(match.start() for match in _DOCUMENT.finditer(text) if match.start())]
    if len(starts) > _MOST_DOCUMENTS:
        return [(0, text)]
    ends = (*starts[1:], len(text))
    return [(text.count("\n", 0, start), text[start:end]) for start, end in zip(starts, ends, strict=True)]


def _refusal(lines_before: int, part: str, name: str) -> str:
    """Why a document cannot be read, with its line in the whole text."""
    try:
        documents("\n" * lines_before + part, name)
    except BadManifestError as error:
        return str(error)
    return f"{name}: a document cannot be read"


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
