"""What was built once, kept under a key of everything that went into it.

Law: an entry appears whole or not at all, and is looked up by its key only, so that it is never stale.
"""

import hashlib
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from tools.cluster import lock

_UNUSED_SECONDS = 14 * 24 * 3600


def key(*inputs: str | Path) -> str:
    """Twelve hex digits for these texts and for the contents of these files and folders, on this architecture."""
    digest = hashlib.sha256(platform.machine().encode())
    for given in inputs:
        for name, content in _parts(given):
            digest.update(f"{name}\0{len(content)}\0".encode())
            digest.update(content)
    return digest.hexdigest()[:12]


def _parts(given: str | Path) -> Iterable[tuple[str, bytes]]:
    if isinstance(given, str):
        return [("", given.encode())]
    if given.is_file():
        return [(given.name, given.read_bytes())]
    files = sorted(path for path in given.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return [(str(path.relative_to(given)), path.read_bytes()) for path in files]


def kept(cache: Path, name: str, entry_key: str, build: Callable[[Path], None]) -> Path:
    """The entry's path; `build` makes it at the path that it is handed when there is none."""
    entry = cache / f"{name}-{entry_key}"
    if not entry.exists():
        with lock.turn(cache, name):
            if not entry.exists():
                _clear(cache, name)
                _make(cache / f".{name}-{entry_key}.unfinished", entry, build)
        _forget_unused(cache, name)
    os.utime(entry)
    return entry


def _make(unfinished: Path, entry: Path, build: Callable[[Path], None]) -> None:
    try:
        build(unfinished)
        unfinished.rename(entry)
    finally:
        _remove(unfinished)


def _clear(cache: Path, name: str) -> None:
    """What a run that was ended hard left; nobody else builds this name now."""
    for path in cache.glob(f".{name}-*"):
        _remove(path)


def _forget_unused(cache: Path, name: str) -> None:
    """Drops the entries of this name that nobody asked for in two weeks."""
    for path in cache.glob(f"{name}-*"):
        if path.stat().st_mtime < time.time() - _UNUSED_SECONDS:
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
