"""All runs that were asked for: side by side, then those that would disturb the others."""

import dataclasses
import threading
from collections.abc import Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from e2e.osmo import chores
from e2e.osmo.runs import Live, Run, Stage, Together
from e2e.osmo.scenarios import ROWS, Scenario

Key = tuple[str, str]
"""A row's name and a mode."""
AT_ONCE = 14
"""Pods that the nodes of a small machine run at once: they mostly wait, and are created one after the other."""
ON_CONTROL_PLANE = {"drain": False, "taint": False, "kubelet": True}
"""Whether it happens on the control plane's node, beside what happens on the worker."""


class Play:
    """Runs by row and mode, each to be waited for.

    First those whose seconds count, by themselves; then the others, side by side; then those that would disturb.
    """

    def __init__(self, stage: Stage, wanted: Collection[Key], worker: str, control_plane: str) -> None:
        self._stage, self._worker, self._control_plane = stage, worker, control_plane
        self._runs: dict[Key, Future[Run]] = {key: Future() for key in wanted}
        self._ends = False
        self._thread = threading.Thread(target=self._play_all, args=(list(wanted),), daemon=True)
        self._thread.start()

    def run(self, key: Key) -> Run:
        """The run, once it is over."""
        return self._runs[key].result()

    def close(self) -> None:
        """Begin nothing more, and wait for what runs."""
        self._ends = True
        self._thread.join()

    def figures(self) -> dict[str, object]:
        """Of every run that was played, by its name."""
        played = [future.result() for future in self._runs.values() if future.done() and not future.exception()]
        return {run.name: run.figures() for run in played if run.versions}

    def _play_all(self, wanted: Sequence[Key]) -> None:
        timed = [key for key in wanted if ROWS[key[0]].timed]
        alone = [key for key in wanted if not ROWS[key[0]].timed and not ROWS[key[0]].together]
        for keys in (timed, alone):
            with ThreadPoolExecutor(AT_ONCE) as pool:
                for key in keys:
                    pool.submit(self._play, key, Together(1))
        with ThreadPoolExecutor(2) as pool:
            for quiet in (True, False):
                names = [name for name, on_control_plane in ON_CONTROL_PLANE.items() if on_control_plane is quiet]
                pool.submit(self._play_groups, names, wanted)

    def _play_groups(self, names: Collection[str], wanted: Sequence[Key]) -> None:
        for name in names:
            keys = [key for key in wanted if ROWS[key[0]].together == name]
            together = Together(max(1, len(keys)))
            with ThreadPoolExecutor(max(1, len(keys))) as pool:
                for key in keys:
                    pool.submit(self._play, key, together)

    def _play(self, key: Key, together: Together) -> None:
        try:
            self._runs[key].set_result(self._played(key, together))
        except BaseException as error:  # noqa: BLE001  # whoever asks for the run gets it
            self._runs[key].set_exception(error)

    def _played(self, key: Key, together: Together) -> Run:
        if self._ends:
            raise RuntimeError("the session ends")
        name, mode = key
        scenario = ROWS[name]
        node = None
        if scenario.together:
            node = self._control_plane if ON_CONTROL_PLANE[scenario.together] else self._worker
        change = dataclasses.replace(scenario.variation(mode), node=node)
        return play(self._stage, f"{name}-{mode}", mode, dataclasses.replace(scenario, change=change), together)


def play(stage: Stage, name: str, mode: str, scenario: Scenario, together: Together | None = None) -> Run:
    """One run from beginning to end; what went wrong is kept in it."""
    run = Run(name, mode, stage.namespace)
    stage.follow(run)
    manifest = stage.manifest(name, mode, scenario.task, scenario.change)
    live = Live(stage, run, chores.job(manifest) if scenario.as_job else manifest, together or Together(1))
    try:
        live.create()
        scenario.drive(live)
    except BaseException as error:  # noqa: BLE001  # the test that asks for this run shall tell
        run.failure = error
        live.together.leave()
    try:
        live.gather()
    finally:
        live.end()
    return run
