"""All runs that were asked for: side by side, then those that would disturb the others."""

import dataclasses
from collections.abc import Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from e2e.osmo import chores
from e2e.osmo.runs import Live, Run, Stage, Together
from e2e.osmo.scenarios import ROWS, Scenario

Key = tuple[str, str]
"""A row's name and a mode."""
AT_ONCE = 20
"""Pods that the nodes of a small machine run at once."""
QUIET_NODE = {"drain": False, "taint": False, "kubelet": True}
"""Whether it happens on the control plane's node, beside what happens on the worker."""


class Play:
    """Runs by row and mode, each to be waited for."""

    def __init__(self, stage: Stage, wanted: Collection[Key], worker: str, control_plane: str) -> None:
        self._stage, self._worker, self._control_plane = stage, worker, control_plane
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._later = ThreadPoolExecutor(2)
        alone = [key for key in wanted if not ROWS[key[0]].together]
        self._runs: dict[Key, Future[Run]] = {key: self._pool.submit(self._play, key, Together(1)) for key in alone}
        groups: dict[str, list[Key]] = {}
        for key in wanted:
            if ROWS[key[0]].together:
                groups.setdefault(ROWS[key[0]].together, []).append(key)
        self._promised: dict[Key, Future[Run]] = {key: Future() for keys in groups.values() for key in keys}
        self._runs |= self._promised
        before = [self._runs[key] for key in alone]
        for quiet in (True, False):
            chosen = {name: keys for name, keys in groups.items() if QUIET_NODE[name] is quiet}
            self._later.submit(self._play_groups, chosen, before)

    def run(self, key: Key) -> Run:
        """The run, once it is over."""
        return self._runs[key].result()

    def close(self) -> None:
        """Begin nothing more, and wait for what runs."""
        self._pool.shutdown(cancel_futures=True)
        self._later.shutdown(cancel_futures=True)

    def _play_groups(self, groups: Mapping[str, Collection[Key]], before: Collection[Future[Run]]) -> None:
        for future in before:
            future.exception()
        for keys in groups.values():
            together = Together(len(keys))
            with ThreadPoolExecutor(len(keys)) as pool:
                for key in keys:
                    pool.submit(self._keep_promise, key, together)

    def _keep_promise(self, key: Key, together: Together) -> None:
        self._promised[key].set_result(self._play(key, together))

    def _play(self, key: Key, together: Together) -> Run:
        name, mode = key
        scenario = ROWS[name]
        node = None
        if scenario.together:
            node = self._control_plane if QUIET_NODE[scenario.together] else self._worker
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
