"""Making a cluster's nodes with kind, and waiting until pods can run on them.

Law: it ends with a ready cluster, or with none and the reason.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path

from tools.cluster import config, nodes, pod_network, record
from tools.cluster.settings import Settings
from tools.cluster.steps import StepError, attempt, run, say, step
from tools.cluster.world import World

_KIND_SECONDS = 600
_READY = "180s"
_ACCOUNT_SECONDS = 30
_REPROBE_SECONDS = 0.3
_REASON_LINES = 12
_ADVICE = "Known causes: a full disk, less than 4 GiB of free memory, a firewall between Docker's networks."
_NO_INOTIFY = (
    "The nodes say 'too many open files': fs.inotify.max_user_instances is too low for all that runs here. "
    "Remove another cluster, or raise it: sysctl fs.inotify.max_user_instances=512"
)
_WORKLOADS = 'jsonpath={range .items[*]}{.metadata.namespace}/{.kind}/{.metadata.name}{"\\n"}{end}'


def create(settings: Settings, where: World, kind: Path, kubectl: Path, image: str) -> None:
    """A cluster of this image, ready."""
    client: list[str | Path] = [kubectl, f"--kubeconfig={settings.kubeconfig}"]
    settings.kubeconfig.parent.mkdir(parents=True, exist_ok=True)
    try:
        with step(f"Creating cluster {settings.cluster}", "25 s"):
            _make_nodes(settings, where, kind, image)
        with step("Waiting for its nodes and system pods", "10 s"):
            if where is World.OFFLINE:
                pod_network.connect(client, nodes.of(settings.cluster))
            _wait_until_ready(client)
    except StepError as error:
        log = _logged(settings, client, str(error))
        remove(settings)
        raise StepError(
            f"cluster {settings.cluster} did not become ready: {error}\n{advice(log.read_text())}\nMore in {log}"
        ) from error
    except BaseException:
        say(f"  Removing what there is of cluster {settings.cluster} ...")
        remove(settings)
        raise


def remove(settings: Settings) -> None:
    """The cluster's nodes, network and files."""
    record.file(settings).unlink(missing_ok=True)
    nodes.remove(settings.cluster)
    for suffix in ("", ".lock"):
        settings.kubeconfig.with_name(f"{settings.kubeconfig.name}{suffix}").unlink(missing_ok=True)


def log_file(settings: Settings) -> Path:
    """What is known of the last creation that failed."""
    return settings.kubeconfig.with_name(f"cluster-{settings.cluster}.log")


def kind_environment(settings: Settings) -> dict[str, str]:
    """Docker, and a network of the cluster's own, which can be removed with it."""
    own = {"KIND_EXPERIMENTAL_PROVIDER": "docker", "KIND_EXPERIMENTAL_DOCKER_NETWORK": settings.cluster}
    return {**os.environ, **own, "KUBECONFIG": str(settings.kubeconfig)}


def reason(output: str) -> str:
    """The lines of kind's output that say why, without its progress and the stack that it prints."""
    lines = output.strip().splitlines()
    begin = next((number for number, line in enumerate(lines) if line.startswith("ERROR")), 0)
    end = next((number for number, line in enumerate(lines) if line.startswith("Stack Trace")), len(lines))
    error_lines = lines[begin:end]
    if len(error_lines) > _REASON_LINES:
        error_lines = [error_lines[0], "...", *error_lines[2 - _REASON_LINES :]]
    return "\n".join(error_lines)


def advice(log: str) -> str:
    """What to do, as far as the log tells."""
    return _NO_INOTIFY if "too many open files" in log.lower() else _ADVICE


def _make_nodes(settings: Settings, where: World, kind: Path, image: str) -> None:
    """With --retain kind leaves the nodes where it fails, so that they can be asked why."""
    command: list[str | Path] = [
        kind,
        "create",
        "cluster",
        "--retain",
        f"--name={settings.cluster}",
        f"--image={image}",
    ]
    command += ["--config=-", f"--kubeconfig={settings.kubeconfig}"]
    environment = kind_environment(settings)
    done = attempt(
        command,
        text=config.kind_config(where, settings.feature_gates),
        environment=environment,
        timeout_seconds=_KIND_SECONDS,
    )
    if done.returncode:
        log_file(settings).write_text(done.stdout + done.stderr)
        raise StepError(f"kind says\n{reason(done.stderr)}")


def _wait_until_ready(kubectl: Sequence[str | Path]) -> None:
    run([*kubectl, "wait", "--for=condition=Ready", "nodes", "--all", f"--timeout={_READY}"])
    for workload in run([*kubectl, "get", "daemonsets,deployments", "-A", "-o", _WORKLOADS]).split():
        namespace, kind, name = workload.split("/")
        run([*kubectl, "-n", namespace, "rollout", "status", f"{kind}/{name}", f"--timeout={_READY}"])
    run([*kubectl, "-n", "kube-system", "wait", "--for=condition=Ready", "pods", "--all", f"--timeout={_READY}"])
    deadline = time.monotonic() + _ACCOUNT_SECONDS
    while attempt([*kubectl, "-n", "default", "get", "serviceaccount", "default"]).returncode:
        if time.monotonic() > deadline:
            raise StepError("the namespace default has no ServiceAccount: the controller manager does not work")
        time.sleep(_REPROBE_SECONDS)


def _logged(settings: Settings, kubectl: Sequence[str | Path], failure: str) -> Path:
    """The file with what kind, the nodes and the API server say of the failure."""
    questions: list[list[str | Path]] = [[*kubectl, "get", "nodes,pods", "-A", "-o", "wide"]]
    for node in nodes.of(settings.cluster):
        questions.append(["docker", "logs", "--tail=40", node.name])
        questions += [
            ["docker", "exec", node.name, "journalctl", "-n60", "-u", unit] for unit in ("containerd", "kubelet")
        ]
    with log_file(settings).open("a") as log:
        log.write(f"\n{failure}\n")
        for question in questions:
            answer = attempt(question, timeout_seconds=20)
            log.write(f"\n$ {' '.join(map(str, question))}\n{answer.stdout}{answer.stderr}")
    return log_file(settings)
