"""Kubelets' configurations beside the objects of a cluster: asked of one kubelet a pool, and read from kubeadm's ConfigMap."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from webhook import yaml_text
from webhook.api import ApiError
from webhook.doctor.finding import UnseenReason
from webhook.doctor.gatherer import Reader, reason_of
from webhook.doctor.kinds import CONFIGZ, KUBELET_CONFIG
from webhook.doctor.lists import KindUnseen
from webhook.doctor.pools import pool_of
from webhook.policy.pod.metadata import JsonObject, labels_of, metadata_of

_CALL_SECONDS = 3.0
_AT_ONCE = 8
_KEY = "kubelet"


def asked_of_kubelets(reader: Reader, nodes: Iterable[JsonObject]) -> tuple[list[dict[str, Any]], KindUnseen | None]:
    """Return the configuration of one kubelet of each pool and version, and why one of them could not be had."""
    by_pool: dict[tuple[str, str], str] = {}
    for node in nodes:
        version = str(((node.get("status") or {}).get("nodeInfo") or {}).get("kubeletVersion") or "")
        by_pool.setdefault((pool_of(labels_of(node)), version), metadata_of(node).get("name", ""))
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        answers = list(threads.map(lambda name: _of_kubelet(reader, name), by_pool.values()))
    failures = [each for each in answers if isinstance(each, KindUnseen)]
    return [each for each in answers if isinstance(each, dict)], next(iter(failures), None)


def with_config_of_kubeadm(objects: Mapping[str, Sequence[JsonObject]]) -> dict[str, Sequence[JsonObject]]:
    """Return the objects, and beside them what kubeadm's ConfigMap says of all kubelets, under no node's name."""
    for config_map in objects.get("ConfigMap", ()):
        metadata = metadata_of(config_map)
        if (metadata.get("namespace"), metadata.get("name")) == KUBELET_CONFIG:
            config = _parsed((config_map.get("data") or {}).get(_KEY))
            if config:
                of_all = {"kind": CONFIGZ, "metadata": {"name": ""}, "kubeletconfig": config}
                return {**objects, CONFIGZ: [*objects.get(CONFIGZ, ()), of_all]}
    return dict(objects)


def _of_kubelet(reader: Reader, name: str) -> dict[str, Any] | KindUnseen:
    try:
        answer = reader.api.get(f"/api/v1/nodes/{name}/proxy/configz", timeout_seconds=_CALL_SECONDS)
    except ApiError as error:
        return KindUnseen(reason_of(error), f"node {name}: {error.message}")
    config = answer.get("kubeletconfig")
    if not isinstance(config, dict):
        return KindUnseen(UnseenReason.ERROR, f"node {name}: no kubeletconfig in its answer")
    return {"kind": CONFIGZ, "metadata": {"name": name}, "kubeletconfig": config}


def _parsed(text: object) -> dict[str, Any] | None:
    try:
        documents = yaml_text.documents(text) if isinstance(text, str) else []
    except yaml_text.NotYamlError:
        return None
    return next((each for each in documents if isinstance(each, dict)), None)
