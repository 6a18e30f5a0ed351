"""Save on SIGTERM in plain PyTorch: torchrun --nproc_per_node 2 pytorch.py CHECKPOINT."""

import os
import signal
import sys
import time

import torch
import torch.distributed as dist

stopping = False


def stop(number, frame):
    """Only note the signal: a handler may run in the middle of a step."""
    global stopping
    stopping = True


def all_ranks_stop():
    """Return True on every rank in the same step, as soon as one rank has seen the signal."""
    flag = torch.tensor(float(stopping))
    dist.all_reduce(flag, op=dist.ReduceOp.MAX)
    return flag.item() > 0


def save(model, step, path):
    """Write beside the old checkpoint and rename, so that a cut never leaves half a file."""
    if dist.get_rank() == 0:
        torch.save({"model": model.state_dict(), "step": step}, f"{path}.unfinished")
        os.rename(f"{path}.unfinished", path)
    dist.barrier()  # no rank ends before the checkpoint is whole


signal.signal(signal.SIGTERM, stop)
dist.init_process_group("gloo")  # "nccl" on GPUs; the flag is then a tensor on the GPU
model = torch.nn.Linear(8, 8)
for step in range(1_000_000):
    model(torch.rand(4, 8)).sum().backward()
    time.sleep(0.1)
    if all_ranks_stop():
        save(model, step, sys.argv[1])
        break
dist.destroy_process_group()
