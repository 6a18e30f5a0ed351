"""Folders on a node that pods keep their checkpoints in, looked at from outside."""

from dataclasses import dataclass

from tools.cluster.steps import run


@dataclass(frozen=True, slots=True)
class File:
    """One file of a volume."""

    name: str
    size_bytes: int


def files(node: str, folder: str) -> tuple[File, ...]:
    """What is in a folder of the node, by name; nothing where there is no folder yet."""
    script = 'cd "$1" 2>/dev/null || exit 0; for name in *; do [ -e "$name" ] && stat -c "%s %n" "$name"; done; exit 0'
    lines = run(["docker", "exec", node, "sh", "-c", script, "sh", folder]).splitlines()
    return tuple(File(name, int(size)) for size, _, name in (line.partition(" ") for line in lines))


def empty(node: str, folder: str) -> None:
    """Remove a folder of the node."""
    run(["docker", "exec", node, "rm", "-rf", folder])
