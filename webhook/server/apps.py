"""The two FastAPI applications: /mutate alone on the webhook's port, health and metrics on the other."""

import time
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from urllib.parse import parse_qs

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from webhook import metrics
from webhook.admission import Refusal, RefusedError

Answer = Callable[[bytes, str | None, float], Awaitable[bytes]]


class _GoneError(Exception):
    """The caller hung up before its request was complete."""


def webhook_app(answer: Answer, refused: Callable[[Refusal], None], largest_body_bytes: int) -> FastAPI:
    """POST /mutate."""
    app = _bare_app()
    app.add_route("/mutate", _Mutate(answer, refused, largest_body_bytes), methods=["POST"])  # type: ignore[arg-type]  # an ASGI application
    return app


def health_app(
    lacks: Callable[[], Sequence[str]], notes: Callable[[], Sequence[str]], metrics_text: Callable[[], bytes]
) -> FastAPI:
    """GET /healthz, /readyz, /metrics.

    `lacks` tells what is still missing before calls can be answered, `notes` what is worth knowing of a ready server.
    """
    app = _bare_app()

    @app.get("/healthz")
    async def healthz() -> Response:
        return PlainTextResponse("ok\n")

    @app.get("/readyz")
    async def readyz() -> Response:
        missing = lacks()
        if missing:
            return PlainTextResponse("".join(f"{line}\n" for line in missing), HTTPStatus.SERVICE_UNAVAILABLE)
        return PlainTextResponse("".join(f"{line}\n" for line in ("ok", *notes())))

    @app.get("/metrics")
    async def scrape() -> Response:
        return Response(metrics_text(), media_type=metrics.CONTENT_TYPE)

    return app


def _bare_app() -> FastAPI:
    return FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)


class _Mutate:
    """The endpoint as a plain ASGI application: a request object and its response cost more than a decision's facts."""

    def __init__(self, answer: Answer, refused: Callable[[Refusal], None], largest_body_bytes: int) -> None:
        self._answer = answer
        self._refused = refused
        self._largest_body_bytes = largest_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.monotonic()
        try:
            body = await _body(receive, self._largest_body_bytes)
            written = await self._answer(body, _timeout(scope["query_string"]), began)
        except _GoneError:
            return
        except RefusedError as error:
            self._refused(error.refusal)
            await _refuse(error, receive, send)
            return
        await _send(send, HTTPStatus.OK, b"application/json", written)


async def _body(receive: Receive, largest_bytes: int) -> bytes:
    """The whole body, counted as it comes."""
    pieces = []
    size_bytes = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _GoneError
        pieces.append(message["body"])
        size_bytes += len(message["body"])
        if size_bytes > largest_bytes:
            raise RefusedError(Refusal.TOO_LARGE, f"the body is larger than {largest_bytes} bytes")
        if not message["more_body"]:
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def _refuse(error: RefusedError, receive: Receive, send: Send) -> None:
    """Say why in one line; of a body that is still coming, take and drop the rest, or the line would be lost."""
    status, line = error.refusal.status, f"{error}\n".encode()
    if error.refusal is not Refusal.TOO_LARGE:
        await _send(send, status, b"text/plain; charset=utf-8", line)
        return
    await _send(send, status, b"text/plain; charset=utf-8", line, (b"connection", b"close"), last=False)
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.body", "body": b""})


async def _send(
    send: Send, status: int, content_type: bytes, body: bytes, *headers: tuple[bytes, bytes], last: bool = True
) -> None:
    length = (b"content-length", b"%d" % len(body))
    await send(
        {
            "type": "http.response.start",
            "status": int(status),
            "headers": [(b"content-type", content_type), length, *headers],
        }
    )
    await send({"type": "http.response.body", "body": body, "more_body": not last})


def _timeout(query: bytes) -> str | None:
    """The value of ?timeout=, as the API server says how long it waits."""
    if not query:
        return None
    return parse_qs(query.decode("latin-1")).get("timeout", [None])[0]
