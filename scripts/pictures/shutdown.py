"""From SIGTERM to SIGKILL, with Kubernetes' default and with gracekeeper's grace."""

from collections.abc import Callable, Iterator

from scripts.pictures import svg
from webhook.policy.decision import Decision
from webhook.policy.pod import KUBERNETES_DEFAULT_GRACE_SECONDS


def shutdown(decision: Decision) -> str:
    """From SIGTERM to SIGKILL: the default grace, and the decision's."""
    values = {term.name: term.value for term in decision.terms}
    step, write, safety, margin = (_number(values[name]) for name in ("step", "write", "safety", "margin"))
    grace, saved = float(decision.grace_seconds or 0), step + write
    left, right, floor = 36, svg.WIDTH - 36, 262

    def x(seconds: float) -> float:
        return left + seconds * (right - left) / (grace + 6)

    default = KUBERNETES_DEFAULT_GRACE_SECONDS
    speed, size = values["write-throughput"], values["checkpoint"]
    shapes = [
        svg.text(left, 30, f"A {size} checkpoint on a volume that takes {speed}", "ink strong"),
        svg.text(left, 66, f"Kubernetes' default: {default} s", "ink"),
        svg.bar(x(0), x(min(step, default)), 76, "step", "step"),
        svg.bar(x(default), x(default + write), 76, "lost", f"write {write:.0f} s: never begun"),
        svg.mark(x(default), 70, "kill", "SIGKILL: no checkpoint is left"),
        svg.text(left, 162, f"With gracekeeper: {grace:.0f} s", "ink"),
        svg.bar(x(0), x(step), 172, "step", f"step {step:.0f} s"),
        svg.bar(x(step), x(saved), 172, "write", f"write {write:.0f} s"),
        svg.bar(x(saved), x(saved * safety), 172, "reserve", f"reserve: all of it x {safety:g}"),
        svg.bar(x(saved * safety), x(grace), 172, "margin", f"{margin:.0f} s"),
        svg.mark(x(saved), 166, "safe", f"saved after {saved:.0f} s"),
        svg.mark(x(grace), 166, "kill", "SIGKILL would come", "end"),
        *_axis_of_seconds(x, grace, floor),
        svg.text(
            left,
            floor + 48,
            "seconds after SIGTERM; step: the longest time until the training loop looks at it",
            "soft",
        ),
    ]
    return svg.drawn(330, "From SIGTERM to SIGKILL, with and without gracekeeper", shapes)


def _axis_of_seconds(x: Callable[[float], float], grace: float, y: float) -> Iterator[str]:
    yield svg.line(x(0), y, x(grace), y, "grid")
    for seconds in range(0, int(grace) + 1, 30):
        yield svg.line(x(seconds), y - 4, x(seconds), y, "grid")
        yield svg.text(x(seconds), y + 18, str(seconds), "soft", "middle")


def _number(text: str) -> float:
    """The number in `70.19 s` or `x 2`."""
    return float(next(word for word in text.split() if word[0].isdigit()))
