"""A trainer whose ranks agree on the signal by all_reduce and save together, with torch.distributed.checkpoint over gloo.

With `--step 3` the first rank waits in a collective nearly all the time, and is told there.
"""

import time
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from rank import ROW, Rank, options

CHECKPOINT = ROW / "checkpoint"
LET_GO_SECONDS = 1.0
"""gloo's threads still let go of the last collective, for which they need Python's lock. In torch 2.6 destroy_process_group
holds that lock and waits for them, for ever: seen within 50 process groups in 2 of 2 runs, and
not in 150 with 0.2 s between."""


class SlowWriter(dcp.FileSystemWriter):
    """A file system that takes its time."""

    def __init__(self, rank: Rank) -> None:
        super().__init__(CHECKPOINT)
        self._rank = rank

    def write_data(self, *arguments: Any) -> Any:
        """Write this rank's share, as slowly as the options say."""
        time.sleep(self._rank.options.save)
        return super().write_data(*arguments)


def train(rank: Rank, take_step: Callable[[], None]) -> None:
    """Train until one of the ranks has seen the signal: all return after the same step."""
    rank.write("trains")
    while True:
        time.sleep(rank.options.step if rank.number else 0.1)
        take_step()
        agreed = torch.tensor([float(rank.must_stop())])
        dist.all_reduce(agreed, op=dist.ReduceOp.MAX)
        if agreed.item():
            return


def save(rank: Rank, state: dict[str, Any]) -> None:
    """Save this state together with the other ranks."""
    rank.write("saves")
    dcp.save(state, storage_writer=SlowWriter(rank))


def end(rank: Rank) -> None:
    """Meet the other ranks, and end."""
    dist.barrier()
    time.sleep(LET_GO_SECONDS)
    dist.destroy_process_group()  # gloo may abort a process that ends without
    rank.end(rank.options.code)


def main() -> None:
    """Train until one of the ranks has seen the signal, then save together, meet, and end."""
    dist.init_process_group("gloo")
    rank = Rank(options())
    model = torch.nn.Linear(64, 64)
    train(rank, lambda: None)
    save(rank, model.state_dict())
    if (CHECKPOINT / ".metadata").exists():
        rank.write("saved")
    end(rank)


if __name__ == "__main__":
    main()
