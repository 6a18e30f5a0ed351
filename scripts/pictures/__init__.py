"""Draws the pictures of the documentation from what the policy decides, so that no number in them is made up.

Law: every number comes from a Decision, or from a run that the e2e tests recorded.
"""

import asyncio
import json
import math
from collections.abc import Iterator
from pathlib import Path

from scripts.pictures.by_size import grace_by_size
from scripts.pictures.by_storage import grace_by_storage
from scripts.pictures.learning import learning
from scripts.pictures.osmo import osmo_shutdowns
from scripts.pictures.shutdown import shutdown
from webhook import manifests
from webhook.evaluation import HeldPod, evaluate
from webhook.manifests.file_facts import FileFacts
from webhook.policy.configuration import Config
from webhook.policy.decision import Decision

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "pictures"
EXAMPLES = ROOT / "docs" / "examples"
RECORDED = EXAMPLES / "osmo-timeline.json"
"""What e2e/test_osmo.py wrote to build/: when each container and each phase of two real pods ended."""

RECORDED_RUNS = EXAMPLES / "learning-runs.json"
"""What e2e/test_learning.py wrote to build/: graces and stops of its rows, run after run."""


def pictures() -> Iterator[tuple[str, str]]:
    """Each picture's file name and SVG."""
    yield "shutdown.svg", shutdown(example())
    yield "grace.svg", grace_by_size()
    yield "learning.svg", learning(RECORDED_RUNS)
    yield "osmo.svg", osmo_shutdowns(json.loads(RECORDED.read_text(encoding="utf-8")))
    yield "storage.svg", grace_by_storage()


def example() -> Decision:
    """What becomes of docs/examples/pod.yaml on the volume of objects.yaml."""
    objects = manifests.documents((EXAMPLES / "objects.yaml").read_text(encoding="utf-8"), "objects.yaml")
    pods = manifests.documents((EXAMPLES / "pod.yaml").read_text(encoding="utf-8"), "pod.yaml")
    pod = manifests.pods_in(pods, "pod.yaml", "default")[0]
    return asyncio.run(evaluate(HeldPod(pod.pod), pod.namespace, Config(), FileFacts(pod, objects), math.inf))
