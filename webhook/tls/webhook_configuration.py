"""The caBundle of a webhook configuration: reading and extending it. Pure; every other field is kept.

All entries that call our Service are ours; entries of others in the same object are left alone.
"""

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from webhook.tls.certificates import Certificate, ended, pem, read_bundle


def entry_count(configuration: Mapping[str, Any], service: str, namespace: str) -> int:
    """How many entries call this Service."""
    return sum(1 for _ in _entries(configuration, service, namespace))


def in_any_entry(configuration: Mapping[str, Any], service: str, namespace: str) -> tuple[Certificate, ...]:
    """The CAs that API servers trust for some entry of ours."""
    bundles = (read_bundle(_text(entry)) for entry in _entries(configuration, service, namespace))
    return tuple(dict.fromkeys(certificate for bundle in bundles for certificate in bundle))


def in_every_entry(configuration: Mapping[str, Any], service: str, namespace: str) -> frozenset[Certificate]:
    """The CAs that API servers trust whichever of our entries they call."""
    bundles = [frozenset(read_bundle(_text(entry))) for entry in _entries(configuration, service, namespace)]
    return frozenset.intersection(*bundles) if bundles else frozenset()


def extended(
    configuration: Mapping[str, Any], service: str, namespace: str, trusted: Iterable[Certificate], now: datetime | None
) -> dict[str, Any]:
    """Return the configuration with these CAs in each entry of ours, beside those that are there and have not ended.

    If `now` is None, no CA counts as ended. The result is equal to the given one if nothing changes: an order that is there stays, or replicas would undo each other's.
    """
    wanted = tuple(trusted)

    def entry(given: Mapping[str, Any]) -> Mapping[str, Any]:
        if not _calls(given, service, namespace):
            return given
        bundle = dict.fromkeys((*read_bundle(_text(given)), *wanted))
        text = pem(certificate for certificate in bundle if now is None or not ended(certificate, now))
        return {**given, "clientConfig": {**given["clientConfig"], "caBundle": base64.b64encode(text).decode()}}

    return {**configuration, "webhooks": [entry(given) for given in configuration.get("webhooks") or ()]}


def _entries(configuration: Mapping[str, Any], service: str, namespace: str) -> Iterator[Mapping[str, Any]]:
    for entry in configuration.get("webhooks") or ():
        if _calls(entry, service, namespace):
            yield entry


def _calls(entry: Mapping[str, Any], service: str, namespace: str) -> bool:
    called = (entry.get("clientConfig") or {}).get("service") or {}
    return (called.get("name"), called.get("namespace")) == (service, namespace)


def _text(entry: Mapping[str, Any]) -> bytes:
    try:
        return base64.b64decode(entry["clientConfig"].get("caBundle") or "")
    except (binascii.Error, ValueError, TypeError):
        return b""
