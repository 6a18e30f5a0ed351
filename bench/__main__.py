"""`python -m bench`: every measurement as a table for people and as JSON in build/bench.json."""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from bench import api_server, attacks, crowd, doctor, image, learning, learning_tables, measure, reviews
from bench.attacks import Attacked
from bench.contestants import FLOOR, NotReadyError
from bench.crowd import Crowd
from bench.doctor import Examined
from bench.measure import Bench, Memory, Speed
from webhook import __version__
from webhook.api import ApiError

ROOT = Path(__file__).parents[1]
REPORT = ROOT / "build" / "bench.json"
PAPER_WIDTH = 120
LOAD_LIMIT = 0.9
"""From this share of its core on the load generator may have been what was measured."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; the result is the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.crowd and options.kubeconfig is None:
        parser.error("--crowd needs --kubeconfig")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PAPER_WIDTH)
    progress = Console(stderr=True, highlight=False)
    try:
        report = _measured(options, progress)
    except (NotReadyError, ApiError, subprocess.SubprocessError) as error:
        progress.print(f"bench: {error}", markup=False)
        return 1
    _print(console, report)
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS))
    console.print(f"\nwritten: {REPORT.relative_to(ROOT)}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="How fast and how small gracekeeper is.")
    parser.add_argument("--kubeconfig", type=Path, help="of a cluster that has gracekeeper installed: measure it too")
    parser.add_argument("--kubectl", type=Path, default=Path("kubectl"), help="the command (%(default)s)")
    parser.add_argument("--image", help="the image whose size counts (the newest on this machine)")
    parser.add_argument("--only-cluster", action="store_true", help="leave out what needs no cluster")
    parser.add_argument("--only-attacks", action="store_true", help="measure memory under attack, and nothing else")
    parser.add_argument("--only-learning", action="store_true", help="measure what learning costs, and nothing else")
    parser.add_argument(
        "--crowd",
        action="store_true",
        help=f"also among {crowd.CLAIMS:,} claims, {crowd.CLASSES} StorageClasses and {crowd.NODES:,} nodes, which are made in "
        "the kubeconfig's cluster and removed again: for a cluster that is only yours",
    )
    return parser


def _measured(options: argparse.Namespace, progress: Console) -> dict[str, Any]:
    report: dict[str, Any] = {"version": __version__, "cores": os.cpu_count()}
    bodies = reviews.bodies()
    report["body_bytes"] = {size: len(body) for size, body in bodies.items()}

    def say(line: str) -> None:
        progress.print(f"bench: {line}", markup=False)

    with tempfile.TemporaryDirectory(prefix="gracekeeper-bench-") as folder:
        bench = Bench.prepared(Path(folder), bodies)
        if not options.only_cluster and not options.only_learning:
            report["attacks"] = [asdict(line) for line in attacks.measured(bench, say)]
        if not options.only_cluster and not options.only_attacks:
            report["learning"] = learning.measured(bench, say)
        if not options.only_cluster and not options.only_attacks and not options.only_learning:
            report["speed"] = [asdict(line) for line in measure.speed(bench, say)]
            report["memory"] = [asdict(line) for line in measure.memory(bench, say)]
            report["lost_after_rest"] = measure.rested(bench, say)
            report["ready_seconds"] = measure.ready_seconds(bench, say)
            say(f"gracekeeper doctor on a dump of {doctor.PODS:,} pods and {crowd.NODES:,} nodes")
            report["doctor"] = [asdict(doctor.of_dump(Path(folder)))]
        if options.crowd:
            lines = crowd.measured(bench, options.kubectl, options.kubeconfig, say)
            report["crowd"] = [asdict(line) for line in lines]
    if options.kubeconfig is not None:
        say("through the API server")
        added = api_server.added(options.kubectl, options.kubeconfig)
        report["api_server"] = [asdict(line) for line in added]
        say(f"gracekeeper doctor among {doctor.PODS_ON_CLUSTER:,} pods of the cluster")
        examined = doctor.of_cluster(options.kubectl, options.kubeconfig)
        report["doctor"] = [*report.get("doctor", []), asdict(examined)]
    name = options.image or image.newest()
    report["image"] = None if name is None else {"name": name, "mib": image.size_mib(name)}
    return report


def _print(console: Console, report: dict[str, Any]) -> None:
    if "speed" in report:
        _print_loopback(console, report)
    if "attacks" in report:
        console.print(_attacks_table([Attacked(**line) for line in report["attacks"]]))
    if "learning" in report:
        for part in learning_tables.tables(report["learning"]):
            console.print(part)
    if "crowd" in report:
        console.print(_crowd_table([Crowd(**line) for line in report["crowd"]]))
    if "doctor" in report:
        console.print(_doctor_table([Examined(**line) for line in report["doctor"]]))
    if "api_server" in report:
        console.print(_api_server_table(report["api_server"]))
    else:
        console.print("Through an API server: not measured, no --kubeconfig given")
    if report["image"] is None:
        console.print("Image: not measured, none on this machine (make image, or --image NAME)")
    elif report["image"]["mib"] is None:
        console.print(f"Image {report['image']['name']}: not measured, Docker does not know it")
    else:
        console.print(f"Image {report['image']['name']}: {report['image']['mib']:.0f} MiB unpacked")


def _print_loopback(console: Console, report: dict[str, Any]) -> None:
    console.print(_speed_table([Speed(**line) for line in report["speed"]], report["body_bytes"]))
    console.print(_memory_table([Memory(**line) for line in report["memory"]], report["ready_seconds"]))
    _print_load(console, [line["load_cpu_share"] for line in report["speed"]])
    for name, lost in report["lost_after_rest"].items():
        pauses = zip(lost, measure.PAUSES_SECONDS, strict=True)
        losses = ", ".join(f"{count} lost after {pause:g} s" for count, pause in pauses)
        console.print(f"{measure.RESTED_CONNECTIONS} rested connections of {name}: {losses}")


def _speed_table(lines: Sequence[Speed], body_bytes: dict[str, int]) -> Table:
    sizes = ", ".join(f"{size} {count / 1000:.1f} kB" for size, count in body_bytes.items())
    table = Table(title=f"AdmissionReviews over HTTPS with keep-alive on loopback, one worker ({sizes})")
    headings = ("body", "connections", "who", "CPU: x floor", "s per 1,000", "/s and core", "/s", "p50 ms", "p99 ms")
    for heading in (*headings, "failed"):
        table.add_column(heading, justify="left" if heading in {"body", "who"} else "right")
    for line in lines:
        floor = next(f for f in lines if (f.contestant, f.body, f.connections) == (FLOOR, line.body, line.connections))
        table.add_row(
            line.body,
            str(line.connections),
            line.contestant,
            f"{line.cpu_seconds_per_1000 / floor.cpu_seconds_per_1000:.2f}",
            f"{line.cpu_seconds_per_1000:.3f}",
            f"{1000 / line.cpu_seconds_per_1000:,.0f}",
            f"{line.requests_per_second:,.0f}",
            f"{line.p50_ms:.2f}",
            f"{line.p99_ms:.2f}",
            str(line.failed),
            end_section=line.contestant == measure.CONTESTANTS[-1],
        )
    return table


def _memory_table(lines: Sequence[Memory], ready_seconds: dict[str, float]) -> Table:
    first, last = measure.MEMORY_REQUESTS
    table = Table(title="Resident memory, MiB, and the start")
    for heading in ("who", "at start", f"after {first:,}", f"after {last:,}", "growth between", "ready after s"):
        table.add_column(heading, justify="left" if heading == "who" else "right")
    for line in lines:
        after = [line.mib_after[total] for total in measure.MEMORY_REQUESTS]
        sizes = (line.mib_at_start, *after, after[-1] - after[0])
        table.add_row(line.contestant, *(f"{mib:.1f}" for mib in sizes), f"{ready_seconds[line.contestant]:.2f}")
    return table


def _attacks_table(lines: Sequence[Attacked]) -> Table:
    table = Table(title="Under attack: resident memory, and the pods that another team creates meanwhile")
    for heading in ("attack", "peak MiB", "limit MiB", "pods of the other team", "patched", "slowest ms"):
        table.add_column(heading, justify="left" if heading == "attack" else "right")
    for line in lines:
        sizes = f"{line.peak_mib:.0f}", f"{line.limit_mib:.0f}"
        table.add_row(line.attack, *sizes, str(line.pods), str(line.patched), f"{line.slowest_ms:,.0f}")
    return table


def _crowd_table(lines: Sequence[Crowd]) -> Table:
    table = Table(
        title=f"Among {crowd.CLAIMS:,} claims, {crowd.CLASSES} StorageClasses, {crowd.NODES:,} nodes; small body, one connection"
    )
    headings = ("ready after s", "peak MiB when ready", "at the end", "warm p50 ms", "p99 ms", "cold p50 ms", "p99 ms")
    for heading in ("who", *headings):
        table.add_column(heading, justify="left" if heading == "who" else "right")
    for line in lines:
        cold = (line.cold_p50_ms, line.cold_p99_ms)
        milliseconds = ("-" if ms is None else f"{ms:.2f}" for ms in (line.warm_p50_ms, line.warm_p99_ms, *cold))
        memory = f"{line.peak_mib_when_ready:.1f}", f"{line.peak_mib_at_the_end:.1f}"
        table.add_row(line.contestant, f"{line.ready_seconds:.2f}", *memory, *milliseconds)
    return table


def _doctor_table(lines: Sequence[Examined]) -> Table:
    table = Table(title="gracekeeper doctor, with every check that needs no right of its own")
    for heading in ("of", "pods", "training", "nodes", "MiB of JSON", "findings", "s", "peak MiB"):
        table.add_column(heading, justify="left" if heading == "of" else "right")
    for line in lines:
        counts = (f"{count:,}" for count in (line.pods, line.trainers, line.nodes))
        size = f"{line.dump_mib:.0f}" if line.dump_mib else "-"
        table.add_row(line.source, *counts, size, str(line.findings), f"{line.seconds:.1f}", f"{line.peak_mib:.0f}")
    return table


def _print_load(console: Console, shares: Sequence[float]) -> None:
    verdict = "it was not the limit" if max(shares) < LOAD_LIMIT else "it may have been the limit"
    console.print(f"Load generator: at most {max(shares):.0%} of its core, {verdict}")


def _api_server_table(lines: Sequence[dict[str, Any]]) -> Table:
    table = Table(title="Through the API server, ms a pod: matched by gracekeeper, and opted out by label")
    for heading in (
        "how",
        "pods",
        "unmatched p50",
        "matched p50",
        "added",
        "unmatched p99",
        "matched p99",
        "added p99",
    ):
        table.add_column(heading, justify="left" if heading == "how" else "right")
    for line in lines:
        added = (line[f"matched_{centile}_ms"] - line[f"unmatched_{centile}_ms"] for centile in ("p50", "p99"))
        p50, p99 = (f"{value:+.1f}" for value in added)
        table.add_row(
            line["how"],
            f"{line['pods']}, {line['patched']} patched",
            f"{line['unmatched_p50_ms']:.1f}",
            f"{line['matched_p50_ms']:.1f}",
            p50,
            f"{line['unmatched_p99_ms']:.1f}",
            f"{line['matched_p99_ms']:.1f}",
            p99,
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
