"""The two FastAPI applications: /mutate alone on the webhook's port, health and metrics on the other."""

import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from urllib.parse import parse_qs

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from webhook import metrics
from webhook.admission import Refusal, RefusedError
from webhook.server.bodies import ArrivingBody, GoneError
from webhook.server.reviews import Reviews


def webhook_app(reviews: Reviews, refused: Callable[[Refusal], None], largest_body_bytes: int) -> FastAPI:
    """POST /mutate."""
    app = _bare_app()
    app.add_route("/mutate", _Mutate(reviews, refused, largest_body_bytes), methods=["POST"])  # type: ignore[arg-type]  # an ASGI application
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

    def __init__(self, reviews: Reviews, refused: Callable[[Refusal], None], largest_body_bytes: int) -> None:
        self._reviews = reviews
        self._refused = refused
        self._largest_body_bytes = largest_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.monotonic()
        with self._reviews.reservation(scope["client"]) as reservation:
            body = ArrivingBody(receive, self._largest_body_bytes, reservation)
            try:
                written = await self._reviews.answer(body, reservation, _timeout(scope["query_string"]), began)
            except GoneError:
                return
            except RefusedError as error:
                refusal, line = error.refusal, f"{error}\n".encode()
            else:
                await _send(send, HTTPStatus.OK, b"application/json", written)
                return
        self._refused(refusal)
        await _refuse(refusal, line, body, send)


async def _refuse(refusal: Refusal, line: bytes, body: ArrivingBody, send: Send) -> None:
    """Say why in one line, and take the rest of a body that is still coming off the wire, or the line would be lost."""
    if refusal is not Refusal.TOO_LARGE:
        await _send(send, refusal.status, b"text/plain; charset=utf-8", line)
        return
    await _send(send, refusal.status, b"text/plain; charset=utf-8", line, (b"connection", b"close"), last=False)
    await body.drain()
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
