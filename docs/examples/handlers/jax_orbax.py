"""Save on SIGTERM with JAX and orbax: python jax_orbax.py FOLDER."""

import sys
import time
from pathlib import Path

import jax
import orbax.checkpoint as ocp

# JAX itself catches SIGTERM from here on. On a TPU or Slurm it finds the three arguments by itself.
jax.distributed.initialize("localhost:29400", num_processes=1, process_id=0)
step_of_training = jax.jit(lambda weights: weights * 0.999)
weights = jax.numpy.ones((8, 8))
with ocp.CheckpointManager(Path(sys.argv[1])) as manager:
    for step in range(1_000_000):
        weights = step_of_training(weights)
        time.sleep(0.1)
        if manager.reached_preemption(step):  # True on every process in the same step
            manager.save(step, args=ocp.args.StandardSave({"weights": weights}), force=True)
            manager.wait_until_finished()  # a save runs in the background
            sys.exit(143)  # no launcher restarts this process: its Job has to
