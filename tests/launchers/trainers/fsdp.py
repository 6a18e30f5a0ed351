"""A trainer whose model FSDP shards over its ranks: they agree on the signal, and each writes its shard of the checkpoint.

Each step gathers the parameters and spreads the gradients over gloo. A rank has saved if the whole checkpoint, read back
with the other ranks, has the parameters that were trained. fully_shard needs an accelerator in torch 2.6.
"""

from typing import Any

import collective
import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from rank import Rank, options
from torch.distributed.checkpoint.state_dict import get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel


def sharded_model() -> torch.nn.Module:
    """Return a model of which each rank holds a part."""
    model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 8))
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    return FullyShardedDataParallel(model, device_mesh=mesh, device_id=torch.device("cpu"))


def is_as_saved(trained: dict[str, Any]) -> bool:
    """Say whether the checkpoint has this rank's shards of the parameters."""
    read = get_model_state_dict(sharded_model())
    dcp.load(read, checkpoint_id=collective.CHECKPOINT)
    pairs = [(trained[name].to_local(), read[name].to_local()) for name in trained]
    return all(torch.equal(one, other) for one, other in pairs)


def main() -> None:
    """Train until one of the ranks has seen the signal, then save together, meet, and end."""
    dist.init_process_group("gloo")
    rank = Rank(options())
    model = sharded_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def take_step() -> None:
        model(torch.rand(4, 64)).sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    take_step()
    collective.train(rank, take_step)
    state = get_model_state_dict(model)
    collective.save(rank, state)
    if is_as_saved(state):
        rank.write("saved")
    collective.end(rank)


if __name__ == "__main__":
    main()
