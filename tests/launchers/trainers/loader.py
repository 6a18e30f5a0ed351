"""A trainer with torch's DataLoader and two workers: when it is told, it saves and ends.

It goes on reading batches while it saves, as an asynchronous save does. A worker that dies makes the next batch raise.
"""

import threading
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
    """Train until the signal comes, then save while the workers go on."""
    rank = Rank(options())
    saving = threading.Thread(target=rank.save)
    loader = DataLoader(Endless(), num_workers=2, multiprocessing_context=rank.options.loader, prefetch_factor=2)
    for number, _batch in enumerate(loader):
        if number == 0:
            rank.write("trains")
        if rank.must_stop() and not saving.ident:
            saving.start()
        if saving.ident and not saving.is_alive():
            break
    rank.end(rank.options.code)


if __name__ == "__main__":
    main()
