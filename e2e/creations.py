"""Pods that are created all the time while something else happens, each with the moment at which it was asked for."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from e2e import pods
from tools.kube import Json, Kube, eventually

POD = pods.a_pod(annotations={"checkpoint-size": "9.2GB"})
PER_SECOND = 10.0


@dataclass
class Creations:
    """Pods created one after the other, with the moment at which each was asked for."""

    kube: Kube
    namespace: str
    made: list[tuple[float, Json]] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    def run(self, stop: threading.Event) -> None:
        """Create pods until told to stop; what fails is kept."""
        while not stop.wait(1 / PER_SECOND):
            began = time.monotonic()
            try:
                self.made.append((began, self.kube.create_pod(self.namespace, POD)))
            except Exception as error:  # noqa: BLE001  # asserted on in the test's own thread
                self.failures.append(error)

    def unpatched_at(self) -> list[float]:
        """The moments at which pods were asked for that got no patch."""
        return [began for began, pod in self.made if not pods.is_patched(pod)]


@contextmanager
def pods_are_created(kube: Kube, namespace: str) -> Iterator[Creations]:
    """Ten a second for as long as the block runs, and not one is refused."""
    creations, stop = Creations(kube, namespace), threading.Event()
    thread = threading.Thread(target=creations.run, args=(stop,))
    thread.start()
    try:
        eventually(lambda: len(creations.made) > PER_SECOND, "pods are created")
        yield creations
        time.sleep(3)
    finally:
        stop.set()
        thread.join()
    assert creations.failures == []
    print(f"{len(creations.made)} pods created, {len(creations.unpatched_at())} unpatched")  # for reliability.md
