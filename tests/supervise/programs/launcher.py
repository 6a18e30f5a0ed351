"""A launcher like torchrun: workers in sessions of their own, SIGTERM handed on to them, SIGKILL for the slow."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

workers = [
    subprocess.Popen(
        [sys.executable, "-I", "-S", str(Path(__file__).with_name("trainer.py"))],
        start_new_session=True,
        env={**os.environ, "NAME": f"worker{rank}"},
    )
    for rank in range(2)
]


def stop(number, _frame):
    os.write(1, b"launcher got it\n")
    for worker in workers:
        worker.send_signal(number)


signal.signal(signal.SIGTERM, stop)
os.write(1, b"launched\n")
deadline = time.monotonic() + 60
while any(worker.poll() is None for worker in workers) and time.monotonic() < deadline:
    time.sleep(0.02)
sys.exit(max(worker.wait() for worker in workers))
