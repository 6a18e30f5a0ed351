"""Images put into a node's file system before it ever starts, by a containerd that runs on its content store here."""

import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.cluster.steps import StepError, attempt, run

_START_SECONDS = 60
_STOP_SECONDS = 30
_REPROBE_SECONDS = 0.1
_CONFIG = """\
version = 3
root = "{root}"
state = "{state}"
disabled_plugins = [
  "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri",
  "io.containerd.nri.v1.nri", "io.containerd.internal.v1.opt",
]
[grpc]
  address = "{state}/socket"
[ttrpc]
  address = "{state}/socket.ttrpc"
"""


def into(node: Path, containerd: Path, archives: Iterable[Path]) -> None:
    """The images of these archives lie in the node's containerd; the kubelet unpacks them when it wants them."""
    with tempfile.TemporaryDirectory() as state, _running(containerd, node / "var/lib/containerd", Path(state)) as ctr:
        for archive in archives:
            run([*ctr, "--namespace", "k8s.io", "images", "import", "--no-unpack", archive])


@contextmanager
def _running(containerd: Path, root: Path, state: Path) -> Iterator[list[str | Path]]:
    """The ctr command that talks to it."""
    config, log = state / "config.toml", state / "log"
    config.write_text(_CONFIG.format(root=root, state=state))
    with log.open("w") as output:
        process = subprocess.Popen([containerd / "containerd", "--config", config], stdout=output, stderr=output)
    try:
        ctr: list[str | Path] = [containerd / "ctr", "--address", state / "socket"]
        deadline = time.monotonic() + _START_SECONDS
        while attempt([*ctr, "version"], timeout_seconds=5).returncode:
            if process.poll() is not None or time.monotonic() > deadline:
                raise StepError(f"containerd did not start: {log.read_text()[-1000:]}")
            time.sleep(_REPROBE_SECONDS)
        yield ctr
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
