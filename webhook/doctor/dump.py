"""A dump: files of `kubectl get ... -o json`, read as the lists of a cluster."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any, BinaryIO

import ijson
import orjson

from webhook import shapes, yaml_text
from webhook.doctor.finding import UnseenReason
from webhook.doctor.kinds import CONFIGZ, KINDS
from webhook.doctor.lists import KindUnseen
from webhook.doctor.packed import PackedObjects
from webhook.policy.names import shown
from webhook.policy.pod.metadata import JsonObject, metadata_of

_LIST = "List"
_START_BYTES = 65_536
_UNREAD_STATUS = {
    "Node": ("images", "conditions", "addresses", "volumesAttached", "volumesInUse", "daemonEndpoints", "capacity"),
    "Pod": ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses", "podIPs", "hostIPs"),
}
"""Fields that no check reads. A check that needs one takes it out of here."""
_KUBELET_ANSWER = "kubeletconfig"
"""The one field of what a kubelet answers to /configz. The file is named after its node: h1.configz.json."""


class BadDumpError(Exception):
    """A file that is no dump; the message is one line that says why."""


def objects_of(files: Iterable[tuple[str, BinaryIO]]) -> dict[str, PackedObjects]:
    """Return the objects of files (name and open file) by kind.

    kubectl does not say which kind an empty list is of. The name of the file does, where it is that of the resource.
    """
    objects: dict[str, PackedObjects] = {}
    for name, file in files:
        of_file = _objects_in(name, file)
        kind = _kind_by_file(name)
        if kind is not None and of_file is not None:
            objects.setdefault(kind, PackedObjects())
        for kind, of_kind in (of_file or {}).items():
            objects.setdefault(kind, PackedObjects()).extend(of_kind)
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
        kind: of_kind
        if _counts_everywhere(kind)
        else PackedObjects(each for each in of_kind if metadata_of(each).get("namespace") in namespaces)
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


def _objects_in(name: str, file: BinaryIO) -> dict[str, PackedObjects] | None:
    """Return the objects of one file by kind; None where it is empty: kubectl was refused, and wrote nothing."""
    start = file.read(_START_BYTES)
    if not start.strip():
        return None
    file.seek(0)
    try:
        of_lists = _objects_in_lists(name, file)
    except ijson.JSONError as error:
        if isinstance(error, ijson.IncompleteJSONError) and start.lstrip().startswith(b"{"):
            raise BadDumpError(f"{name}: ends in the middle of a list") from None
        of_lists = {}  # YAML, or several lists
    if of_lists:
        return of_lists
    file.seek(0)
    objects: dict[str, PackedObjects] = {}
    for document in _documents(name, file.read()):
        _add(objects, name, document)
    return objects


def _objects_in_lists(name: str, file: BinaryIO) -> dict[str, PackedObjects]:
    """Return the objects of the lists in a JSON file; nothing where an object names no kind, or there is no list.

    A list is never in memory as a whole: that of all pods of a cluster may take a gigabyte.
    """
    objects: dict[str, PackedObjects] = {}
    for item in ijson.items(file, "items.item", use_float=True):
        kind = item.get("kind") if isinstance(item, dict) else None
        if not isinstance(kind, str):
            return {}
        _refuse_misshapen(kind, item, name)
        objects.setdefault(kind, PackedObjects()).append(slimmed(item))
    return objects


def _documents(name: str, text: bytes) -> Iterator[Any]:
    try:
        yield orjson.loads(text)
    except orjson.JSONDecodeError:
        yield from _yaml_documents(name, text)


def _yaml_documents(name: str, text: bytes) -> Iterator[Any]:
    """Yield the documents of YAML, and of several lists in one file."""
    try:
        yield from yaml_text.documents(text.decode())
    except UnicodeDecodeError:
        raise BadDumpError(f"{name}: not UTF-8 text") from None
    except yaml_text.NotYamlError as error:
        raise BadDumpError(f"{name}: {error}") from None


def _add(objects: dict[str, PackedObjects], name: str, document: Any) -> None:
    kind = document.get("kind") if isinstance(document, dict) else None
    if isinstance(document, dict) and isinstance(document.get(_KUBELET_ANSWER), dict):
        node_name = PurePath(name).name.removesuffix(".json").removesuffix(".configz")
        objects.setdefault(CONFIGZ, PackedObjects()).append(
            {"kind": CONFIGZ, "metadata": {"name": node_name}, **document}
        )
        return
    if not isinstance(kind, str):
        raise BadDumpError(f"{name}: holds no Kubernetes object: write it with `kubectl get KIND -A -o json`")
    items = document.get("items")
    if not isinstance(items, list):
        _refuse_misshapen(kind, document, name)
        objects.setdefault(kind, PackedObjects()).append(slimmed(document))
        return
    of_kind = kind.removesuffix(_LIST)
    if of_kind:  # PodList: the objects in it name no kind
        objects.setdefault(of_kind, PackedObjects())
    for item in items:
        _add(objects, name, {"kind": of_kind, **item} if of_kind and isinstance(item, dict) else item)


def _refuse_misshapen(kind: str, document: dict[str, Any], file: str) -> None:
    try:
        (shapes.check_pod if kind == "Pod" else shapes.check_object)(document)
    except shapes.MisshapenError as error:
        metadata = document.get("metadata")
        name = metadata.get("name") if isinstance(metadata, dict) else None
        raise BadDumpError(f"{file}: {kind} {shown(name)}: {error}") from None
