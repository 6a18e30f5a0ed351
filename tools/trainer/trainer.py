"""A trainer that saves when it is told to stop: writes a checkpoint for SAVE_SECONDS, and renames it when it is whole."""

import os
import signal
import time
from pathlib import Path

FOLDER = Path(os.environ.get("CHECKPOINT_DIR", "/checkpoints"))
SAVE_SECONDS = float(os.environ.get("SAVE_SECONDS", "45"))
UNFINISHED, WHOLE = FOLDER / "checkpoint.tmp", FOLDER / "checkpoint"
BLOCK = b"w" * 4096


def main() -> None:
    """Train until told to stop, then save."""
    told: list[bool] = []  # no Event: its lock may be held by the very thread that the signal interrupts
    signal.signal(signal.SIGTERM, lambda *_: told.append(True))
    print("training", flush=True)
    while not told:
        time.sleep(1)
    print(f"saving for {SAVE_SECONDS:g} s", flush=True)
    save()
    print("saved", flush=True)


def save() -> None:
    """Write a little every tenth of a second, as a slow volume would take it."""
    end = time.monotonic() + SAVE_SECONDS
    with UNFINISHED.open("wb") as file:
        while time.monotonic() < end:
            file.write(BLOCK)
            file.flush()
            os.fsync(file.fileno())
            time.sleep(0.1)
    UNFINISHED.rename(WHOLE)


main()
