"""Container images as files, in the form that `docker save` writes and that Docker and containerd load."""

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_CREATED = "1970-01-01T00:00:00Z"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Image:
    """A name, layers (tar files, lowest first) and what the image's config says of its process."""

    reference: str
    layers: Sequence[Path]
    config: Mapping[str, Any]


def layer(target: Path, files: Mapping[str, Path]) -> Path:
    """A layer with these programs: path in the image -> file here."""
    with tarfile.open(target, "w") as tar:
        for name, path in files.items():
            member = tar.gettarinfo(path, name)
            member.uid = member.gid = 0
            member.uname = member.gname = "root"
            member.mode = 0o755
            with path.open("rb") as content:
                tar.addfile(member, content)
    return target


def write(target: Path, image: Image) -> None:
    """The image as one file."""
    digests = [_digest(path) for path in image.layers]
    names = [f"{digest}/layer.tar" for digest in digests]
    config = json.dumps(
        {
            "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "created": _CREATED,
            "config": dict(image.config),
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
            "history": [{"created": _CREATED, "created_by": "gracekeeper"} for _ in digests],
        }
    ).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": [image.reference], "Layers": names}]
    with tarfile.open(target, "w") as tar:
        for name, path in zip(names, image.layers, strict=True):
            tar.add(path, name)
        _add(tar, config_name, config)
        _add(tar, "manifest.json", json.dumps(manifest).encode())


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
