"""What takes many seconds by design, side by side and beside all other tests."""

import signal
import sys
import time
from pathlib import Path

from tests.supervise.container import until
from tests.supervise.pod import CTRL, Pod, endless, python


class Slow:
    """What takes many seconds by design, side by side."""

    def __init__(self, folder: Path, program: Path) -> None:
        self.pods = [Pod(_made(folder / name), program) for name in ("dead", "never", "idle", "uploads")]
        dead, never, idle, uploads = self.pods
        self.began = time.monotonic()
        self.never = never.gate()
        self.late = never.below("--", "sh", "-c", "echo running; sleep 600")
        self.hold = dead.hold("--sidecar", "--", *CTRL, "start", "wait:600")
        until(lambda: dead.read("hold/started"), "started")
        self.gate = dead.gate()
        self.user = dead.below("--interrupted-code", "143", "--", *python("trainer"))
        self.user.says("training")
        self.hold.signal(signal.SIGKILL)
        for pod in (idle, uploads):
            pod.write("hold/started")
        self.idle = idle.run(*_idle(idle, "sh", "-c", "echo idle; read x"), stdin=endless(idle))
        waits = "import time\nprint('idle', flush=True)\ntime.sleep(8)"
        self.uploads = uploads.run(*_idle(uploads, sys.executable, "-I", "-S", "-c", waits, "-checkpoint", "y"))
        for container in (self.idle, self.uploads):
            container.says("idle")
            container.signal()

    def close(self) -> None:
        for pod in self.pods:
            pod.close()


def _idle(pod, *command):
    return [pod.program, "forward", "--folder", pod.folder, "--below", "--", *command]


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
