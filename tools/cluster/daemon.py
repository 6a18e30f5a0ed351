"""Docker's daemon: used where one runs, else started from Debian's package, and stopped again by who started it."""

import json
import os
import resource
import shutil
import signal
import time
from pathlib import Path

from tools.cluster import cache as cached
from tools.cluster import packages
from tools.cluster.steps import StepError, attempt, run, say, step

_WRAPPER = Path(__file__).with_name("runc-without-missing-capabilities")
_PID_FILES = (Path("/var/run/docker.pid"), Path("/var/run/docker/containerd/containerd.pid"))
_LOG = Path("/var/log/dockerd.log")
_START_SECONDS = 30
_STOP_SECONDS = 60
_CAP_SYS_RESOURCE = 24
_REPROBE_SECONDS = 0.2


def answers() -> bool:
    """Whether a daemon is there for us."""
    return attempt(["docker", "version"], timeout_seconds=20).returncode == 0


def ensure(cache: Path) -> None:
    """Docker's daemon runs when this returns."""
    if answers():
        return
    if os.geteuid() != 0:
        raise StepError(
            "Docker does not answer: install and start it, and see that this user may use it (group docker)"
        )
    packages.need({"dockerd": "docker.io", "docker": "docker.io", "runc": "runc", "iptables": "iptables"})
    if answers():
        return
    with step("Starting Docker's daemon", "5 s"):
        process_id = start(cache)
        _remember(cache, process_id)
        _wait_for(process_id)


def stop_if_ours(cache: Path) -> None:
    """Ends the daemon that `ensure` started, unless somebody else's containers run in it."""
    process_id = _ours(cache)
    if process_id is None:
        return
    running = run(["docker", "ps", "-q"]).split() if answers() else []
    if running:
        say(f"  Docker's daemon keeps running: {len(running)} containers that are not ours run in it")
        return
    with step("Stopping Docker's daemon, which was started here"):
        os.kill(process_id, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        while _ours(cache) is not None and time.monotonic() < deadline:
            time.sleep(_REPROBE_SECONDS)
    _record(cache).unlink(missing_ok=True)


def start(cache: Path) -> int:
    """The process id of a daemon that begins to start, and outlives this process: hence no Popen, which would mourn it."""
    for path in _PID_FILES:
        _drop_if_dead(path)
    _, open_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    options = ["--default-ulimit", f"nofile={open_files}:{open_files}"] if open_files > 0 else []
    if not _bounding_set() >> _CAP_SYS_RESOURCE & 1:
        wrapper = cached.kept(cache, "runc", cached.key(_WRAPPER), lambda path: _copy(_WRAPPER, path))
        options += ["--add-runtime", f"capable={wrapper}", "--default-runtime", "capable"]
    log = (os.POSIX_SPAWN_OPEN, 1, str(_LOG), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    streams = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), log, (os.POSIX_SPAWN_DUP2, 1, 2)]
    return os.posix_spawnp("dockerd", ["dockerd", *options], os.environ, file_actions=streams, setsid=True)


def _wait_for(process_id: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not answers():
        if not _started(process_id) or time.monotonic() > deadline:
            raise StepError(f"dockerd did not start; its log is {_LOG}")
        time.sleep(_REPROBE_SECONDS)


def _copy(source: Path, target: Path) -> None:
    shutil.copy2(source, target)


def _drop_if_dead(path: Path) -> None:
    """A daemon that was ended hard leaves its pid file, and another process may have that number by now."""
    try:
        name = Path(f"/proc/{path.read_text().strip()}/comm").read_text()
    except OSError:
        name = ""
    if "dockerd" not in name and "containerd" not in name:
        path.unlink(missing_ok=True)


def _bounding_set() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1], 16) for line in lines if line.startswith("CapBnd"))


def _record(cache: Path) -> Path:
    return cache / "dockerd.json"


def _remember(cache: Path, process_id: int) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    _record(cache).write_text(json.dumps({"pid": process_id, "started": _started(process_id)}))


def _ours(cache: Path) -> int | None:
    """The process id of the daemon that was started here, if it still is that process."""
    try:
        record = json.loads(_record(cache).read_text())
    except FileNotFoundError:
        return None
    process_id = int(record["pid"])
    return process_id if record["started"] and _started(process_id) == record["started"] else None


def _started(process_id: int) -> str:
    """Start time in clock ticks since boot, with the boot's own id: no other process ever has the same."""
    try:
        fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19] + " " + Path("/proc/sys/kernel/random/boot_id").read_text().strip()
