"""Save on SIGTERM with Lightning: torchrun --nproc_per_node 2 lightning_callback.py CHECKPOINT."""

import signal
import sys
import threading
import time

import torch
from lightning.pytorch import Callback, LightningModule, Trainer


class SaveOnSigterm(Callback):
    """Save at the end of the step in which one rank has seen the signal, and end the training."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.stopping = threading.Event()

    def on_train_start(self, *_: object) -> None:
        """Replace Lightning's own handler, which talks to the other ranks in the middle of a step."""
        signal.signal(signal.SIGTERM, lambda *_: self.stopping.set())

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        """Agree with the other ranks, and save together."""
        if trainer.strategy.reduce_boolean_decision(self.stopping.is_set(), all=False):
            trainer.save_checkpoint(self.path)
            trainer.should_stop = True


class Model(LightningModule):
    """Your model."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(8, 8)

    def training_step(self, batch: torch.Tensor) -> torch.Tensor:
        """Take a step."""
        time.sleep(0.1)
        return self.layer(batch).sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimizer."""
        return torch.optim.SGD(self.parameters(), lr=0.01)


trainer = Trainer(accelerator="cpu", devices=2, max_epochs=-1, callbacks=[SaveOnSigterm(sys.argv[1])], logger=False)
trainer.fit(Model(), torch.utils.data.DataLoader(torch.rand(1000, 8)))
