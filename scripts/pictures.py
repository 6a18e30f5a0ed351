"""Draws the pictures of the documentation from what the policy decides, so that no number in them is made up.

Law: every number comes from a Decision, or from a run that the e2e tests recorded; a picture is text on shapes, readable
on light and on dark.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from webhook import manifests
from webhook.policy.config import MEBIBYTE, Config, Defaults
from webhook.policy.decision import Decision, decide
from webhook.policy.facts import Facts
from webhook.policy.prefix import PREFIX

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "pictures"
EXAMPLES = ROOT / "docs" / "examples"
RECORDED = EXAMPLES / "osmo-timeline.json"
"""What e2e/test_osmo.py wrote to build/: when each container and each phase of two real pods ended."""
KUBERNETES_DEFAULT_SECONDS = 30
AUTOSCALER_SECONDS = 600
WIDTH = 860
LIGHT = {"paper": "#ffffff", "ink": "#1f2328", "soft": "#59636e", "grid": "#d1d9e0", "kill": "#c4232b", "safe": "#1a7f37",
         "step": "#b6c9e0", "write": "#2f6fbb", "reserve": "#dbe7f5", "margin": "#eef3f9", "on-write": "#ffffff",
         "one": "#8a3ffc", "two": "#c2410c", "three": "#0e7490", "four": "#2f6fbb"}  # fmt: skip
DARK = {"paper": "#0d1117", "ink": "#e6edf3", "soft": "#9da7b1", "grid": "#30363d", "kill": "#ff7b72", "safe": "#56d364",
        "step": "#3d5475", "write": "#79b0f0", "reserve": "#22324a", "margin": "#1a2332", "on-write": "#0d1117",
        "one": "#be95ff", "two": "#ffa657", "three": "#39c5cf", "four": "#79b0f0"}  # fmt: skip
ON_DARK = "@media (prefers-color-scheme: dark)"


def main() -> int:
    """Draw every picture, or with --check only say whether they are up to date."""
    parser = argparse.ArgumentParser(description="Draw docs/pictures from what the policy decides.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a picture is not up to date")
    check = parser.parse_args().check
    old = [name for name, text in pictures() if not _is_there(FOLDER / name, text)]
    if check and old:
        sys.exit(f"not up to date: {', '.join(old)}: run python -m scripts.pictures")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pictures():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


def pictures() -> Iterator[tuple[str, str]]:
    """Each picture's file name and SVG."""
    yield "shutdown.svg", shutdown(example())
    yield "grace.svg", grace_by_size()
    yield "osmo.svg", osmo_shutdowns(json.loads(RECORDED.read_text(encoding="utf-8")))
    yield "storage.svg", grace_by_storage()


def example() -> Decision:
    """What becomes of docs/examples/pod.yaml on the volume of objects.yaml."""
    objects = manifests.documents((EXAMPLES / "objects.yaml").read_text(encoding="utf-8"), "objects.yaml")
    pods = manifests.documents((EXAMPLES / "pod.yaml").read_text(encoding="utf-8"), "pod.yaml")
    pod = manifests.pods_in(pods, "pod.yaml", "default")[0]
    return decide(pod.pod, manifests.facts_for(pod, objects), Config(), pod.namespace)


def shutdown(decision: Decision) -> str:
    """From SIGTERM to SIGKILL: the default grace, and the decision's."""
    values = {term.name: term.value for term in decision.terms}
    step, write, safety, margin = (_number(values[name]) for name in ("step", "write", "safety", "margin"))
    grace, saved = float(decision.grace_seconds or 0), step + write
    left, right, floor = 36, WIDTH - 36, 262

    def x(seconds: float) -> float:
        return left + seconds * (right - left) / (grace + 6)

    default = KUBERNETES_DEFAULT_SECONDS
    speed, size = values["write-throughput"], values["checkpoint"]
    shapes = [
        _text(left, 30, f"A {size} checkpoint on a volume that takes {speed}", "ink strong"),
        _text(left, 66, f"Kubernetes' default: {default} s", "ink"),
        _bar(x(0), x(min(step, default)), 76, "step", "step"),
        _bar(x(default), x(default + write), 76, "lost", f"write {write:.0f} s: never begun"),
        _mark(x(default), 70, "kill", "SIGKILL: no checkpoint is left"),
        _text(left, 162, f"With gracekeeper: {grace:.0f} s", "ink"),
        _bar(x(0), x(step), 172, "step", f"step {step:.0f} s"),
        _bar(x(step), x(saved), 172, "write", f"write {write:.0f} s"),
        _bar(x(saved), x(saved * safety), 172, "reserve", f"reserve: all of it x {safety:g}"),
        _bar(x(saved * safety), x(grace), 172, "margin", f"{margin:.0f} s"),
        _mark(x(saved), 166, "safe", f"saved after {saved:.0f} s"),
        _mark(x(grace), 166, "kill", "SIGKILL would come", "end"),
        *_axis_of_seconds(x, grace, floor),
        _text(
            left,
            floor + 48,
            "seconds after SIGTERM; step: the longest time until the training loop looks at it",
            "soft",
        ),
    ]
    return _svg(330, "From SIGTERM to SIGKILL, with and without gracekeeper", shapes)


def _axis_of_seconds(x: Callable[[float], float], grace: float, y: float) -> Iterator[str]:
    yield _line(x(0), y, x(grace), y, "grid")
    for seconds in range(0, int(grace) + 1, 30):
        yield _line(x(seconds), y - 4, x(seconds), y, "grid")
        yield _text(x(seconds), y + 18, str(seconds), "soft", "middle")


SPEEDS = (
    (100, "one", "100 MiB/s, nothing known"),
    (125, "two", "125 MiB/s, gp3 by default"),
    (500, "three", "500 MiB/s"),
    (2000, "four", "2000 MiB/s, gp3 at most"),
)
SIZES_BYTES = tuple(1e9 * 10 ** (step / 24) for step in range(24 * 3 + 1))


def grace_by_size() -> str:
    """Grace against checkpoint size, a line for each throughput."""
    left, right, top, floor = 76, WIDTH - 40, 56, 396
    shortest, longest, smallest, largest = 25.0, 5000.0, SIZES_BYTES[0], SIZES_BYTES[-1]

    def x(size_bytes: float) -> float:
        return left + (right - left) * math.log(size_bytes / smallest) / math.log(largest / smallest)

    def y(seconds: float) -> float:
        return floor - (floor - top) * math.log(seconds / shortest) / math.log(longest / shortest)

    maximum = Defaults().maximum_grace_seconds
    shapes = [_text(left, 30, "Grace by checkpoint size and write throughput", "ink strong")]
    for seconds in (60, 120, 300, 1800):
        shapes += [_line(left, y(seconds), right, y(seconds), "grid"), _tick(left, y(seconds), seconds)]
    for seconds, said in (
        (KUBERNETES_DEFAULT_SECONDS, "Kubernetes' default"),
        (AUTOSCALER_SECONDS, "cluster-autoscaler's default cap"),
        (maximum, "gracekeeper's default maximum"),
    ):
        shapes += [_line(left, y(seconds), right, y(seconds), "cap"), _tick(left, y(seconds), seconds)]
        shapes.append(_text(left + 8, y(seconds) - 6, f"{said}: {seconds} s", "soft"))
    for size_bytes, said in ((1e9, "1 GB"), (1e10, "10 GB"), (1e11, "100 GB"), (1e12, "1 TB")):
        shapes += [
            _line(x(size_bytes), floor, x(size_bytes), floor + 5, "grid"),
            _text(x(size_bytes), floor + 22, said, "soft", "middle"),
        ]
    shapes.append(f'<rect class="blank" x="{right - 250}" y="{floor - 98}" width="250" height="82"/>')
    for place, (mibps, colour, said) in enumerate(SPEEDS):
        points = [(x(size), y(_grace_seconds(size, mibps))) for size in SIZES_BYTES]
        shapes.append(_path(points, colour))
        shapes += _legend(right - 240, floor - 80 + 19 * place, colour, said)
    return _svg(436, "Termination grace by checkpoint size, for four write throughputs", shapes)


def _grace_seconds(size_bytes: float, mibps: float) -> int:
    annotations = {
        PREFIX + "checkpoint-size": f"{size_bytes:.0f}",
        PREFIX + "write-throughput": f"{mibps * MEBIBYTE:.0f}B/s",
    }
    pod: dict[str, Any] = {"metadata": {"annotations": annotations}, "spec": {"containers": [{"name": "trainer"}]}}
    return decide(pod, Facts(), Config(), "default").grace_seconds or 0


LANES = ("the user's", "osmo-ctrl", "gate")
LANE_OF_CONTAINER = {"osmo-ctrl": 1, "gracekeeper-gate": 2}
"""Any other container is the user's."""
LANE_OF_PHASE = {"save": 0, "checkpoint upload": 0, "output upload": 1, "log backlog": 1}
COLOUR_OF_PHASE = {"save": "step", "checkpoint upload": "write", "output upload": "write", "log backlog": "margin"}


def osmo_shutdowns(recorded: Mapping[str, Any]) -> str:
    """A task of OSMO that is deleted while it trains, without and with gracekeeper, as two real pods went."""
    before, after = recorded["before"], recorded["after"]
    left, right = 150, WIDTH - 40
    longest: float = max(before["seconds"], after["seconds"]) * 1.04

    def x(seconds: float) -> float:
        return left + seconds * (right - left) / longest

    said = {True: "saved and uploaded", False: "nothing saved, nothing uploaded"}
    shapes = [_text(36, 30, "A task of OSMO is deleted while it trains", "ink strong")]
    y = 66.0
    for title, run in (("As OSMO is", before), ("With gracekeeper", after)):
        outcome = said[run["saved"] and run["uploaded"]]
        shapes.append(_text(36, y, f"{title}: over after {run['seconds']:.0f} s, {outcome}", "ink"))
        shapes += _lanes(run, x, y + 12)
        y += 12 + 34 * len(run["containers"]) + 34
    shapes += [_line(x(0), y - 12, x(longest), y - 12, "grid")]
    for seconds in range(0, int(longest) + 1, 5):
        shapes += [
            _line(x(seconds), y - 16, x(seconds), y - 12, "grid"),
            _text(x(seconds), y + 6, str(seconds), "soft", "middle"),
        ]
    shapes.append(_text(left, y + 32, "seconds after the deletion; recorded on a kind cluster, with stand-ins", "soft"))
    return _svg(int(y) + 52, "The shutdown of a task of OSMO, without and with gracekeeper", shapes)


def _lanes(run: Mapping[str, Any], x: Callable[[float], float], top: float) -> Iterator[str]:
    ends = {}
    for container in run["containers"]:
        lane = LANE_OF_CONTAINER.get(container["container"], 0)
        y, ends[lane] = top + 34 * lane, container["ended"]
        yield _text(36, y + 19, LANES[lane], "soft")
        yield _lane(x(0), x(ends[lane]), y, "reserve")
        if not run["saved"]:
            yield _text(x(ends[lane]) + 8, y + 19, f"ends with {container['exit_code']}", "kill")
    for phase in run["phases"]:
        lane, kind, name = LANE_OF_PHASE[phase["phase"]], COLOUR_OF_PHASE[phase["phase"]], phase["phase"]
        begin, end = x(phase["begins"]), x(min(phase["ends"], ends[lane]))
        yield _lane(begin, end, top + 34 * lane, kind)
        if end - begin > 8 * len(name):
            on = "on-write" if kind == "write" else "ink"
            yield _text((begin + end) / 2, top + 34 * lane + 19, name, on, "middle")


def _lane(x1: float, x2: float, y: float, kind: str) -> str:
    return f'<rect class="{kind}-bar" x="{x1:.1f}" y="{y:.1f}" width="{x2 - x1:.1f}" height="28"/>'


STORAGE: tuple[tuple[str, str, str, str, Mapping[str, str]], ...] = (
    ("NFS, Ceph, nothing said", "four", "nfs.csi.k8s.io", "1Ti", {}),
    ("EBS gp3", "two", "ebs.csi.aws.com", "1Ti", {"type": "gp3"}),
    ("FSx Lustre 1.2 TiB, 125/TiB", "one", "fsx.csi.aws.com", "1200Gi",
     {"deploymentType": "PERSISTENT_2", "perUnitStorageThroughput": "125"}),
    ("Azure P30", "three", "disk.csi.azure.com", "1Ti", {"skuName": "Premium_LRS"}),
    ("PD balanced, 1 TiB", "four", "pd.csi.storage.gke.io", "1Ti", {"type": "pd-balanced"}),
    ("EFS elastic, annotated", "one", "efs.csi.aws.com", "1Ti", {PREFIX + "write-throughput": "1GiB/s"}),
    ("EBS gp3 at most", "two", "ebs.csi.aws.com", "1Ti", {"throughput": "2000", "iops": "8000"}),
    ("Google Lustre, 9000 GiB", "three", "lustre.csi.storage.gke.io", "9000Gi", {"perUnitStorageThroughput": "1000"}),
)  # fmt: skip
"""Name, colour, provisioner, size of the claim, parameters of the StorageClass; with the prefix: an annotation. Slowest first."""
SIZES_ON_STORAGE_BYTES = tuple(1e9 * 200 ** (step / 60) for step in range(61))


def grace_by_storage() -> str:
    """Grace against checkpoint size, a line for each kind of storage as it is commonly made."""
    left, right, top, floor = 76, WIDTH - 310, 56, 416
    shortest, longest, smallest, largest = 25.0, 5000.0, SIZES_ON_STORAGE_BYTES[0], SIZES_ON_STORAGE_BYTES[-1]

    def x(size_bytes: float) -> float:
        return left + (right - left) * math.log(size_bytes / smallest) / math.log(largest / smallest)

    def y(seconds: float) -> float:
        return floor - (floor - top) * math.log(seconds / shortest) / math.log(longest / shortest)

    shapes = [_text(left, 30, "Grace by checkpoint size and storage, found in the cluster's own objects", "ink strong")]
    for seconds in (60, 120, 300, 1200):
        shapes += [_line(left, y(seconds), right, y(seconds), "grid"), _tick(left, y(seconds), seconds)]
    for seconds, said in (
        (KUBERNETES_DEFAULT_SECONDS, "Kubernetes' default"),
        (AUTOSCALER_SECONDS, "cluster-autoscaler's default cap"),
        (Defaults().maximum_grace_seconds, "gracekeeper's default maximum"),
    ):
        shapes += [_line(left, y(seconds), right, y(seconds), "cap"), _tick(left, y(seconds), seconds)]
        shapes.append(_text(left + 8, y(seconds) - 6, f"{said}: {seconds} s", "soft"))
    for size_bytes, said in ((1e9, "1 GB"), (1e10, "10 GB"), (1e11, "100 GB"), (2e11, "200 GB")):
        shapes.append(_line(x(size_bytes), floor, x(size_bytes), floor + 5, "grid"))
        shapes.append(_text(x(size_bytes), floor + 22, said, "soft", "middle"))
    beside = top - 30.0
    for name, colour, provisioner, request, parameters in STORAGE:
        decisions = [_on_storage(size, provisioner, request, parameters) for size in SIZES_ON_STORAGE_BYTES]
        graces = [decision.grace_seconds or 0 for decision in decisions]
        points = list(zip(map(x, SIZES_ON_STORAGE_BYTES), map(y, graces), strict=True))
        speed = next(term.value for term in decisions[-1].terms if term.name == "write-throughput")
        beside = max(beside + 20, y(graces[-1]))
        shapes.append(_path(points, colour))
        shapes.append(_line(right + 3, points[-1][1], right + 16, beside, "grid"))
        shapes.append(_text(right + 20, beside + 5, f"{name}: {speed}", "ink"))
    return _svg(456, "Termination grace by checkpoint size, for common kinds of storage", shapes)


def _on_storage(size_bytes: float, provisioner: str, request: str, parameters: Mapping[str, str]) -> Decision:
    said = {key: text for key, text in parameters.items() if key.startswith(PREFIX)}
    facts = Facts(
        claims={"c": {"spec": {"storageClassName": "s", "resources": {"requests": {"storage": request}}}}},
        storage_classes={
            "s": {
                "metadata": {"name": "s", "annotations": said},
                "provisioner": provisioner,
                "parameters": {key: text for key, text in parameters.items() if key not in said},
            }
        },
    )
    pod: dict[str, Any] = {
        "metadata": {"annotations": {PREFIX + "checkpoint-size": f"{size_bytes:.0f}"}},
        "spec": {
            "containers": [{"name": "trainer"}],
            "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}],
        },
    }
    return decide(pod, facts, Config(), "default")


def _number(text: str) -> float:
    """The number in `70.19 s` or `x 2`."""
    return float(next(word for word in text.split() if word[0].isdigit()))


def _text(x: float, y: float, said: str, kind: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(said)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}-line" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _bar(x1: float, x2: float, y: float, kind: str, said: str) -> str:
    on = {"write": "on-write", "lost": "kill"}.get(kind, "ink")
    shape = f'<rect class="{kind}-bar" x="{x1:.1f}" y="{y}" width="{x2 - x1:.1f}" height="40"/>'
    return shape + _text((x1 + x2) / 2, y + 25, said, on, "middle")


def _mark(x: float, y: float, kind: str, said: str, anchor: str = "start") -> str:
    beside = 6 if anchor == "start" else -6
    return _line(x, y, x, y + 60, kind) + _text(x + beside, y + 62, said, f"{kind} strong", anchor)


def _tick(left: float, y: float, seconds: int) -> str:
    return _text(left - 8, y + 4, f"{seconds} s", "soft", "end")


def _path(points: Sequence[tuple[float, float]], colour: str) -> str:
    return f'<polyline class="{colour}-curve" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'


def _legend(x: float, y: float, colour: str, said: str) -> list[str]:
    return [_path([(x, y - 4), (x + 26, y - 4)], colour), _text(x + 34, y, said, "ink")]


def _svg(height: int, title: str, shapes: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label="{escape(title)}">\n<title>{escape(title)}</title>\n<style>\n{_style()}</style>\n'
    )
    paper = f'<rect class="paper" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>'
    return head + "\n".join([paper, *shapes]) + "\n</svg>\n"


def _style() -> str:
    shape = (
        "text { font: 14px system-ui, 'DejaVu Sans', sans-serif; } text.strong { font-weight: 600; }\n"
        "line { stroke-width: 1; } .kill-line, .safe-line { stroke-width: 2; } .cap-line { stroke-dasharray: 5 4; }\n"
        "polyline { fill: none; stroke-width: 2.5; } .lost-bar { fill: none; stroke-dasharray: 5 4; }\n"
    )
    return f"{shape}{_colours(LIGHT)}{ON_DARK} {{\n{_colours(DARK)}}}\n"


def _colours(of: Mapping[str, str]) -> str:
    rules = [f".paper {{ fill: {of['paper']}; stroke: {of['grid']}; }}", f".blank {{ fill: {of['paper']}; }}"]
    rules += [f"text.{name} {{ fill: {of[name]}; }}" for name in ("ink", "soft", "kill", "safe", "on-write")]
    rules += [f".{name}-bar {{ fill: {of[name]}; }}" for name in ("step", "write", "reserve", "margin")]
    rules += [f".{name}-line {{ stroke: {of[name]}; }}" for name in ("grid", "kill", "safe")]
    rules += [f".{name}-curve {{ stroke: {of[name]}; }}" for name in ("one", "two", "three", "four")]
    rules += [f".lost-bar {{ stroke: {of['kill']}; }}", f".cap-line {{ stroke: {of['soft']}; }}"]
    return "".join(f"{rule}\n" for rule in rules)


def _is_there(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
