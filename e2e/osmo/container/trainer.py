"""A trainer of an OSMO task: saves a checkpoint and an output when it is told to stop, or does not, as its options say."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

FOLDERS = (Path("/tmp/models"), Path("/osmo/data/output"))
BLOCK = b"w" * 4096
told: list[bool] = []
"""Not empty once SIGTERM has come. No Event: its lock may be held by the very thread that the signal interrupts."""


def main() -> int:
    """Train until told to stop, or for so long; save; the exit code is an option."""
    options = parsed()
    if options.on_sigterm == "save":
        signal.signal(signal.SIGTERM, lambda *_: told.append(True))
    elif options.on_sigterm == "ignore":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    loader = start_loader() if options.loader else None
    for folder in FOLDERS:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"started{options.rank}").write_text("the run has begun\n")
    note("training", options.rank)
    say(options, "training")
    end = time.monotonic() + options.train_seconds
    while not told and time.monotonic() < end:
        time.sleep(0.2)
        must_live(loader)
    if told:
        note("SIGTERM", options.rank)
    if told or options.save_at_end:
        say(options, f"saving for {options.save_seconds:g} s")
        save(options, loader)
        say(options, "saved")
    return int(options.exit)


def parsed() -> argparse.Namespace:
    """The options of one run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--on-sigterm", choices=("save", "ignore", "default"), default="save")
    parser.add_argument("--save-seconds", type=float, default=10)
    parser.add_argument("--save-at-end", action="store_true")
    parser.add_argument("--train-seconds", type=float, default=3600)
    parser.add_argument("--exit", type=int, default=0)
    parser.add_argument("--rank", default="")
    parser.add_argument(
        "--quiet", action="store_true", help="print nothing: osmo_exec dies of a line when osmo_ctrl is gone"
    )
    parser.add_argument("--loader", action="store_true", help="a worker that inherits the handler; its death is ours")
    return parser.parse_args()


def say(options: argparse.Namespace, line: str) -> None:
    """One line of the training's log."""
    if not options.quiet:
        print(line, flush=True)


def start_loader() -> int:
    """A forked child that dies of SIGTERM, whatever its parent does with it."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(1))
        while os.getppid() != 1:
            time.sleep(0.2)
        os._exit(0)
    return child


def must_live(loader: int | None) -> None:
    """End the run where its data loader has died."""
    if loader is not None and os.waitpid(loader, os.WNOHANG)[0]:
        note("the loader died", "")
        sys.exit("a data loader was killed")


def save(options: argparse.Namespace, loader: int | None) -> None:
    """Write a little every tenth of a second, as a slow volume would take it; rename what is whole."""
    note("save begins", options.rank)
    end = time.monotonic() + options.save_seconds
    files = [(folder / f"checkpoint{options.rank}.pth").with_suffix(".pth.tmp") for folder in FOLDERS]
    while time.monotonic() < end:
        must_live(loader)
        for file in files:
            with file.open("ab") as stream:
                stream.write(BLOCK)
        time.sleep(0.1)
    for file in files:
        file.touch()
        file.rename(file.with_suffix(""))
    note("save ends", options.rank)


def note(event: str, detail: str) -> None:
    """One event with its time, for the test to read."""
    folder = os.environ.get("OSMO_STANDIN_EVIDENCE")
    if folder:
        line = {"seconds": round(time.time(), 3), "program": "trainer", "event": event, "detail": detail}
        with (Path(folder) / "events").open("a") as stream:
            stream.write(json.dumps(line) + "\n")


def launch(arguments: list[str]) -> int:
    """As torchrun does: workers in sessions of their own; SIGTERM is theirs, and 30 s later SIGKILL."""
    workers = [
        subprocess.Popen([sys.executable, __file__, *arguments, f"--rank={rank}"], start_new_session=True)
        for rank in range(2)
    ]
    signal.signal(signal.SIGTERM, lambda *_: told.append(True))
    while not told and any(worker.poll() is None for worker in workers):
        time.sleep(0.1)
    if not told:
        return max(worker.returncode for worker in workers)
    note("the launcher has SIGTERM", "")
    for worker in workers:
        os.killpg(worker.pid, signal.SIGTERM)
    end = time.monotonic() + float(os.environ.get("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", "30"))
    for worker in workers:
        try:
            worker.wait(max(0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            note("the launcher kills", "")
            os.killpg(worker.pid, signal.SIGKILL)
    return 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["launch"]:
        sys.exit(launch(sys.argv[2:]))
    sys.exit(main())
