"""A trainer's container: PID 1 of namespaces of its own, in the file system that has torch and the launchers."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from tests.supervise.container import SIGTERM, Container
from tools.frameworks import MOUNT
from tools.launchers import HOSTS

TRAINERS = Path(__file__).parent / "trainers"
_PREPARE = """
set -e
root=$1 row=$2 trainers=$3 supervise=$4 host=$5 packages=$6
shift 6
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs tmpfs "$root/dev/shm"
mount --bind "$row" "$root/row"
mount --bind "$trainers" "$root/trainers"
mount --bind "$supervise" "$root/gracekeeper"
[ -z "$packages" ] || mount --bind "$packages" "$root/opt"
hostname "$host"
chroot "$root" ip link set lo up
exec chroot "$root" env -C /row "$@"
"""
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/tmp",  # a tmpfs of the container's own
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": f"/trainers:{MOUNT}",
    "PYTHONDONTWRITEBYTECODE": "1",
    "GLOO_SOCKET_IFNAME": "lo",
    "USE_LIBUV": "0",  # Debian builds torch without libuv
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "DS_ACCELERATOR": "cpu",
}
SUPERVISE = "/gracekeeper/supervise"


class TrainerContainer(Container):
    """Started at once, with the ranks' logs in its folder `row`.

    Containers that are given one `row` share that folder, and the network of this machine: they are pods of one job.
    """

    def __init__(  # noqa: PLR0913  # what a container is given
        self,
        folder: Path,
        root: Path,
        supervise: Path,
        command: Sequence[str],
        *,
        row: Path | None = None,
        number: int = 0,
        environment: dict[str, str] | None = None,
        packages: Path | None = None,
    ) -> None:
        self.row = row or folder / "row"
        self.row.mkdir(parents=True, exist_ok=True)
        namespaces = ["--uts"] if row else ["--uts", "--net"]
        host = list(HOSTS)[number]
        words: list[str | Path] = [
            "unshare",
            *namespaces,
            "sh",
            "-c",
            _PREPARE,
            "sh",
            root,
            self.row,
            TRAINERS,
            supervise,
            host,
            packages or "",
            *command,
        ]
        super().__init__(folder, words, environment=ENVIRONMENT | (environment or {}))

    def tree(self) -> list[str]:
        """One line for each process: its number, its parent's, whether it catches SIGTERM, its command line.

        It follows children from PID 1: a look at all of this machine's processes, ten times a second, costs too much.
        """
        lines, pids = [], [self.pid]
        while pids:
            pid = pids.pop()
            with contextlib.suppress(OSError):
                lines.append(_described(pid))
                pids += sorted(_children(pid), reverse=True)
        return lines


def _children(pid: int) -> list[int]:
    """Of all threads: Go starts a program from any of them."""
    files = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for file in files for child in file.read_text().split()]


def _described(pid: int) -> str:
    status = Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    mark = "catches" if int(fields["SigCgt"], 16) & SIGTERM else "-"
    return f"{pid} < {fields['PPid']} {mark:7} {fields['Name']}: {command[:160].strip()}"
