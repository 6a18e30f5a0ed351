"""Grace against checkpoint size, a line for each throughput."""

import math
from typing import Any

from scripts.pictures import svg
from webhook.policy.configuration import MEBIBYTE, Config, Defaults
from webhook.policy.door import decide, first_look
from webhook.policy.facts import Facts, Namespace
from webhook.policy.pod import KUBERNETES_DEFAULT_GRACE_SECONDS, read_pod
from webhook.policy.prefix import PREFIX

AUTOSCALER_SECONDS = 600
"""cluster-autoscaler's default cap."""
SPEEDS = (
    (100, "one", "100 MiB/s, nothing known"),
    (125, "two", "125 MiB/s, gp3 by default"),
    (500, "three", "500 MiB/s"),
    (2000, "four", "2000 MiB/s, gp3 at most"),
)
SIZES_BYTES = tuple(1e9 * 10 ** (step / 24) for step in range(24 * 3 + 1))


def grace_by_size() -> str:
    """Grace against checkpoint size, a line for each throughput."""
    left, right, top, floor = 76, svg.WIDTH - 40, 56, 396
    shortest, longest, smallest, largest = 25.0, 5000.0, SIZES_BYTES[0], SIZES_BYTES[-1]

    def x(size_bytes: float) -> float:
        return left + (right - left) * math.log(size_bytes / smallest) / math.log(largest / smallest)

    def y(seconds: float) -> float:
        return floor - (floor - top) * math.log(seconds / shortest) / math.log(longest / shortest)

    maximum = Defaults().maximum_grace_seconds
    shapes = [svg.text(left, 30, "Grace by checkpoint size and write throughput", "ink strong")]
    for seconds in (60, 120, 300, 1800):
        shapes += [svg.line(left, y(seconds), right, y(seconds), "grid"), svg.tick(left, y(seconds), seconds)]
    for seconds, label in (
        (KUBERNETES_DEFAULT_GRACE_SECONDS, "Kubernetes' default"),
        (AUTOSCALER_SECONDS, "cluster-autoscaler's default cap"),
        (maximum, "gracekeeper's default maximum"),
    ):
        shapes += [svg.line(left, y(seconds), right, y(seconds), "cap"), svg.tick(left, y(seconds), seconds)]
        shapes.append(svg.text(left + 8, y(seconds) - 6, f"{label}: {seconds} s", "soft"))
    for size_bytes, label in ((1e9, "1 GB"), (1e10, "10 GB"), (1e11, "100 GB"), (1e12, "1 TB")):
        shapes += [
            svg.line(x(size_bytes), floor, x(size_bytes), floor + 5, "grid"),
            svg.text(x(size_bytes), floor + 22, label, "soft", "middle"),
        ]
    shapes.append(f'<rect class="blank" x="{right - 250}" y="{floor - 98}" width="250" height="82"/>')
    for place, (mibps, colour, label) in enumerate(SPEEDS):
        points = [(x(size), y(_grace_seconds(size, mibps))) for size in SIZES_BYTES]
        shapes.append(svg.curve(points, colour))
        shapes += svg.legend(right - 240, floor - 80 + 19 * place, colour, label)
    return svg.drawn(436, "Termination grace by checkpoint size, for four write throughputs", shapes)


def _grace_seconds(size_bytes: float, mibps: float) -> int:
    annotations = {
        PREFIX + "checkpoint-size": f"{size_bytes:.0f}",
        PREFIX + "write-throughput": f"{mibps * MEBIBYTE:.0f}B/s",
    }
    pod: dict[str, Any] = {"metadata": {"annotations": annotations}, "spec": {"containers": [{"name": "trainer"}]}}
    look = first_look(read_pod(pod), Namespace("default"), Config())
    return decide(look, Facts()).grace_seconds or 0
