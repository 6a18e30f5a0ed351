"""A trainer with Ray: an actor trains, and either the actor saves when its own process gets the signal, or the driver does.

The driver saves through the actor, as a training with Ray has to: the actor holds the model.
"""

import argparse
import time

import ray
from rank import Rank, options


@ray.remote
class Actor:
    """A process of Ray's that trains."""

    def train(self, arguments: argparse.Namespace) -> None:
        """Train until this process gets the signal, then save."""
        rank = Rank(arguments)
        rank.write("trains")
        while not rank.must_stop():
            time.sleep(0.1)
        rank.save()
        rank.write("ends-0")

    def take_step(self) -> None:
        """Take a step."""
        time.sleep(0.1)

    def shard(self, seconds: float) -> int:
        """Return this actor's part of the checkpoint, after a while."""
        time.sleep(seconds)
        return 1


def save_by_driver(actor: "ray.actor.ActorHandle") -> None:
    """Train until the driver gets the signal, then save what the actor holds."""
    rank = Rank(options())  # its handler replaces Ray's
    rank.write("trains")
    while not rank.must_stop():
        ray.get(actor.take_step.remote())
    rank.write("saves")
    if ray.get(actor.shard.remote(rank.options.save)):
        rank.write("saved")
    rank.end(0)


def connect(*, cluster: bool) -> None:
    """Join the cluster of this container as soon as it is there, or begin one."""
    while cluster:
        try:
            ray.init(address="auto", log_to_driver=False)
        except (ConnectionError, RuntimeError):
            time.sleep(0.5)
        else:
            return
    ray.init(num_cpus=2, include_dashboard=False, _node_ip_address="127.0.0.1", object_store_memory=80_000_000)


def main() -> None:
    """Train until the signal comes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--by", choices=["actor", "driver"], default="actor", help="who has the handler")
    parser.add_argument("--cluster", action="store_true", help="join what ray start has begun")
    own = parser.parse_known_args()[0]
    connect(cluster=own.cluster)
    actor = Actor.remote()
    if own.by == "driver":
        save_by_driver(actor)
    ray.get(actor.train.remote(options()))


if __name__ == "__main__":
    main()
