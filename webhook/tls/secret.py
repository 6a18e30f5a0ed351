"""The Secret as plain data: what of it is sound, and the Secret with new content. Pure; unknown fields are kept.

| key | holds |
|---|---|
| `tls.crt`, `tls.key` | the certificate that is served |
| `ca.key` | the key of its CA |
| `ca.crt` | every CA that API servers may trust now, the served certificate's first |
| `next-ca.crt`, `next-ca.key` | during a rotation: the CA that comes, already in `ca.crt` and in the webhook configuration |
"""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from webhook.policy.prefix import PREFIX
from webhook.tls.certificates import (
    Certificate,
    Pair,
    UnsoundError,
    check_leaf,
    pem,
    read_authority,
    read_bundle,
    read_pair,
)

ROTATE_ANNOTATION = f"{PREFIX}rotate"
"""Any new value asks for a new CA and a new certificate."""
ROTATED_ANNOTATION = f"{PREFIX}rotated"
"""The value of the former that has been obeyed last."""

_SERVING_KEYS = ("ca.crt", "ca.key", "tls.crt", "tls.key")
_NEXT_KEYS = ("next-ca.crt", "next-ca.key")

Held = TypeVar("Held")


@dataclass(frozen=True, slots=True)
class Serving:
    """The certificate to serve with, and the CA that issued it."""

    authority: Pair
    leaf: Pair


@dataclass(frozen=True, slots=True)
class SecretContent:
    """What a Secret holds, as far as it is sound; what is not sound is as if it were absent, and named in `faults`."""

    serving: Serving | None = None
    next_authority: Pair | None = None
    trusted: tuple[Certificate, ...] = ()
    wanted: str = ""
    """Value of the annotation by which an admin asks for a rotation."""
    obeyed: str = ""
    faults: tuple[str, ...] = field(default=(), compare=False)


def read(secret: Mapping[str, Any], names: Sequence[str]) -> SecretContent:
    """What the Secret holds for a server of these names."""
    data = _decoded(secret.get("data") or {})
    annotations = secret["metadata"].get("annotations") or {}
    trusted = read_bundle(data.get("ca.crt", b""))
    faults: list[str] = []

    def serving() -> Serving:
        authority = read_authority(trusted, data["ca.key"])
        leaf = read_pair(data["tls.crt"], data["tls.key"])
        check_leaf(leaf.certificate, authority.certificate, names)
        return Serving(authority, leaf)

    def next_authority() -> Pair:
        return read_authority(read_bundle(data["next-ca.crt"]), data["next-ca.key"])

    return SecretContent(
        _sound(serving, faults) if data.keys() & set(_SERVING_KEYS) else None,
        _sound(next_authority, faults) if data.keys() & set(_NEXT_KEYS) else None,
        trusted,
        annotations.get(ROTATE_ANNOTATION, ""),
        annotations.get(ROTATED_ANNOTATION, ""),
        tuple(faults),
    )


def written(secret: Mapping[str, Any], content: SecretContent) -> dict[str, Any]:
    """The Secret with this content; equal to the given one where nothing changes."""
    others = {
        key: value for key, value in (secret.get("data") or {}).items() if key not in {*_SERVING_KEYS, *_NEXT_KEYS}
    }
    encoded = {key: base64.b64encode(value).decode() for key, value in _data(content).items()}
    result = {**secret, "data": {**others, **encoded}}
    if content.obeyed:
        annotations = {**(secret["metadata"].get("annotations") or {}), ROTATED_ANNOTATION: content.obeyed}
        result["metadata"] = {**secret["metadata"], "annotations": annotations}
    return result


def _data(content: SecretContent) -> dict[str, bytes]:
    data = {"ca.crt": pem(content.trusted)}
    if serving := content.serving:
        data["ca.key"] = serving.authority.key_pem
        data["tls.crt"], data["tls.key"] = serving.leaf.certificate_pem, serving.leaf.key_pem
    if following := content.next_authority:
        data.update(zip(_NEXT_KEYS, (following.certificate_pem, following.key_pem), strict=True))
    return data


def _decoded(data: Mapping[str, str]) -> dict[str, bytes]:
    decoded = {}
    for key, value in data.items():
        try:
            decoded[key] = base64.b64decode(value)
        except (binascii.Error, ValueError, TypeError):
            decoded[key] = b""
    return decoded


def _sound(read_it: Callable[[], Held], faults: list[str]) -> Held | None:
    try:
        return read_it()
    except KeyError as absent:
        faults.append(f"{absent.args[0]} is not there")
    except UnsoundError as error:
        faults.append(str(error))
    return None
