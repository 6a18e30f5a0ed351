"""Save on SIGTERM with Hugging Face's Trainer: torchrun --nproc_per_node 2 hugging_face.py FOLDER."""

import signal
import sys
import threading
import time

import torch
import torch.distributed as dist
from transformers import Trainer, TrainerCallback, TrainerControl, TrainingArguments

stopping = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stopping.set())


class SaveOnSigterm(TrainerCallback):
    """Save at the end of the step in which one rank has seen the signal, and end the training."""

    def on_step_end(self, args: TrainingArguments, _state: object, control: TrainerControl, **_: object) -> None:
        """Agree with the other ranks; the Trainer saves and stops when these two are set."""
        flag = torch.tensor(float(stopping.is_set()), device=args.device)
        if dist.is_initialized():
            dist.all_reduce(flag, op=dist.ReduceOp.MAX)
        if flag.item() > 0:
            control.should_save = control.should_training_stop = True


class Model(torch.nn.Module):
    """Your model."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Take a step."""
        time.sleep(0.1)
        return {"loss": self.layer(x).sum()}


arguments = TrainingArguments(sys.argv[1], max_steps=1_000_000, use_cpu=True, ddp_backend="gloo", report_to="none")
samples = [{"x": torch.rand(8)} for _ in range(1000)]
Trainer(Model(), arguments, train_dataset=samples, callbacks=[SaveOnSigterm()]).train()
