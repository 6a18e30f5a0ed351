"""Pods that end in every way that the observer tells apart, as `python -m scripts.record_terminations` records them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tools.kube import Json

SCENARIO_LABEL = "example.com/scenario"
_WAITS = "while True:\n  time.sleep(0.1)\n"


def saves_for(seconds: float, then: str = "os._exit(0)") -> str:
    """Return a program that saves for so long when it is told to stop, and then ends in a certain way."""
    return (
        "import os, signal, time\n"
        f"def save(*_):\n  time.sleep({seconds:g})\n  {then}\n"
        f"signal.signal(signal.SIGTERM, save)\n{_WAITS}"
    )


IGNORES = f"import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{_WAITS}"
NO_HANDLER = f"import time\n{_WAITS}"
KILLS_ITSELF = "os.kill(os.getpid(), signal.SIGKILL)"
RUNS_OUT_OF_MEMORY = "bytearray(512 * 2**20)"
FILLS_ITS_DISK = f"import time\nopen('/tmp/full', 'wb').write(bytes(64 * 2**20))\n{_WAITS}"
FAILS_SOON = "import time\ntime.sleep(12)\nraise SystemExit(1)"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One way to end: the pod, and what is done to it."""

    name: str
    meaning: str
    program: str
    grace_seconds: int = 30
    delete: tuple[str, ...] | None = ()
    """Options of `kubectl delete pod`; None: nobody deletes it."""
    delete_again: tuple[str, ...] | None = None
    """Options of a second delete, 3 s after the first."""
    evict: bool = False
    """Whether the Eviction API is used, as by `kubectl drain`."""
    as_soon_as_it_runs: bool = False
    shared_processes: bool = False
    """Whether the program is not PID 1, so that a signal without handler ends it."""
    memory: str = "256Mi"
    disk: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    pre_stop_seconds: int = 0
    beside: str = ""
    """The program of a second container."""
    in_a_job: bool = False
    peer: str = ""
    """The program of the Job's other pod."""
    restarts_kubelet: bool = False
    loses_its_node: bool = False


_TORCH = {"MASTER_ADDR": "trainer-0", "WORLD_SIZE": "2"}
_NOW = ("--grace-period=0", "--force")

SCENARIOS = (
    Scenario("stopped", "saves for 8 s and ends with 0", saves_for(8)),
    Scenario("stopped-143", "saves for 6 s and ends with 143", saves_for(6, "os._exit(143)")),
    Scenario("stopped-fast", "ends with 0 at once", saves_for(0)),
    Scenario("cut", "saves for 60 s, and has 10", saves_for(60), grace_seconds=10),
    Scenario("ignores", "ignores SIGTERM", IGNORES, grace_seconds=10),
    Scenario("no-handler", "SIGTERM ends it at once", NO_HANDLER, shared_processes=True),
    Scenario("no-handler-pre-stop", "as before, 6 s later", NO_HANDLER, shared_processes=True, pre_stop_seconds=6),
    Scenario(
        "second-clock",
        "ends with 1 after 30 s, as torchrun does that killed its workers",
        saves_for(30, "os._exit(1)"),
        grace_seconds=60,
        variables=_TORCH,
    ),
    Scenario("failed-while-saving", "ends with 1 after 7 s", saves_for(7, "os._exit(1)")),
    Scenario("killed-early", "somebody kills it after 4 s", saves_for(4, KILLS_ITSELF), shared_processes=True),
    Scenario("oom", "its save takes more memory than it may", saves_for(3, RUNS_OUT_OF_MEMORY), memory="48Mi"),
    Scenario("evicted-by-its-disk", "writes more than its limit", FILLS_ITS_DISK, delete=None, disk="16Mi"),
    Scenario("evicted-by-the-api", "saves for 8 s", saves_for(8), evict=True),
    Scenario("force-deleted", "goes at once, and saves all the same", saves_for(8), delete=_NOW),
    Scenario("overridden", "has 40 s, and gets 5", saves_for(20), grace_seconds=40, delete=("--grace-period=5",)),
    Scenario(
        "deleted-again",
        "has 40 s, and a second delete says 5",
        saves_for(15),
        grace_seconds=40,
        delete_again=("--grace-period=5",),
    ),
    Scenario("too-young", "is deleted as soon as it runs", saves_for(4), as_soon_as_it_runs=True),
    Scenario("uploads-beside", "saves for 5 s beside one that takes 14", saves_for(5), beside=saves_for(14)),
    Scenario("in-a-job", "the Job's finalizer holds its object", saves_for(6), in_a_job=True),
    Scenario(
        "gang-broken",
        "a peer fails, then the other is deleted",
        saves_for(6),
        in_a_job=True,
        peer=FAILS_SOON,
        delete=None,
    ),
    Scenario(
        "kubelet-restarted", "saves for 20 s while its kubelet restarts", saves_for(20), 60, restarts_kubelet=True
    ),
    Scenario("node-lost", "its kubelet is gone, then its node", saves_for(8), delete=None, loses_its_node=True),
)


def pod_of(scenario: Scenario, image: str, node: str) -> Json:
    """Return the scenario's pod, for a node that may be out of order."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": scenario.name, "labels": {SCENARIO_LABEL: scenario.name}},
        "spec": {
            "nodeSelector": {"kubernetes.io/hostname": node},
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": scenario.grace_seconds,
            "shareProcessNamespace": scenario.shared_processes,
            "tolerations": _tolerations(scenario),
            "automountServiceAccountToken": False,
            "containers": [
                _container("trainer", image, scenario.program, scenario),
                *([_container("beside", image, scenario.beside, scenario)] if scenario.beside else []),
            ],
        },
    }


def job_of(scenario: Scenario, image: str, node: str) -> Json:
    """Return a Job of the scenario's pod, and of its peer's program where there is one."""
    pod = pod_of(scenario, image, node)
    if scenario.peer:
        choose = "import os\nPEER = os.environ['JOB_COMPLETION_INDEX'] == '1'\n"
        program = f"{choose}exec({scenario.peer!r} if PEER else {scenario.program!r})"
        pod["spec"]["containers"][0]["command"] = _command(program)
    pods = 2 if scenario.peer else 1
    template = {"metadata": {"labels": pod["metadata"]["labels"]}, "spec": pod["spec"]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": scenario.name, "labels": pod["metadata"]["labels"]},
        "spec": {
            "parallelism": pods,
            "completions": pods,
            "completionMode": "Indexed",
            "backoffLimit": 0,
            "template": template,
        },
    }


def _container(name: str, image: str, program: str, scenario: Scenario) -> Json:
    limits = {"memory": scenario.memory, **({"ephemeral-storage": scenario.disk} if scenario.disk else {})}
    container: Json = {
        "name": name,
        "image": image,
        "imagePullPolicy": "Never",
        "command": _command(program),
        "env": [{"name": key, "value": value} for key, value in scenario.variables.items()],
        "resources": {"limits": limits},
    }
    if scenario.pre_stop_seconds:
        container["lifecycle"] = {"preStop": {"sleep": {"seconds": scenario.pre_stop_seconds}}}
    return container


def _command(program: str) -> list[str]:
    return ["python3", "-u", "-c", program]


def _tolerations(scenario: Scenario) -> list[Json]:
    """Return for how long the pod stays on a node whose kubelet is gone: not at all where that is the scenario."""
    seconds = 0 if scenario.loses_its_node else 3600
    return [
        {
            "key": f"node.kubernetes.io/{taint}",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": seconds,
        }
        for taint in ("unreachable", "not-ready")
    ]
