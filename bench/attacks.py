"""What the server holds while it is attacked: the largest resident size, beside the chart's limit, and another team's pods.

Each attack meets a fresh server on loopback, from addresses of its own (127.0.1.N), with as many connections or pods as its
name says, for a few seconds. Meanwhile another team creates a pod every 100 ms; each has to be patched within the API
server's 3 s.
"""

import asyncio
import contextlib
import copy
import http.client
import json
import multiprocessing
import resource
import socket
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml

from bench.contestants import HOST, Contestant, cluster, gracekeeper
from bench.measure import Bench, Say
from bench.process import peak_mib
from bench.reviews import osmo_pod, review
from webhook.policy.prefix import PREFIX

_VALUES = Path(__file__).parents[1] / "charts" / "gracekeeper" / "values.yaml"
_LARGEST_BYTES = 3 * 2**20
_POD_BYTES = 1_400_000
_SLOW_SECONDS = 1.5
"""Of each read of a claim: eight at a time, so that nearly all are late."""
_HOLD_SECONDS = 6.0
_CONNECT_SECONDS = 20.0
_PAUSE_SECONDS = 0.1
_API_SERVER_SECONDS = 3.0
_SLOW_TEAMS = "/api/v1/namespaces/slow-"
_FEW_BYTES_READ = 4096


@dataclass(frozen=True, slots=True)
class Attacked:
    """One attack, and what the server and another team had of it."""

    attack: str
    peak_mib: float
    limit_mib: float
    pods: int
    """Of the other team."""
    patched: int
    slowest_ms: float


@dataclass(slots=True)
class Target:
    """A port under attack, and the connections that are held open there."""

    port: int
    context: ssl.SSLContext
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def connect(self, source: str, *, tls: bool = True) -> asyncio.StreamWriter | None:
        """One more connection from an address of loopback, if it is taken."""
        opened = asyncio.open_connection(
            HOST,
            self.port,
            local_addr=(source, 0),
            ssl=self.context if tls else None,
            server_hostname="localhost" if tls else None,
            limit=_FEW_BYTES_READ,
        )
        try:
            _, writer = await asyncio.wait_for(opened, _CONNECT_SECONDS)
        except (OSError, TimeoutError):
            return None
        self.writers.append(writer)
        return writer

    async def send(self, source: str, data: bytes, *, unread: bool = False) -> None:
        """Connect, send as much of it as is taken, and hold the connection."""
        writer = await self.connect(source)
        if writer is None:
            return
        if unread:
            writer.transport.pause_reading()  # type: ignore[attr-defined]  # a stream's transport reads
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _FEW_BYTES_READ)
        with contextlib.suppress(OSError, TimeoutError):
            writer.write(data)
            await asyncio.wait_for(writer.drain(), _HOLD_SECONDS)


Attack = Callable[[Target], Awaitable[Any]]


def measured(bench: Bench, say: Say) -> list[Attacked]:
    """Every attack, one after the other."""
    return [_measured(bench, name, say) for name in ATTACKS]


def limit_mib() -> float:
    """The chart's memory limit for the server."""
    limit: str = yaml.safe_load(_VALUES.read_text(encoding="utf-8"))["resources"]["limits"]["memory"]
    return float(limit.removesuffix("Mi"))


def _measured(bench: Bench, name: str, say: Say) -> Attacked:
    say(f"attack: {name}")
    with cluster(bench.folder) as (api, kubeconfig):
        api.delays[_SLOW_TEAMS] = _SLOW_SECONDS
        with gracekeeper(
            f"attacked by {name}", bench.certificate, bench.folder, bench.server_core, kubeconfig
        ) as server:
            context = ssl.create_default_context(cafile=str(bench.certificate.authority))
            with _Team(server, context) as team:
                _attack_from_a_process(name, server.port, bench.certificate.authority)
            peak = peak_mib(server.pid)
    return Attacked(name, peak, limit_mib(), len(team.took_ms), team.patched, max(team.took_ms))


def _attack_from_a_process(name: str, port: int, authority: Path) -> None:
    """In a process of its own, so that the other team does not wait for the attacker."""
    attacker = multiprocessing.get_context("spawn").Process(target=_attack, args=(name, port, authority), daemon=True)
    attacker.start()
    attacker.join(_CONNECT_SECONDS + 2 * _HOLD_SECONDS)
    attacker.kill()
    attacker.join()


def _attack(name: str, port: int, authority: Path) -> None:
    _allow_many_connections()
    context = ssl.create_default_context(cafile=str(authority))
    asyncio.run(_attacked(ATTACKS[name], Target(port, context)))


async def _attacked(attack: Attack, target: Target) -> None:
    """Attack, hold what is open for a while, hang up."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(attack(target), _CONNECT_SECONDS)
    await asyncio.sleep(_HOLD_SECONDS)
    for writer in target.writers:
        writer.transport.abort()


class _Team:
    """Another team, as an API server asks about its pods: over one kept connection, dialled anew where it was lost."""

    def __init__(self, server: Contestant, context: ssl.SSLContext) -> None:
        self.took_ms: list[float] = []
        self.patched = 0
        self._port, self._context = server.port, context
        self._body = review(osmo_pod())
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._create)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._thread.join()

    def _create(self) -> None:
        connection = http.client.HTTPSConnection(
            "localhost", self._port, timeout=_API_SERVER_SECONDS, context=self._context
        )
        while not self._enough.wait(_PAUSE_SECONDS):
            began = time.perf_counter()
            try:
                connection.request("POST", "/mutate?timeout=3s", self._body, {"Content-Type": "application/json"})
                self.patched += "patch" in json.loads(connection.getresponse().read())["response"]
            except (OSError, http.client.HTTPException):
                connection.close()  # one that waits for an answer takes no further request
            self.took_ms.append((time.perf_counter() - began) * 1000)
        connection.close()


def _sources(count: int) -> Sequence[str]:
    return [f"127.0.1.{number + 1}" for number in range(count)]


async def _each(target: Target, count: int, data: bytes, addresses: int = 1, *, unread: bool = False) -> None:
    sources = _sources(addresses)
    await asyncio.gather(*(target.send(sources[n % addresses], data, unread=unread) for n in range(count)))


def _post(body: bytes, length: int | None = None) -> bytes:
    head = f"POST /mutate?timeout=3s HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length or len(body)}\r\n\r\n"
    return head.encode() + body


async def _oversized(target: Target) -> None:
    await _each(target, 150, _post(b" " * (_LARGEST_BYTES + 1)))


async def _stalled(target: Target) -> None:
    await _each(target, 200, _post(b" " * (_LARGEST_BYTES - 1), _LARGEST_BYTES))


async def _stalled_from_many(target: Target) -> None:
    await _each(target, 200, _post(b" " * (_LARGEST_BYTES - 1), _LARGEST_BYTES), addresses=20)


async def _silent(target: Target) -> None:
    for _ in range(30):
        await asyncio.gather(*(target.connect(_sources(1)[0], tls=False) for _ in range(100)))


async def _half_a_handshake(target: Target) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        target.context.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    hello = outgoing.read()
    for number in range(10):
        writers = await asyncio.gather(*(target.connect(source, tls=False) for source in _sources(100)))
        for writer in filter(None, writers):
            writer.write(hello)
        await asyncio.sleep(number / 100)


async def _slow_claims(target: Target) -> None:
    await _slow(target, pods=20, teams=1)


async def _slow_claims_of_many(target: Target) -> None:
    await _slow(target, pods=100, teams=20)


async def _slow(target: Target, pods: int, teams: int) -> None:
    template = review(_pod_with_slow_claims(), "slow-00")
    bodies = (
        _post(template.replace(b"slow-00", b"slow-%02d" % (number % teams)).replace(b"claim-", b"claim-%d-" % number))
        for number in range(pods)
    )
    await asyncio.gather(*(target.send(_sources(1)[0], body) for body in bodies))


async def _small_slow(target: Target) -> None:
    body = [_post(review(_small_pod_with_slow_claim(number), f"slow-{number % 20:02}")) for number in range(1000)]
    await asyncio.gather(*(target.send(_sources(3)[n % 3], each) for n, each in enumerate(body)))


async def _unread(target: Target) -> None:
    await _each(target, 150, _post(review(_pod_with_a_large_patch())), unread=True)


async def _pipelined(target: Target) -> None:
    await _each(target, 64, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 150_000, unread=True)


ATTACKS: dict[str, Attack] = {
    "150 bodies of 3 MiB and a byte": _oversized,
    "200 bodies of 3 MiB that stall": _stalled,
    "the same from 20 addresses": _stalled_from_many,
    "3,000 connections without a handshake": _silent,
    "1,000 half handshakes from 100 addresses": _half_a_handshake,
    "20 pods of 1.4 MB whose claims are slow": _slow_claims,
    "100 of them in 20 namespaces": _slow_claims_of_many,
    "1,000 small pods whose claims are slow": _small_slow,
    "150 answers of 2.7 MB that nobody reads": _unread,
    "64 connections that pipeline 150,000 requests": _pipelined,
}


def _small_pod_with_slow_claim(number: int) -> dict[str, Any]:
    claims = [{"name": "c", "persistentVolumeClaim": {"claimName": f"claim-{number}"}}]
    return {
        "metadata": {"name": f"slow-{number}", "annotations": {f"{PREFIX}checkpoint-size": "10Gi"}},
        "spec": {"containers": [{"name": "a", "image": "a"}], "volumes": claims},
    }


def _pod_with_slow_claims() -> dict[str, Any]:
    """As an API server sends it: 64 claims, and as many environment variables as fit; parsed it is 20 times as large."""
    pod = _small_pod_with_slow_claim(0)
    pod["spec"]["volumes"] = [
        {"name": f"c{n}", "persistentVolumeClaim": {"claimName": f"claim-{n}"}} for n in range(64)
    ]
    variable = len('{"name":"V00000"},')
    pod["spec"]["containers"][0]["env"] = [{"name": f"V{n:05}"} for n in range(_POD_BYTES // variable)]
    return pod


def _pod_with_a_large_patch() -> dict[str, Any]:
    """A task whose osmo-ctrl, which the patch moves, has 2 MB of arguments."""
    pod = copy.deepcopy(osmo_pod())
    uploader = next(each for each in pod["spec"]["containers"] if each["name"] == "osmo-ctrl")
    uploader["args"] = [*uploader.get("args", []), "-x", "y" * 2_000_000]
    return pod


def _allow_many_connections() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8192)), hard))
