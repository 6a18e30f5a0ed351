"""A trainer with torch's DataLoader and two workers: when it is told, it saves and ends.

torch watches the workers: when one is killed, it raises in the trainer's main thread, in the middle of a save, too.
"""

import time

import torch
from rank import Rank, options
from torch.utils.data import DataLoader, Dataset


class Endless(Dataset):
    """As many samples as anybody wants."""

    def __len__(self) -> int:
        """More than a test reads."""
        return 1_000_000

    def __getitem__(self, index: int) -> torch.Tensor:
        """A sample that takes a moment."""
        time.sleep(0.05)
        return torch.tensor([float(index)])


def main() -> None:
    """Train until the signal comes, then save, and end."""
    rank = Rank(options())
    for number, _batch in enumerate(DataLoader(Endless(), num_workers=2, multiprocessing_context=rank.options.loader)):
        if number == 0:
            rank.write("trains")
        if rank.must_stop():
            rank.save()
            break
    rank.end(rank.options.code)


if __name__ == "__main__":
    main()
