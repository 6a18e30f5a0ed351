"""Prints figures on the structure of `webhook/`: `python -m scripts.structure [CHECKOUT]`.

Packages and imports between them, cycles, sizes of modules and functions, and how often the policy reads a pod: for each
example pod, the calls of policy functions that are handed the raw pod, and the modules that they lie in.
"""

import ast
import contextlib
import io
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_EXAMPLE = ["mutate", "-f", "docs/examples/pod.yaml", "--objects", "docs/examples/objects.yaml", "-o", "patch"]
_OSMO = ["mutate", "-f", "e2e/osmo/examples/rc6-single-train-as-webhook-sees.yaml", "-o", "patch"]
_READERS = ("is_osmo_task", "read_osmo_task", "trainer_index", "_trainer", "recognise", "recognition_of", "read_pod")
"""Functions that read the whole pod, in this tree and in that of 0.1.0."""


def main() -> None:
    """Print the figures of one checkout, in a process that imports its code and no other."""
    checkout = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT
    code = f"import sys; sys.path.insert(0, {str(checkout)!r}); from structure import figures; figures()"
    environment = {**os.environ, "PYTHONPATH": f"{checkout}{os.pathsep}{Path(__file__).parent}"}
    subprocess.run([sys.executable, "-c", code], cwd=checkout, check=True, env=environment)  # noqa: S603  # our own words


def figures() -> None:
    """Print one figure a line."""
    for name, value in (*_sizes(Path("webhook")), *_imports()):
        _say(f"{name:44} {value}")
    for title, words in (("a pod of docs/examples", _EXAMPLE), ("an OSMO task", _OSMO)):
        with contextlib.redirect_stdout(io.StringIO()):
            reads = list(_reads(words))
        for name, value in reads:
            _say(f"{title}: {name:{42 - len(title)}} {value}")


def _sizes(folder: Path) -> Iterator[tuple[str, object]]:
    files = sorted(path for path in folder.rglob("*.py"))
    lines = {str(path): len(path.read_text().splitlines()) for path in files}
    functions = {
        f"{path}:{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path in files
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    modules = [count for name, count in lines.items() if not name.endswith("__init__.py")]
    yield "packages", sum(path.name == "__init__.py" for path in files)
    yield "modules", len(modules)
    yield "loose modules in policy/", len([p for p in (folder / "policy").glob("*.py") if p.name != "__init__.py"])
    yield "lines of a module, median", median(modules)
    yield "lines of a module, most", "{1} ({0})".format(*max(lines.items(), key=lambda item: item[1]))
    yield "lines of a function, median", median(functions.values())
    yield "lines of a function, most", "{1} ({0})".format(*max(functions.items(), key=lambda item: item[1]))


def _imports() -> Iterator[tuple[str, object]]:
    import grimp  # noqa: PLC0415  # import-linter's own graph; needed here only

    graph = grimp.build_graph("webhook", cache_dir=None)
    room = {module: _room(module, graph.find_children) for module in graph.modules}
    between = {
        (room[importer], room[imported])
        for importer in graph.modules
        for imported in graph.find_modules_directly_imported_by(importer)
        if room[importer] != room[imported]
    }
    yield "rooms: packages, and modules beside them", len(set(room.values()))
    yield "imports between rooms", len(between)
    yield "pairs of rooms that import each other", sum((b, a) in between for a, b in between) // 2
    yield "cycles of modules", _cycles({m: graph.find_modules_directly_imported_by(m) for m in graph.modules})


def _room(module: str, children: Callable[[str], set[str]]) -> str:
    """Return the module's package; the module itself where it lies beside packages or is one."""
    parent = module.rpartition(".")[0]
    return module if children(module) or any(map(children, children(parent) if parent else ())) else parent


def _cycles(imported_by: dict[str, set[str]]) -> int:
    """Return how many modules are imported, over others, by a module that they import themselves."""
    return sum(module in _reachable(module, imported_by) for module in imported_by)


def _reachable(module: str, imported_by: dict[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    open_modules = set(imported_by[module])
    while open_modules:
        nearest = open_modules.pop()
        reached.add(nearest)
        open_modules |= imported_by.get(nearest, set()) - reached
    return reached


def _reads(words: list[str]) -> Iterator[tuple[str, object]]:
    from webhook.cli import main as gracekeeper  # noqa: PLC0415  # of the checkout that is looked at

    calls: list[str] = []
    readers: Counter[str] = Counter()

    def profile(frame: FrameType, event: str, _argument: Any) -> None:
        module = frame.f_globals.get("__name__", "")
        if event != "call" or not module.startswith("webhook.policy"):
            return
        name = frame.f_code.co_name
        readers[name] += name in _READERS
        arguments = frame.f_code.co_varnames[: frame.f_code.co_argcount]
        if any(_is_raw_pod(frame.f_locals.get(argument)) for argument in arguments):
            calls.append(module)

    sys.setprofile(profile)
    try:
        gracekeeper(words)
    finally:
        sys.setprofile(None)
    entries = sum(before != after for before, after in zip(["", *calls], calls, strict=False))
    yield "calls with the raw pod", len(calls)
    yield "modules that get the raw pod", len(set(calls))
    yield "times that it enters one", entries
    yield "", ", ".join(f"{name} {count}" for name, count in sorted(readers.items()) if count)


def _is_raw_pod(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("spec"), dict) and "containers" in value["spec"]


def _say(line: str) -> None:
    print(line)  # noqa: T201  # what the script is for


if __name__ == "__main__":
    main()
