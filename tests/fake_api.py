"""An API server in memory, on a real socket: objects by path, versions and conflicts, pages, watches, and faults on request."""

import copy
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Json = dict[str, Any]
REASONS = {403: "Forbidden", 410: "Expired"}


@dataclass
class FakeApi:
    """The state; every change of it happens under `changed`."""

    bookmark_seconds: float = 0.05
    objects: dict[str, Json] = field(default_factory=dict)
    served: set[str] = field(default_factory=set)
    texts: dict[str, str] = field(default_factory=dict)
    """What is no JSON, by path: metrics."""
    events: list[tuple[int, str, Json]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)
    token: str | None = None
    """The only one that is accepted by calls from now on; None accepts all. A watch that runs goes on, as in Kubernetes."""
    queries: dict[str, dict[str, str]] = field(default_factory=dict)
    """Of the newest call of each kind."""
    refusals: dict[str, int] = field(default_factory=dict)
    watch_refusals: dict[str, int] = field(default_factory=dict)
    """Of collections that may be read but not watched."""
    delays: dict[str, float] = field(default_factory=dict)
    as_created: Callable[[Json], Json] = copy.deepcopy
    """What the server makes of a posted object; a `Status` refuses it."""
    shown: list[Json] = field(default_factory=list)
    """What was posted as a dry run."""
    date: Callable[[], datetime | str | None] = lambda: datetime.now(UTC)
    """Its clock, as the `Date` of its answers shows it; a text is sent as it is, and None leaves the header out."""
    hang_watches: bool = False
    address: str = ""
    version: int = 100
    oldest: int = 0
    epoch: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def serve_collection(self, path: str) -> None:
        with self.changed:
            self.served.add(path)

    def put(self, path: str, **content: Any) -> None:
        """Create or replace an object as somebody else would."""
        with self.changed:
            held = self.objects.get(path)
            metadata = {"name": path.rsplit("/", 1)[1], **content.pop("metadata", {})}
            self._store(path, {**content, "metadata": metadata}, "ADDED" if held is None else "MODIFIED")

    def remove(self, path: str) -> None:
        with self.changed:
            self._store(path, self.objects.pop(path), "DELETED")
            del self.objects[path]

    def get(self, path: str) -> Json:
        with self.changed:
            return copy.deepcopy(self.objects[path])

    def forget_history(self) -> None:
        """Every version that was handed out is too old from now on."""
        with self.changed:
            self.version += 1
            self.oldest = self.version
        self.end_watches()

    def end_watches(self) -> None:
        with self.changed:
            self.epoch += 1
            self.changed.notify_all()

    def count(self, call: str) -> int:
        return sum(1 for made in list(self.calls) if made.startswith(call))

    def _store(self, path: str, content: Json, event: str) -> None:
        self.version += 1
        former = self.objects.get(path, {"metadata": {}})["metadata"].get("generation", 0)
        content["metadata"] |= {"resourceVersion": str(self.version), "generation": former + 1}
        collection = path.rsplit("/", 1)[0]
        self.served.add(collection)
        self.objects[path] = content
        self.events.append((self.version, collection, {"type": event, "object": copy.deepcopy(content)}))
        self.changed.notify_all()

    def replace(self, path: str, content: Json) -> tuple[int, Json]:
        """What a PUT does."""
        with self.changed:
            held = self.objects.get(path)
            if held is None:
                return 404, status(404, "NotFound", f"{path} not found")
            version = content["metadata"].get("resourceVersion")
            if version not in {None, held["metadata"]["resourceVersion"]}:
                return 409, status(409, "Conflict", "the object has been modified; please apply your changes")
            self._store(path, content, "MODIFIED")
            return 200, copy.deepcopy(content)

    def read(self, path: str, query: dict[str, str]) -> tuple[int, Json]:
        """What a GET of an object or of a collection does."""
        with self.changed:
            if path in self.served:
                return self._page(path, query)
            if path in self.objects:
                return 200, copy.deepcopy(self.objects[path])
            return 404, status(404, "NotFound", f"{path} not found")

    def _page(self, path: str, query: dict[str, str]) -> tuple[int, Json]:
        version, _, start = query.get("continue", f"{self.version}:0").partition(":")
        if int(version) < self.oldest:
            return 410, status(410, "Expired", "The provided continue parameter is too old")
        objects = [
            o for p, o in sorted(self.objects.items()) if p.rsplit("/", 1)[0] == path and selected(o["metadata"], query)
        ]
        end = int(start) + int(query.get("limit", "1000"))
        metadata = {"resourceVersion": version} | ({"continue": f"{version}:{end}"} if end < len(objects) else {})
        return 200, copy.deepcopy({"kind": "List", "metadata": metadata, "items": objects[int(start) : end]})

    def watch(self, path: str, query: dict[str, str]) -> Iterator[Json]:
        """The events after a version, with bookmarks, until the time is over; version 0 begins with what is there."""
        return (
            e
            for e in self._events(path, query)
            if e["type"] in {"BOOKMARK", "ERROR"} or selected(e["object"]["metadata"], query)
        )

    def _events(self, path: str, query: dict[str, str]) -> Iterator[Json]:
        seen, epoch = int(query["resourceVersion"]), self.epoch
        if seen == 0:
            with self.changed:
                seen, present = (
                    self.version,
                    copy.deepcopy([o for p, o in sorted(self.objects.items()) if p.rsplit("/", 1)[0] == path]),
                )
            yield from ({"type": "ADDED", "object": each} for each in present)
        end = time.monotonic() + float(query["timeoutSeconds"])
        while time.monotonic() < end or self.hang_watches:
            with self.changed:
                if seen < self.oldest:
                    yield {"type": "ERROR", "object": status(410, "Expired", "too old resource version")}
                    return
                if self.epoch != epoch:
                    return
                fresh = [e for version, at, e in self.events if version > seen and at == path]
                seen = self.version
                if not fresh and not self.hang_watches:
                    self.changed.wait(self.bookmark_seconds)
                elif self.hang_watches:
                    self.changed.wait(self.bookmark_seconds)
                    continue
            yield from fresh
            if query.get("allowWatchBookmarks") == "true":
                yield {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(seen)}}}


def selected(metadata: Json, query: dict[str, str]) -> bool:
    """Whether selectors of a query choose an object: one by its name, those by labels that they have, with a value or any."""
    name = dict(parse_qsl(query.get("fieldSelector", ""))).get("metadata.name")
    wanted = (label.partition("=") for label in query.get("labelSelector", "").split(",") if label)
    labels = metadata.get("labels", {})
    return name in {None, metadata.get("name")} and all(
        labels.get(key) == value if equals else key in labels for key, equals, value in wanted
    )


def status(code: int, reason: str, message: str) -> Json:
    return {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are written apart, and the second would wait 40 ms
    server: "_Server"

    def do_GET(self) -> None:
        api, path, query = self._begin()
        refused = self._refused(path) or (query.get("watch") and self._refusal(api.watch_refusals, path))
        if refused:
            self._answer(*refused)
        elif query.get("watch") and path in api.served:
            self._stream(api.watch(path, query))
        elif path in api.texts:
            self._send_body(200, "text/plain", api.texts[path].encode())
        else:
            self._answer(*api.read(path, query))

    def do_PUT(self) -> None:
        api, path, _ = self._begin()
        content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(*(self._refused(path) or api.replace(path, content)))

    def do_POST(self) -> None:
        api, path, query = self._begin()
        content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        refused = self._refused(path)
        if refused:
            self._answer(*refused)
            return
        created = api.as_created(content)
        if created.get("kind") == "Status":
            self._answer(created["code"], created)
            return
        if query.get("dryRun") == "All":
            api.shown.append(content)
        else:
            api.put(f"{path}/{created['metadata']['name']}", **created)
        self._answer(201, created)

    def _begin(self) -> tuple[FakeApi, str, dict[str, str]]:
        api, parts = self.server.api, urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        api.calls.append(f"{'WATCH' if query.get('watch') else self.command} {parts.path}")
        api.queries[api.calls[-1]] = query
        api.authorizations.append(self.headers.get("Authorization"))
        time.sleep(max((s for prefix, s in api.delays.items() if parts.path.startswith(prefix)), default=0))
        return api, parts.path, query

    def _refused(self, path: str) -> tuple[int, Json] | None:
        token = self.server.api.token
        if token is not None and self.headers.get("Authorization") != f"Bearer {token}":
            return 401, status(401, "Unauthorized", "Unauthorized")
        return self._refusal(self.server.api.refusals, path)

    @staticmethod
    def _refusal(refusals: dict[str, int], path: str) -> tuple[int, Json] | None:
        code = next((c for prefix, c in refusals.items() if path.startswith(prefix)), None)
        return None if code is None else (code, status(code, REASONS.get(code, "Broken"), f"{path} is\nrefused"))

    def _answer(self, code: int, content: Json) -> None:
        self._send_body(code, "application/json", json.dumps(content).encode())

    def _send_body(self, code: int, content_type: str, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, events: Iterator[Json]) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in events:
            line = json.dumps(event).encode() + b"\n"
            self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def date_time_string(self, timestamp: float | None = None) -> str:
        del timestamp
        date = self.server.api.date()
        return format_datetime(date.replace(microsecond=0), usegmt=True) if isinstance(date, datetime) else date or ""

    def send_header(self, keyword: str, value: str) -> None:
        if value:
            super().send_header(keyword, value)

    def log_message(self, *_: Any) -> None:
        """Nothing: pytest shows what failed."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 100

    def __init__(self, api: FakeApi) -> None:
        self.api = api
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, *_: Any) -> None:
        """Clients that hang up are part of the tests."""


@contextmanager
def running(context: ssl.SSLContext | None = None) -> Iterator[FakeApi]:
    """A server that has started, over TLS where a context is given."""
    api = FakeApi()
    server = _Server(api)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    api.address = f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield api
    finally:
        api.hang_watches = False
        api.end_watches()
        server.shutdown()
        server.server_close()
        thread.join()
