"""Save on SIGTERM in plain PyTorch: torchrun --nproc_per_node 2 pytorch.py CHECKPOINT."""

import signal
import sys
import threading
import time
from pathlib import Path

import torch
import torch.distributed as dist

stopping = threading.Event()
# Only note the signal: a handler may run in the middle of a step.
signal.signal(signal.SIGTERM, lambda *_: stopping.set())


def all_ranks_stop() -> bool:
    """Return True on every rank in the same step, as soon as one rank has seen the signal."""
    flag = torch.tensor(float(stopping.is_set()))
    dist.all_reduce(flag, op=dist.ReduceOp.MAX)
    return flag.item() > 0


def save(model: torch.nn.Module, step: int, path: Path) -> None:
    """Write beside the old checkpoint and rename, so that a cut never leaves half a file."""
    if dist.get_rank() == 0:
        unfinished = path.with_suffix(".unfinished")
        torch.save({"model": model.state_dict(), "step": step}, unfinished)
        unfinished.rename(path)
    dist.barrier()  # no rank ends before the checkpoint is whole


dist.init_process_group("gloo")  # "nccl" on GPUs; the flag is then a tensor on the GPU
model = torch.nn.Linear(8, 8)
for step in range(1_000_000):
    model(torch.rand(4, 8)).sum().backward()
    time.sleep(0.1)
    if all_ranks_stop():
        save(model, step, Path(sys.argv[1]))
        break
time.sleep(1)  # gloo in torch 2.6 can hang for ever in the next line if it follows a collective at once
dist.destroy_process_group()
