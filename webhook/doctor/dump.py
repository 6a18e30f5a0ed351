"""A dump: files of `kubectl get ... -o json`, read as the lists of a cluster."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from io import BufferedReader
from pathlib import PurePath
from typing import Any

import orjson

from webhook import shapes, yaml_text
from webhook.doctor.finding import UnseenReason
from webhook.doctor.kinds import CONFIGZ, KINDS
from webhook.doctor.lists import KindUnseen
from webhook.policy.names import shown
from webhook.policy.pod.metadata import JsonObject, metadata_of

_LIST = "List"
_UNREAD_STATUS = {
    "Node": ("images", "conditions", "addresses", "volumesAttached", "volumesInUse", "daemonEndpoints", "capacity"),
    "Pod": ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses", "podIPs", "hostIPs"),
}
"""Fields that no check reads. A check that needs one takes it out of here."""
_KUBECTL = b'{\n    "'
_ITEMS_BEGIN, _NO_ITEMS = b'    "items": [\n', b'    "items": [],\n'
_COMMA_AT_THE_END = re.compile(rb"\[\],\n\}")
_ITEMS_END = (b"    ],\n", b"    ]\n")
_ITEM_END = (b"        },\n", b"        }\n")
"""How kubectl indents a list. A text inside a JSON value holds no end of line, so nothing else looks like these."""
_KUBELET_ANSWER = "kubeletconfig"
"""The one field of what a kubelet answers to /configz. The file is named after its node: h1.configz.json."""


class BadDumpError(Exception):
    """A file that is no dump; the message is one line that says why."""


def objects_of(files: Iterable[tuple[str, BufferedReader]]) -> dict[str, list[dict[str, Any]]]:
    """Return the objects of files (name and open file) by kind.

    kubectl does not say which kind an empty list is of. The name of the file does, where it is that of the resource.
    """
    objects: dict[str, list[dict[str, Any]]] = {}
    for name, file in files:
        kind, is_empty = _kind_by_file(name), True
        for document in _documents(name, file):
            is_empty = False
            _add(objects, name, document)
        if kind is not None and not is_empty:
            objects.setdefault(kind, [])
    return objects


def unseen_in(objects: Mapping[str, Any], kinds: Iterable[str]) -> dict[str, KindUnseen]:
    """Return the kinds that the dump does not have, and so could not be looked at."""
    return {kind: KindUnseen(UnseenReason.NOT_IN_DUMP) for kind in kinds if kind not in objects}


def one_object(objects: Mapping[str, Sequence[JsonObject]], kind: str, namespace: str, name: str) -> JsonObject | None:
    """Return one object of a dump by its name; None where there is none."""
    named = (each for each in objects.get(kind, ()) if metadata_of(each).get("name") == name)
    return next((each for each in named if metadata_of(each).get("namespace") == namespace), None)


def narrowed(
    objects: Mapping[str, Sequence[JsonObject]], namespaces: Collection[str]
) -> Mapping[str, Sequence[JsonObject]]:
    """Return the objects of some namespaces, and all that count wherever they are. No namespace means all."""
    if not namespaces:
        return objects
    return {
        kind: [each for each in of_kind if _counts_everywhere(kind) or metadata_of(each).get("namespace") in namespaces]
        for kind, of_kind in objects.items()
    }


def _counts_everywhere(kind: str) -> bool:
    source = KINDS.get(kind)
    return source is None or source.is_everywhere or bool(source.names) or not source.is_namespaced


def slimmed(manifest: dict[str, Any]) -> dict[str, Any]:
    """Drop from an object what no check reads and what takes most of the room. The object is changed."""
    metadata, status = manifest.get("metadata"), manifest.get("status")
    if isinstance(metadata, dict):
        metadata.pop("managedFields", None)
    if isinstance(status, dict):
        for field in _UNREAD_STATUS.get(str(manifest.get("kind")), ()):
            status.pop(field, None)
    return manifest


def _kind_by_file(name: str) -> str | None:
    stem = PurePath(name).name.removesuffix(".json")
    return next((kind.name for kind in KINDS.values() if stem in {kind.resource, kind.kubectl_name}), None)


def _documents(name: str, file: BufferedReader) -> Iterator[Any]:
    """Yield the documents of a file; nothing of an empty one, which kubectl leaves where it was refused."""
    if file.peek(len(_KUBECTL)).startswith(_KUBECTL):
        yield from _documents_of_kubectl(name, file)
        return
    text = file.read()
    if not text.strip():
        return
    try:
        yield orjson.loads(text)
    except orjson.JSONDecodeError:
        yield from _yaml_documents(name, text)


def _documents_of_kubectl(name: str, file: BufferedReader) -> Iterator[Any]:
    """Yield the objects of a list one by one, by kubectl's indentation: a list of 10,000 pods takes a gigabyte at once."""
    around: list[bytes] = []
    untyped: list[dict[str, Any]] = []
    for line in file:
        if line != _ITEMS_BEGIN:
            around.append(line)
            continue
        around.append(_NO_ITEMS)
        for item in _items(name, file):
            if isinstance(item, dict) and "kind" not in item:
                untyped.append(item)
            else:
                yield item
    document = _parsed(name, _COMMA_AT_THE_END.sub(b"[]\n}", b"".join(around)))
    if untyped and isinstance(document, dict):
        document["items"] = untyped
    yield document


def _items(name: str, file: BufferedReader) -> Iterator[Any]:
    """Yield the items up to the end of their list."""
    block: list[bytes] = []
    for line in file:
        if not block and line in _ITEMS_END:
            return
        block.append(line)
        if line in _ITEM_END:
            yield _parsed(name, b"".join(block).rstrip().removesuffix(b","))
            block = []
    raise BadDumpError(f"{name}: ends in the middle of a list")


def _parsed(name: str, text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadDumpError(f"{name}: not JSON: {error}") from None


def _yaml_documents(name: str, text: bytes) -> Iterator[Any]:
    """Yield the documents of YAML, and of several lists in one file."""
    try:
        yield from yaml_text.documents(text.decode())
    except UnicodeDecodeError:
        raise BadDumpError(f"{name}: not UTF-8 text") from None
    except yaml_text.NotYamlError as error:
        raise BadDumpError(f"{name}: {error}") from None


def _add(objects: dict[str, list[dict[str, Any]]], name: str, document: Any) -> None:
    kind = document.get("kind") if isinstance(document, dict) else None
    if isinstance(document, dict) and isinstance(document.get(_KUBELET_ANSWER), dict):
        node_name = PurePath(name).name.removesuffix(".json").removesuffix(".configz")
        objects.setdefault(CONFIGZ, []).append({"kind": CONFIGZ, "metadata": {"name": node_name}, **document})
        return
    if not isinstance(kind, str):
        raise BadDumpError(f"{name}: holds no Kubernetes object: write it with `kubectl get KIND -A -o json`")
    items = document.get("items")
    if not isinstance(items, list):
        _refuse_misshapen(kind, document, name)
        objects.setdefault(kind, []).append(slimmed(document))
        return
    of_kind = kind.removesuffix(_LIST)
    if of_kind:  # PodList: the objects in it name no kind
        objects.setdefault(of_kind, [])
    for item in items:
        _add(objects, name, {"kind": of_kind, **item} if of_kind and isinstance(item, dict) else item)


def _refuse_misshapen(kind: str, document: dict[str, Any], file: str) -> None:
    try:
        (shapes.check_pod if kind == "Pod" else shapes.check_object)(document)
    except shapes.MisshapenError as error:
        metadata = document.get("metadata")
        name = metadata.get("name") if isinstance(metadata, dict) else None
        raise BadDumpError(f"{file}: {kind} {shown(name)}: {error}") from None
