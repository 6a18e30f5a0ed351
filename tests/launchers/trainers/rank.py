"""What each trainer here does beside its training: it says what happens to it in /row, and saves a checkpoint slowly.

`rank-N.log` has one line for each event, with the time. `rank-N.alive` is touched ten times a second as long as the rank
lives, so that its last change tells when it was killed.
"""

import argparse
import os
import signal
import sys
import threading
import time
from pathlib import Path

ROW = Path("/row")
_RANK_VARIABLES = ("RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK")
_TICK_SECONDS = 0.1


class Rank:
    """A rank of a training, from the moment that it is ready to train."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.number = int(next((os.environ[name] for name in _RANK_VARIABLES if name in os.environ), "0"))
        self.is_told = False
        threading.Thread(target=self._live, daemon=True).start()
        if options.handler == "all" or (options.handler == "first" and self.number == 0):
            signal.signal(getattr(signal, f"SIG{options.signal}"), self._handle)
            self.write("catches")

    def _live(self) -> None:
        while True:
            (ROW / f"rank-{self.number}.alive").touch()
            time.sleep(_TICK_SECONDS)

    def _handle(self, number: int, _frame: object) -> None:
        self.is_told = True
        self.write(f"told-{number}")

    def must_stop(self) -> bool:
        """Whether the signal, or the file `stop` that some scripts make, has come."""
        return self.is_told or (ROW / "stop").exists()

    def write(self, event: str) -> None:
        """Append a line to this rank's log."""
        with (ROW / f"rank-{self.number}.log").open("a") as log:
            log.write(f"{time.time():.3f} {event}\n")

    def save(self) -> None:
        """Write a checkpoint for as long as the options say, and rename it when it is whole."""
        seconds = self.options.save
        if self.number > 0 and self.options.others_save is not None:
            seconds = self.options.others_save
        self.write("saves")
        unfinished = ROW / f"checkpoint-{self.number}.unfinished"
        with unfinished.open("wb") as file:
            for _ in range(round(seconds / _TICK_SECONDS)):
                file.write(b"0" * 1024)
                file.flush()
                time.sleep(_TICK_SECONDS)
        unfinished.rename(ROW / f"checkpoint-{self.number}")
        self.write("saved")

    def fails_early(self) -> None:
        """End with 1 without a checkpoint, if the options say so of this rank."""
        if self.number > 0 and self.options.others_fail is not None:
            time.sleep(self.options.others_fail)
            self.end(1)

    def end(self, code: int) -> None:
        """End the process with this exit code."""
        self.write(f"ends-{code}")
        sys.exit(code)


def options() -> argparse.Namespace:
    """The command line that all trainers understand; a launcher's own arguments are ignored."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--save", type=float, default=33, help="seconds that a checkpoint takes")
    parser.add_argument("--others-save", type=float, help="the same for all ranks but the first")
    parser.add_argument("--others-fail", type=float, help="seconds after the signal when all ranks but the first fail")
    parser.add_argument("--code", type=int, default=0, help="exit code of a rank that has saved")
    parser.add_argument("--handler", choices=["all", "first", "none"], default="all", help="which ranks have one")
    parser.add_argument("--signal", default="TERM", help="the signal that the handler is for")
    parser.add_argument("--loader", choices=["fork", "spawn"], default="fork", help="how data loaders are started")
    parser.add_argument("--step", type=float, default=0.1, help="seconds that a step takes on all ranks but the first")
    return parser.parse_known_args()[0]
