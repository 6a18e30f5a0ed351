"""The shutdown of a task of OSMO, as a run that the e2e tests recorded went."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from scripts.pictures import svg

LANES = ("the user's", "osmo-ctrl", "gate")
LANE_OF_CONTAINER = {"osmo-ctrl": 1, "gracekeeper-gate": 2}
"""Any other container is the user's."""
LANE_OF_PHASE = {"save": 0, "checkpoint upload": 0, "output upload": 1, "log backlog": 1}
COLOUR_OF_PHASE = {"save": "step", "checkpoint upload": "write", "output upload": "write", "log backlog": "margin"}


def osmo_shutdowns(recorded: Mapping[str, Any]) -> str:
    """A task of OSMO that is deleted while it trains, without and with gracekeeper, as two real pods went."""
    before, after = recorded["before"], recorded["after"]
    left, right = 150, svg.WIDTH - 40
    longest: float = max(before["seconds"], after["seconds"]) * 1.04

    def x(seconds: float) -> float:
        return left + seconds * (right - left) / longest

    labels = {True: "saved and uploaded", False: "nothing saved, nothing uploaded"}
    shapes = [svg.text(36, 30, "A task of OSMO is deleted while it trains", "ink strong")]
    y = 66.0
    for title, run in (("As OSMO is", before), ("With gracekeeper", after)):
        outcome = labels[run["saved"] and run["uploaded"]]
        shapes.append(svg.text(36, y, f"{title}: over after {run['seconds']:.0f} s, {outcome}", "ink"))
        shapes += _lanes(run, x, y + 12)
        y += 12 + 34 * len(run["containers"]) + 34
    shapes += [svg.line(x(0), y - 12, x(longest), y - 12, "grid")]
    for seconds in range(0, int(longest) + 1, 5):
        shapes += [
            svg.line(x(seconds), y - 16, x(seconds), y - 12, "grid"),
            svg.text(x(seconds), y + 6, str(seconds), "soft", "middle"),
        ]
    shapes.append(
        svg.text(left, y + 32, "seconds after the deletion; recorded on a kind cluster, with stand-ins", "soft")
    )
    return svg.drawn(int(y) + 52, "The shutdown of a task of OSMO, without and with gracekeeper", shapes)


def _lanes(run: Mapping[str, Any], x: Callable[[float], float], top: float) -> Iterator[str]:
    ends = {}
    for container in run["containers"]:
        lane = LANE_OF_CONTAINER.get(container["container"], 0)
        y, ends[lane] = top + 34 * lane, container["ended"]
        yield svg.text(36, y + 19, LANES[lane], "soft")
        yield _lane(x(0), x(ends[lane]), y, "reserve")
        if not run["saved"]:
            yield svg.text(x(ends[lane]) + 8, y + 19, f"ends with {container['exit_code']}", "kill")
    for phase in run["phases"]:
        lane, kind, name = LANE_OF_PHASE[phase["phase"]], COLOUR_OF_PHASE[phase["phase"]], phase["phase"]
        begin, end = x(phase["begins"]), x(min(phase["ends"], ends[lane]))
        yield _lane(begin, end, top + 34 * lane, kind)
        if end - begin > 8 * len(name):
            on = "on-write" if kind == "write" else "ink"
            yield svg.text((begin + end) / 2, top + 34 * lane + 19, name, on, "middle")


def _lane(x1: float, x2: float, y: float, kind: str) -> str:
    return f'<rect class="{kind}-bar" x="{x1:.1f}" y="{y:.1f}" width="{x2 - x1:.1f}" height="28"/>'
