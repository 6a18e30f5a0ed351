"""The first half: the real HTTPS server on this machine is asked about pods as an API server would ask."""

import asyncio
import copy
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonpatch
from rich.console import Console
from rich.text import Text

from demo import local_server
from demo.before_and_after import difference
from tools.cluster.settings import ROOT
from webhook import manifests
from webhook.cli import explanation
from webhook.evaluation import HeldPod, NoFacts, evaluate
from webhook.policy.configuration import Config

EXAMPLES = Path("docs/examples")
CASES = (
    ("pod.yaml", "A pod that trains with torchrun and says how big its checkpoint is"),
    ("kubeflow-worker.yaml", "A worker of a Kubeflow PyTorchJob that says nothing of its size"),
    ("unreadable.yaml", "A pod whose size cannot be read: it is created all the same, and its owner is told"),
    ("web.yaml", "A pod of a Deployment"),
)
_PATCHED = 'gracekeeper_decisions_total{mode="enforce",outcome="patched"}'


def show(console: Console) -> None:
    """Ask about every example, then about one whose volume is known."""
    console.rule(Text("1. The webhook on this machine, without a cluster", style="bold"), align="left")
    console.print("Nothing is installed and no cluster is needed; this takes seconds.")
    console.print("Starting `gracekeeper serve` with a certificate of its own ...")
    with local_server.running() as server:
        console.print(
            f"It listens on https://{local_server.NAME}:{server.port}/mutate. Each pod below is sent to it as"
        )
        console.print("an AdmissionReview, as the API server does before it creates a pod.\n")
        for name, title in CASES:
            _ask(console, server, name, title)
        console.print(f"The server's /metrics say: {server.counted(_PATCHED)} pods patched.\n")
    _with_its_volume(console)


def _ask(console: Console, server: local_server.LocalServer, name: str, title: str) -> None:
    pod_in_file = _pod(name)
    pod = _completed(pod_in_file.pod)
    answer = server.ask(pod, pod_in_file.namespace)
    console.print(Text(title, style="bold underline"))
    verdict = f"{len(answer.patch)} changes" if answer.patch else "left as it is"
    console.print(f"  POST /mutate -> allowed, {verdict}, in {answer.seconds * 1000:.1f} ms")
    console.print(difference(pod, jsonpatch.apply_patch(pod, answer.patch)))
    for warning in answer.warnings:
        console.print(Text(f"  kubectl would print: Warning: {warning}", style="yellow"))
    decision = asyncio.run(evaluate(HeldPod(pod), pod_in_file.namespace, Config(), NoFacts(), math.inf))
    title = f"Why (gracekeeper mutate -f {EXAMPLES / name} -o explain)"
    explanation.print_explanation(console, title, decision)


def _with_its_volume(console: Console) -> None:
    """The same pod, and the cluster's answers about its volume from a file."""
    command = ["mutate", "-f", str(EXAMPLES / "pod.yaml"), "--objects", str(EXAMPLES / "objects.yaml"), "-o", "explain"]
    console.print(Text("The first pod again, when its volume is known", style="bold underline"))
    console.print("  In a cluster the claim and its StorageClass are asked for: a gp3 volume takes 125 MiB/s.")
    console.print(f"  $ gracekeeper {' '.join(command)}")
    subprocess.run([sys.executable, "-m", "webhook", *command], cwd=ROOT, check=True)  # noqa: S603  # our own words


def _pod(name: str) -> manifests.PodInFile:
    text = (ROOT / EXAMPLES / name).read_text(encoding="utf-8")
    return manifests.pods_in(manifests.documents(text, name), name, "default")[0]


def _completed(pod: dict[str, Any]) -> dict[str, Any]:
    """With the grace that the API server writes into every pod before it asks a webhook."""
    completed = copy.deepcopy(pod)
    completed["spec"].setdefault("terminationGracePeriodSeconds", 30)
    return completed
