"""The scenarios: what each pod runs, and what is done to it. What must come of it is said by the tests."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from e2e.osmo import chores
from e2e.osmo.pods import Variation
from e2e.osmo.runs import BEFORE, CONTAINER, NATIVE, Live

BOTH = (NATIVE, CONTAINER)
ALL = (BEFORE, NATIVE, CONTAINER)
OVER_SECONDS = 150
NO_SUCH_IMAGE = "registry.invalid/gracekeeper/none:1"

SHORT_GRACE_SECONDS = 40
"""Half of it, 20 s, is the trainer's share: no size is known."""
LONG_UPLOAD_SECONDS = 25
"""Of each of two outputs: longer than a grace of 30 s."""
CRASH_SAVE_SECONDS = 5
PRE_STOP_SECONDS = 12
DOWNLOAD_SECONDS = 60


ATTACK = """
for file in bin/supervise bin/new hold/result hold/stopping hold/lock hold/new; do
  if (echo success > /gracekeeper/$file) 2>/dev/null; then touch /osmo/data/output/WROTE-$(basename $file); fi
  if rm -f /gracekeeper/$file 2>/dev/null && [ ! -e /gracekeeper/bin/supervise ]; then touch /osmo/data/output/REMOVED; fi
done
mkfifo /gracekeeper/task/stopping; ln -s /etc/passwd /gracekeeper/task/interrupted; kill -9 1
"""
"""What user code, as root, tries on gracekeeper's folder and on PID 1 before it trains; what it manages is uploaded."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One row, or a part of one; its pods are of one task of the examples."""

    drive: Callable[[Live], None]
    change: Variation = field(default_factory=Variation)
    modes: Sequence[str] = BOTH
    task: str = "train"
    as_job: bool = False
    """By a Job that has it as its template."""
    timed: bool = False
    """Its seconds are few and count: not beside the others, who keep a small machine busy."""
    together: str = ""
    """Not beside the others: what is done, to all pods of this name at once, would end or disturb them."""

    def variation(self, mode: str) -> Variation:
        """The change, for a pod of this mode."""
        slot = f"{self.change.slot}-{mode}" if self.change.slot else None
        return dataclasses.replace(self.change, slot=slot)


def trainer(*options: str, save_seconds: float = 5) -> str:
    """The command of a trainer."""
    return " ".join(["python3 -u /trainer.py", f"--save-seconds={save_seconds:g}", *options])


def task(command: str = "", *, upload_seconds: float = 2, **variation: object) -> Variation:
    """A task whose two outputs take so long each to upload."""
    ctrl = {"UPLOAD_SECONDS": upload_seconds, **_mapping(variation.pop("ctrl", {}))}
    user = {"UPLOAD_SECONDS": 1, **_mapping(variation.pop("user", {}))}
    given = Variation(command=command or trainer(), ctrl=ctrl, user=user)
    return dataclasses.replace(given, **variation)  # type: ignore[arg-type]


def _mapping(value: object) -> Mapping[str, object]:
    assert isinstance(value, Mapping)
    return value


def ends(live: Live) -> None:
    """The task ends by itself."""
    live.until_over(OVER_SECONDS)


def deleted_when(event: str, *, after_seconds: float = 1) -> Callable[[Live], None]:
    """`kubectl delete` a moment after something has happened."""

    def drive(live: Live) -> None:
        live.until(event)
        time.sleep(after_seconds)
        live.delete()
        live.until_over(OVER_SECONDS)

    return drive


def deleted_as_osmo_does(live: Live) -> None:
    """The finalizer first: the object is gone when the pod is."""
    live.until("training")
    live.delete_as_osmo_does()
    live.until_over(OVER_SECONDS)


def deleted_while_waiting(*reasons: str) -> Callable[[Live], None]:
    """`kubectl delete` while the user's container cannot start."""

    def drive(live: Live) -> None:
        live.until_state(live.run.user, lambda state: state.get("waiting", {}).get("reason") in reasons, f"{reasons}")
        live.delete()
        live.until_over(OVER_SECONDS)

    return drive


def ordered(order: str, when: str, *, deleted_first: bool = False) -> Callable[[Live], None]:
    """Something is done to osmo-ctrl, `kill` from the node or an order to the stand-in, when something has happened."""

    def drive(live: Live) -> None:
        if deleted_first:
            live.until("training")
            live.delete()
        live.until(when)
        time.sleep(1)
        if order == "kill":
            live.kill_ctrl()
        else:
            live.order(order)
        live.until_over(OVER_SECONDS)

    return drive


def evicted(live: Live) -> None:
    """By the eviction API."""
    live.until("training")
    live.evict()
    live.until_over(OVER_SECONDS)


ROWS: dict[str, Scenario] = {
    **{
        f"ends-by-itself-{number}": Scenario(
            ends, task(trainer("--train-seconds=3", "--save-at-end"), upload_seconds=10), ALL, timed=True
        )
        for number in (1, 2, 3)
    },
    "attacks-its-pod": Scenario(ends, task(f"{ATTACK}\n{trainer('--train-seconds=3', '--save-at-end')}")),
    "uploads-longer-than-the-grace": Scenario(
        ends,
        task(
            trainer("--train-seconds=3", "--save-at-end"),
            upload_seconds=LONG_UPLOAD_SECONDS,
            user={"GRACEKEEPER_GRACE_SECONDS": 30},
        ),
    ),
    "deleted-in-training": Scenario(deleted_when("training"), task(trainer(save_seconds=10), upload_seconds=10), ALL),
    "deleted-as-osmo-does": Scenario(deleted_as_osmo_does, task()),
    "deleted-in-upload": Scenario(
        deleted_when("upload begins", after_seconds=3),
        task(trainer("--train-seconds=3", "--save-at-end"), upload_seconds=5),
        ALL,
    ),
    "deleted-in-checkpoint-upload": Scenario(
        deleted_when("checkpoint upload begins", after_seconds=0),
        task(user={"UPLOAD_SECONDS": 5}, checkpoint_seconds=4),
    ),
    "deleted-in-download": Scenario(
        deleted_when("download begins", after_seconds=2),
        task(ctrl={"DOWNLOAD_SECONDS": DOWNLOAD_SECONDS}),
        ALL,
        timed=True,
    ),
    "image-cannot-be-pulled": Scenario(
        deleted_while_waiting("ErrImagePull", "ImagePullBackOff"), task(user_image=NO_SUCH_IMAGE), ALL, timed=True
    ),
    "container-cannot-start": Scenario(
        deleted_while_waiting("CreateContainerConfigError"), task(missing_secret="none"), ALL, timed=True
    ),
    "piped-to-tee": Scenario(
        deleted_when("training"), task(words=("sh", "-c", f"{trainer()} | tee /osmo/data/output/log")), ALL
    ),
    "output-to-a-file": Scenario(
        deleted_when("training"), task(words=("sh", "-c", f"{trainer()} > /osmo/data/output/log; exit $?"))
    ),
    "exit-trap": Scenario(deleted_when("training"), task(f"trap 'echo over' EXIT\n{trainer()}\necho ended")),
    "launcher": Scenario(
        deleted_when("training", after_seconds=3), task("python3 -u /trainer.py launch --save-seconds=5")
    ),
    "data-loader": Scenario(deleted_when("training"), task(trainer("--loader")), task="master"),
    "pre-stop": Scenario(deleted_when("training"), task(pre_stop={"sleep": {"seconds": PRE_STOP_SECONDS}})),
    "ignores-sigterm": Scenario(
        deleted_when("training"),
        task(trainer("--on-sigterm=ignore"), user={"GRACEKEEPER_GRACE_SECONDS": SHORT_GRACE_SECONDS}),
    ),
    "uploader-fails": Scenario(ends, task(trainer("--train-seconds=2"), ctrl={"UPLOAD_EXIT": 1}), ALL),
    "user-command-fails": Scenario(ends, task(trainer("--train-seconds=2", "--save-at-end", "--exit=3")), ALL),
    "access-check-fails": Scenario(ends, task(ctrl={"ACCESS": "denied"}), ALL),
    "ctrl-crashes-no-handler": Scenario(ordered("crash", "training"), task(trainer("--on-sigterm=default"))),
    "ctrl-crashes-handler": Scenario(
        ordered("crash", "training"), task(trainer("--quiet", save_seconds=CRASH_SAVE_SECONDS))
    ),
    **{
        f"{name}-{when}": Scenario(
            ordered(order, event, deleted_first=when == "being-deleted"),
            task(trainer(*options, save_seconds=CRASH_SAVE_SECONDS), upload_seconds=10),
            ALL if when == "uploading" else BOTH,
        )
        for name, order in (("ctrl-killed", "kill"), ("ctrl-out-of-memory", "hog"))
        for when, event, options in (
            ("running", "training", ["--on-sigterm=default"]),
            ("uploading", "upload begins", ["--train-seconds=3", "--save-at-end"]),
            ("being-deleted", "save begins", []),
        )
    },
    "service-never-answers": Scenario(
        deleted_when("upload ends", after_seconds=3),
        task(trainer("--train-seconds=3", "--save-at-end"), ctrl={"SERVICE": "never"}),
    ),
    "long-log-backlog": Scenario(ends, task(trainer("--train-seconds=2"), ctrl={"BACKLOG_LINES": 120}), ALL),
    "evicted": Scenario(evicted, task()),
    "preempted": Scenario(chores.preempted, task(slot=chores.SLOT)),
    "suspended-job": Scenario(chores.suspended, task(), as_job=True),
    "rescheduled": Scenario(chores.rescheduled, task(trainer(save_seconds=10), upload_seconds=10)),
    "drained": Scenario(chores.drained, task(), together="drain"),
    "tainted": Scenario(chores.tainted, task(), together="taint"),
    "kubelet-restarted-in-save": Scenario(
        chores.kubelet_restarted("save begins"), task(trainer(save_seconds=10)), together="kubelet"
    ),
    "kubelet-restarted-in-upload": Scenario(
        chores.kubelet_restarted("upload begins"), task(upload_seconds=5), together="kubelet"
    ),
}
