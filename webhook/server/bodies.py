"""The body of a request while it arrives: kept within its size and its sender's share of the budget, or dropped.

Law: of a body that will not be used nothing is kept but its head, and the rest is taken off the wire, because a caller
that is still sending would lose the answer.
"""

import re
from dataclasses import dataclass

from starlette.types import Receive

from webhook.admission import Refusal, RefusedError
from webhook.server.budget import Reservation

_HEAD_BYTES = 4096
"""API servers write uid, name (253 bytes) and namespace before the object: k8s.io/api/admission/v1, AdmissionRequest."""
_UID = re.compile(rb'"uid"\s*:\s*"([^"\\]{1,256})"')
_NAMESPACE = re.compile(rb'"namespace"\s*:\s*"([^"\\]{1,253})"')


class GoneError(Exception):
    """The caller hung up before its request was complete."""


class NoRoomError(Exception):
    """The body was dropped, because its sender's share of the budget is used up."""

    def __init__(self, head: "Head") -> None:
        super().__init__("the body was dropped")
        self.head = head


@dataclass(frozen=True, slots=True)
class Head:
    """What the first bytes of an AdmissionReview tell; empty where they do not."""

    uid: str
    namespace: str

    @classmethod
    def of(cls, body: bytes) -> "Head":
        """The head of a body, or of its first bytes, without parsing it.

        A caller that writes its fields in another order than an API server shares one namespace with others of its kind.
        """
        start = body[:_HEAD_BYTES]
        return cls(_text(_UID.search(start)), _text(_NAMESPACE.search(start)))


class ArrivingBody:
    """One body, read once."""

    def __init__(self, receive: Receive, largest_bytes: int, reservation: Reservation) -> None:
        self._receive = receive
        self._largest_bytes = largest_bytes
        self._reservation = reservation
        self._pieces: list[bytes] = []
        self._size_bytes = 0
        self._ended = False

    async def read(self) -> bytes:
        """The whole body.

        RefusedError, at once, where it is too large; NoRoomError, at its end, where there is no room for it; GoneError.
        """
        while not self._ended:
            self._pieces.append(await self._next())
            if self._ended and len(self._pieces) == 1:
                return self._pieces.pop()
            if not self._reservation.hold(self._size_bytes):
                await self._drop()
        body = b"".join(self._pieces)
        self._pieces.clear()
        return body

    async def drain(self) -> None:
        """Take what is still to come off the wire, and drop it."""
        while not self._ended:
            self._ended = not (await self._receive()).get("more_body")

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise GoneError
        piece: bytes = message["body"]
        self._size_bytes += len(piece)
        self._ended = not message["more_body"]
        if self._size_bytes > self._largest_bytes:
            self._pieces.clear()
            self._reservation.release()
            raise RefusedError(Refusal.TOO_LARGE, f"the body is larger than {self._largest_bytes} bytes")
        return piece

    async def _drop(self) -> None:
        start = b"".join(self._pieces)[:_HEAD_BYTES]
        self._pieces.clear()
        while not self._ended:
            start = (start + await self._next())[:_HEAD_BYTES]
        raise NoRoomError(Head.of(start))


def _text(match: re.Match[bytes] | None) -> str:
    return "" if match is None else match[1].decode("utf-8", "replace")
