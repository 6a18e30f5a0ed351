"""Text on shapes as SVG, readable on light and on dark."""

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

WIDTH = 860
LIGHT = {"paper": "#ffffff", "ink": "#1f2328", "soft": "#59636e", "grid": "#d1d9e0", "kill": "#c4232b", "safe": "#1a7f37",
         "step": "#b6c9e0", "write": "#2f6fbb", "reserve": "#dbe7f5", "margin": "#eef3f9", "on-write": "#ffffff",
         "one": "#8a3ffc", "two": "#c2410c", "three": "#0e7490", "four": "#2f6fbb"}  # fmt: skip
DARK = {"paper": "#0d1117", "ink": "#e6edf3", "soft": "#9da7b1", "grid": "#30363d", "kill": "#ff7b72", "safe": "#56d364",
        "step": "#3d5475", "write": "#79b0f0", "reserve": "#22324a", "margin": "#1a2332", "on-write": "#0d1117",
        "one": "#be95ff", "two": "#ffa657", "three": "#39c5cf", "four": "#79b0f0"}  # fmt: skip
ON_DARK = "@media (prefers-color-scheme: dark)"


def text(x: float, y: float, label: str, kind: str, anchor: str = "start") -> str:
    """A text; its anchor says which end of it is at x."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(label)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A line from one point to another."""
    return f'<line class="{kind}-line" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def bar(x1: float, x2: float, y: float, kind: str, label: str) -> str:
    """A bar with what it stands for on it."""
    on = {"write": "on-write", "lost": "kill"}.get(kind, "ink")
    shape = f'<rect class="{kind}-bar" x="{x1:.1f}" y="{y}" width="{x2 - x1:.1f}" height="40"/>'
    return shape + text((x1 + x2) / 2, y + 25, label, on, "middle")


def thin_bar(x1: float, x2: float, y: float, kind: str) -> str:
    """A bar without a word, as high as a line of text."""
    return f'<rect class="{kind}-bar" x="{x1:.1f}" y="{y}" width="{x2 - x1:.1f}" height="14"/>'


def mark(x: float, y: float, kind: str, label: str, anchor: str = "start") -> str:
    """An upright line through a bar, with a word below it."""
    beside = 6 if anchor == "start" else -6
    return line(x, y, x, y + 60, kind) + text(x + beside, y + 62, label, f"{kind} strong", anchor)


def tick(left: float, y: float, seconds: int) -> str:
    """A mark of an axis of seconds."""
    return text(left - 8, y + 4, f"{seconds} s", "soft", "end")


def curve(points: Sequence[tuple[float, float]], colour: str) -> str:
    """A line through points."""
    return f'<polyline class="{colour}-curve" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'


def legend(x: float, y: float, colour: str, label: str) -> list[str]:
    """What a curve stands for."""
    return [curve([(x, y - 4), (x + 26, y - 4)], colour), text(x + 34, y, label, "ink")]


def drawn(height: int, title: str, shapes: Sequence[str]) -> str:
    """The whole picture."""
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
