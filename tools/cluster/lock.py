"""One run at a time on one cluster; builds that several clusters share wait for each other."""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.cluster.steps import StepError, say


@contextmanager
def held(cache: Path, cluster: str) -> Iterator[None]:
    """Holds the cluster, or says who does."""
    path = cache / f"lock-{cluster}"
    cache.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise StepError(
                f"cluster {cluster} is in use by {file.read().strip() or 'another run'}; "
                "wait for it to end, or choose another name with GRACEKEEPER_CLUSTER"
            ) from error
        file.truncate(0)
        file.write(f"process {os.getpid()} ({' '.join(sys.argv)[:200]})\n")
        file.flush()
        yield


@contextmanager
def turn(cache: Path, name: str) -> Iterator[None]:
    """Waits until nobody else builds `name` in this cache."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"lock-build-{name}").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"  another run builds {name} in {cache}; waiting for it ...")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
