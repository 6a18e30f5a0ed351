"""Replicas, API servers that hear of a new bundle late, and a clock: the world in which certificates are rotated."""

import base64
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from tests import fake_api
from tests.fake_api import FakeApi, Json
from webhook.api import Api
from webhook.server.certificate import Certificate
from webhook.tls.certificates import read_bundle
from webhook.tls.objects import Objects
from webhook.tls.source import SecretSource

OBJECTS = Objects("ops", "grace", "grace-tls", ("ops-grace",))
TWO = Objects("ops", "grace", "grace-tls", ("ops-grace", "zzz.ops-grace"))
SECRET, CONFIGURATION = OBJECTS.secret_path, OBJECTS.configuration_paths[0]
LAST_CONFIGURATION = TWO.configuration_paths[1]
NAME = "grace.ops.svc"
SETTLE_SECONDS, INTERVAL_SECONDS = 30.0, 60.0
LATE_SECONDS = 25.0
"""How late an API server may hear of a new bundle: less than the settle time, or nothing would help."""
LIFE = timedelta(days=90)


class Killed(BaseException):
    """A replica's end in the middle of a pass."""


class Interrupted(Api):
    """Calls, with something happening before or after some of them."""

    before: Callable[[str, str], None]
    after: Callable[[str, str], None]

    def get(self, path: str, *, query: Mapping[str, str] | None = None, timeout_seconds: float) -> dict[str, Any]:
        self.before("GET", path)
        manifest = super().get(path, query=query, timeout_seconds=timeout_seconds)
        self.after("GET", path)
        return manifest

    def put(self, path: str, body: Mapping[str, Any], *, timeout_seconds: float) -> dict[str, Any]:
        self.before("PUT", path)
        manifest = super().put(path, body, timeout_seconds=timeout_seconds)
        self.after("PUT", path)
        return manifest


@dataclass
class Replica:
    """A source, what it has handed to the server, and what it has logged."""

    source: SecretSource
    api: Interrupted
    certificate: Certificate
    ends: list[float]
    log: list[Json]
    ahead: timedelta = timedelta(0)
    """Of its own clock, before the cluster's."""

    @property
    def leaf(self) -> bytes | None:
        served = self.source._served  # noqa: SLF001  # what TLS presents is compared by its handshake elsewhere
        return served.leaf.certificate_pem if served else None


@dataclass
class Cluster:
    """One API server with a clock; `step` lets a replica make a pass and then checks that no call would be lost."""

    server: FakeApi
    objects: Objects = OBJECTS
    start: datetime = field(default_factory=lambda: datetime.now(UTC))
    seconds: float = 0.0
    skew: timedelta = timedelta(0)
    """Of every clock, the API server's included."""
    replicas: list[Replica] = field(default_factory=list)
    bundles: dict[str, list[tuple[float, bytes]]] = field(default_factory=dict)
    """When each bundle that a configuration has held became public."""
    seen_version: int = 0
    handshakes: int = 0

    @property
    def now(self) -> datetime:
        return self.start + timedelta(seconds=self.seconds) + self.skew

    def replica(self) -> Replica:
        api = Interrupted.from_address(self.server.address)
        api.before = api.after = lambda _method, _path: None
        certificate, ends, lines = Certificate(), list[float](), list[Json]()
        source = SecretSource(
            api,
            self.objects,
            certificate.use,
            ends.append,
            logger_into(lines),
            LIFE,
            SETTLE_SECONDS,
            INTERVAL_SECONDS,
            lambda: self.now + replica.ahead,
            lambda: self.seconds,
        )
        source.unwatched_seconds = INTERVAL_SECONDS  # nobody looks sooner, as where the watch is the one that is late
        replica = Replica(source, api, certificate, ends, lines)
        self.replicas.append(replica)
        return replica

    def step(self, replica: Replica) -> bool:
        done = replica.source.reconcile()
        self.check()
        return done

    def kill(self, replica: Replica) -> None:
        self.replicas.remove(replica)
        replica.api.close()

    def wait(self, seconds: float) -> None:
        self.seconds += seconds

    def settle(self) -> None:
        """Passes of all replicas, each when it wants one, for as long as a rotation can take."""
        end = self.seconds + 2 * (INTERVAL_SECONDS + SETTLE_SECONDS)
        while self.seconds < end:
            for replica in list(self.replicas):
                self.step(replica)
            self.wait(min(replica.source.pause_seconds(0) for replica in self.replicas))

    def check(self) -> None:
        """Each certificate in use is accepted by an API server that knows any bundle of the last seconds."""
        self._note_bundles()
        known = set().union(*(self._known(bundles) for bundles in self.bundles.values()))
        for replica in self.replicas:
            if replica.certificate.present:
                for bundle in known:
                    handshake(replica.certificate, bundle)
                    self.handshakes += 1

    def _known(self, bundles: list[tuple[float, bytes]]) -> set[bytes]:
        until = [at for at, _ in bundles[1:]] + [self.seconds + 1] * bool(bundles)
        return {bundle for (_, bundle), end in zip(bundles, until, strict=True) if end > self.seconds - LATE_SECONDS}

    def _note_bundles(self) -> None:
        for version, _, event in self.server.events:
            name = event["object"]["metadata"]["name"]
            if version > self.seen_version and event["type"] == "DELETED":
                self.bundles.pop(name, None)
            elif version > self.seen_version and name in self.objects.configurations:
                bundles = {caBundle(entry) for entry in event["object"]["webhooks"][:2]}
                # Where nothing is trusted (before the first start, after a wipe) every certificate is refused alike.
                held = self.bundles.setdefault(name, [])
                held += [(self.seconds, bundle) for bundle in bundles if bundle]
            self.seen_version = max(self.seen_version, version)

    def secret(self) -> dict[str, bytes]:
        return {key: base64.b64decode(value) for key, value in self.server.get(SECRET)["data"].items()}

    def write_secret(self, data: Mapping[str, bytes], **annotations: str) -> None:
        """As an admin would."""
        held = self.server.get(SECRET)
        held["data"] = {key: base64.b64encode(value).decode() for key, value in data.items()}
        held["metadata"].setdefault("annotations", {}).update(
            {f"gracekeeper.dev/{key}": value for key, value in annotations.items()}
        )
        self.server.put(SECRET, **held)

    def ask_for_rotation(self, value: str) -> None:
        self.write_secret(self.secret(), rotate=value)

    def bundle(self, entry: int = 0, path: str = CONFIGURATION) -> bytes:
        return caBundle(self.server.get(path)["webhooks"][entry])

    def write_bundles(self, text: bytes, path: str = CONFIGURATION) -> None:
        """As Helm or a GitOps tool would."""
        held = self.server.get(path)
        for entry in held["webhooks"][:2]:
            entry["clientConfig"]["caBundle"] = base64.b64encode(text).decode()
        self.server.put(path, **held)


def caBundle(entry: Json) -> bytes:  # noqa: N802  # the field's name
    return base64.b64decode(entry["clientConfig"].get("caBundle", ""))


def entry(name: str, service: str) -> Json:
    """One as the chart renders it, without a bundle, and with a field that is none of ours."""
    called = {"namespace": "ops", "name": service, "path": "/mutate", "port": 443}
    return {"name": name, "clientConfig": {"service": called}, "aFieldOfTomorrow": [1]}


def logger_into(lines: list[Json]) -> structlog.typing.FilteringBoundLogger:
    def note(_logger: Any, method: str, line: Any) -> Any:
        lines.append({**line, "level": method})
        raise structlog.DropEvent

    made: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        None, processors=[note], wrapper_class=structlog.make_filtering_bound_logger(0)
    )
    return made


def handshake(certificate: Certificate, bundle: bytes, name: str = NAME) -> bytes:
    """A TLS handshake in memory, verified as strictly as OpenSSL can; the result is the leaf that was presented."""
    client_context = ssl.create_default_context(cadata=bundle.decode())
    client_context.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname=name)
    server = certificate.context.wrap_bio(to_server, to_client, server_side=True)
    waiting = [client, server]
    while waiting:
        for side in list(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                continue
    presented = client.getpeercert(binary_form=True)
    assert presented
    return presented


@contextmanager
def cluster(start: datetime | None = None, objects: Objects = OBJECTS) -> Iterator[Cluster]:
    """All objects as a fresh installation has them."""
    with fake_api.running() as server:
        server.put(SECRET, type="Opaque", aFieldOfTomorrow=True)
        server.put(
            CONFIGURATION,
            webhooks=[entry("pods", "grace"), entry("namespaces", "grace"), entry("foreign", "another")],
        )
        for path in objects.configuration_paths[1:]:
            server.put(path, webhooks=[entry("last", "grace")])
        world = Cluster(server, objects, start or datetime.now(UTC))
        server.date = lambda: world.now
        yield world
        for replica in world.replicas:
            replica.api.close()


def count(bundle: bytes) -> int:
    return len(read_bundle(bundle))
