"""Save on SIGTERM with DeepSpeed: deepspeed --num_gpus 2 deepspeed_engine.py FOLDER."""

import signal
import sys
import threading
import time

import deepspeed
import torch
import torch.distributed as dist

stopping = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stopping.set())


def all_ranks_stop(device: torch.device) -> bool:
    """Return True on every rank in the same step, as soon as one rank has seen the signal."""
    flag = torch.tensor(float(stopping.is_set()), device=device)
    dist.all_reduce(flag, op=dist.ReduceOp.MAX)
    return flag.item() > 0


model = torch.nn.Linear(8, 8)
config = {"train_micro_batch_size_per_gpu": 4, "zero_optimization": {"stage": 1}, "zero_allow_untested_optimizer": True}
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
engine, *_ = deepspeed.initialize(model=model, optimizer=optimizer, config=config)
for step in range(1_000_000):
    engine.backward(engine(torch.rand(4, 8, device=engine.device)).sum())
    engine.step()
    time.sleep(0.1)
    if all_ranks_stop(engine.device):
        # All ranks call it. The file `latest` names the new checkpoint when all have written their shares.
        engine.save_checkpoint(sys.argv[-1], tag=f"step-{step}")
        break
dist.barrier()  # no rank ends before the checkpoint is whole
time.sleep(1)  # gloo in torch 2.6 can hang for ever in the next line if it follows a collective at once
dist.destroy_process_group()
