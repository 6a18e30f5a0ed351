"""Writes the table of docs/learning.md: how many training pods get a grace at once, and how many once their workload has run.

    python -m tests.learning_share                                  # the repository's own pods, and what was stored of others
    python -m tests.learning_share --public OWNER/NAME@COMMIT=DIR   # reads the YAML files of a folder and stores the counts

Law: every number comes from decisions of the policy. A run's end is played: the trainer needs 100 s after SIGTERM.
"""

import argparse
import copy
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests import golden, test_workload_names
from tools.cluster.settings import ROOT
from webhook import manifests
from webhook.policy.configuration import Config, Observer
from webhook.policy.decision import Decision
from webhook.policy.door import decide, first_look
from webhook.policy.facts import Facts, Namespace
from webhook.policy.observed.memory import Memory, remembering
from webhook.policy.observed.termination import Termination, TerminationClass
from webhook.policy.pod import read_pod
from webhook.policy.prefix import ENABLED_LABEL

PAGE = ROOT / "docs" / "learning.md"
STORED = ROOT / "docs" / "examples" / "learning-share.json"
BEGIN, END = "<!-- share: written by python -m tests.learning_share -->", "<!-- share: end -->"
SAVE_SECONDS = 100
RUNS = 3
_DAY_SECONDS = 24 * 3600
_CONFIG = Config(observer=Observer(enabled=True))
_NAMESPACE = Namespace("n")
_OPTED_IN = Namespace("n", {"metadata": {"name": "n", "labels": {ENABLED_LABEL: "true"}}})
"""Pods of a pair have no mark of a training system. In such a Namespace each pod trains; that is no sign that it saves."""
_HEADER = (
    "| pods | recognised | a longer grace at once | in 0.1.0 | the save fits in run 1 | run 2 | run 3 |",
    "|---|---|---|---|---|---|---|",
)
Pod = dict[str, Any]
Renderings = tuple[Pod, Pod]
"""A pod, and the pod of the next run of its workload."""


@dataclass(frozen=True, slots=True)
class Share:
    """Of how many recognised pods something holds."""

    recognised: int
    longer_at_once: int
    longer_in_0_1_0: int
    fits: tuple[int, int, int]
    """Whose grace is as long as the save takes, by run."""

    def __add__(self, other: "Share") -> "Share":
        """Return the counts of both."""
        return Share(
            self.recognised + other.recognised,
            self.longer_at_once + other.longer_at_once,
            self.longer_in_0_1_0 + other.longer_in_0_1_0,
            (self.fits[0] + other.fits[0], self.fits[1] + other.fits[1], self.fits[2] + other.fits[2]),
        )

    def row(self, name: str) -> str:
        """Return a line of the table."""
        counts = (self.longer_at_once, self.longer_in_0_1_0, *self.fits)
        cells = (f"{count} ({count / max(1, self.recognised):.0%})" for count in counts)
        return f"| {name} | {self.recognised} | {' | '.join(cells)} |"


NOTHING = Share(0, 0, 0, (0, 0, 0))


def share_of(pairs: Sequence[Renderings], namespace: Namespace = _NAMESPACE) -> Share:
    """Return the counts of these pods."""
    return sum((_share_of_one(pair, namespace) for pair in pairs), NOTHING)


def _share_of_one(pair: Renderings, namespace: Namespace) -> Share:
    if not first_look(read_pod(pair[0]), namespace, _CONFIG).recognition.trains:
        return NOTHING
    first, *graces = _graces(pair, namespace)
    former = _decided(pair[0], namespace, _CONFIG.as_in_0_1_0(), Memory())
    own = read_pod(pair[0]).grace_seconds
    fits = [int(grace >= SAVE_SECONDS) for grace in (first, *graces)]
    return Share(1, int(first > own), int((former.grace_seconds or 0) > own), (fits[0], fits[1], fits[2]))


def _graces(pair: Renderings, namespace: Namespace) -> list[int]:
    """Return the grace of each run, with its end as the observer would remember it."""
    memory, graces = Memory(), list[int]()
    for run in range(RUNS):
        manifest = pair[run % 2]
        decision = _decided(manifest, namespace, _CONFIG, memory)
        grace = decision.grace_seconds or read_pod(manifest).grace_seconds
        graces.append(grace)
        kind = TerminationClass.STOPPED if grace >= SAVE_SECONDS else TerminationClass.CUT
        end = Termination(kind, min(SAVE_SECONDS, grace), grace, began=(run + 1) * _DAY_SECONDS)
        for name in {label for label in decision.labels.values() if label is not None}:
            memory = remembering(memory, (namespace.name, name), end)
    return graces


def _decided(manifest: Pod, namespace: Namespace, config: Config, memory: Memory) -> Decision:
    look = first_look(read_pod(manifest), namespace, config)
    exact, coarse = look.lookups.workload_names or ("", "")
    runs = memory.samples_of(namespace.name, exact), memory.samples_of(namespace.name, coarse)
    return decide(look, Facts(exact_runs=runs[0], coarse_runs=runs[1]))


def own_pairs() -> list[Renderings]:
    """Return the pairs of tests/test_workload_names.py: one workload each, rendered twice."""
    pairs = test_workload_names
    helm = (pairs.rendered(), pairs.rendered(**pairs.NEXT_RUN))
    files = ("rc6-group-as-webhook-sees.yaml", "rc6-single-train-as-webhook-sees.yaml")
    osmo = [(pairs.example_of_osmo(file, "7", "a"), pairs.example_of_osmo(file, "112", "b")) for file in files]
    return [helm, *pairs.SAME_MODEL.values(), *osmo]


def own_cases() -> list[Renderings]:
    """Return the pods of tests/cases on which nobody states anything, each with the pod of its next run."""
    cases = [golden.load(name) for name in golden.names()]
    looks = ((case.pod, first_look(read_pod(case.pod), _NAMESPACE, _CONFIG).statements) for case in cases)
    return [(pod, _renamed(pod)) for pod, statements in looks if not statements.wants_something]


def pods_of_files(folder: Path) -> Iterator[Renderings]:
    """Yield the pods of all YAML files of a folder, each with that of the same file under other names."""
    for file in sorted([*folder.rglob("*.yaml"), *folder.rglob("*.yml")]):
        try:
            documents, _ = manifests.documents_and_refusals(file.read_text(encoding="utf-8"), file.name)
            readings = [manifests.reading_of(each, file.name, "n", ()) for each in (documents, _all_renamed(documents))]
        except (manifests.BadManifestError, UnicodeDecodeError, OSError):
            continue
        one, other = ([each.pod for each in reading.pods] for reading in readings)
        if len(one) != len(other):  # an object of the file names another one
            other = [_renamed(pod) for pod in one]
        yield from zip(one, other, strict=True)


def _all_renamed(documents: Any) -> Any:
    return [_renamed(each) if isinstance(each, Mapping) else each for each in documents]


def _renamed(manifest: Mapping[str, Any]) -> Pod:
    """Return an object as somebody creates it again, under another name."""
    again = copy.deepcopy(dict(manifest))
    metadata = again.get("metadata")
    if isinstance(metadata, dict) and isinstance(metadata.get("name"), str):
        metadata["name"] += "-x7f2k"
    return again


def page(text: str) -> str:
    """Return the page with the table of this moment."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} has no table between {BEGIN} and {END}")
    return "\n".join([f"{before}{BEGIN}", *_HEADER, *_rows(), f"{END}{after}"])


def _rows() -> Iterator[str]:
    stored = json.loads(STORED.read_text(encoding="utf-8")) if STORED.exists() else {}
    shares = {name: Share(**{**each["share"], "fits": tuple(each["share"]["fits"])}) for name, each in stored.items()}
    if shares:
        days = sorted({each["day"] for each in stored.values()})
        yield sum(shares.values(), NOTHING).row(
            f"YAML files of {len(shares)} public repositories, read {' and '.join(days)}"
        )
    yield share_of(own_pairs(), _OPTED_IN).row("pairs of `tests/test_workload_names.py`")
    yield share_of(own_cases()).row("`tests/cases` in which nobody states anything")


def main() -> int:
    """Store the counts of public folders, if there are any, and write the table."""
    parser = argparse.ArgumentParser(description="Count which training pods get a grace, at once and later.")
    parser.add_argument("--public", action="append", default=[], metavar="OWNER/NAME@COMMIT=DIR")
    stored = json.loads(STORED.read_text(encoding="utf-8")) if STORED.exists() else {}
    for name, _, folder in (each.partition("=") for each in parser.parse_args().public):
        share = share_of(list(pods_of_files(Path(folder))))
        stored[name] = {"day": datetime.now(UTC).date().isoformat(), "share": asdict(share)}
    STORED.write_text(json.dumps(dict(sorted(stored.items())), indent=2) + "\n", encoding="utf-8")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
