"""Reads and writes of one object: what fails says what is in the way, and each answer tells the API server's time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from webhook.api import Api, ApiError
from webhook.tls.clock import Clock

_CALL_SECONDS = 10.0
_NOT_FOUND, CONFLICT = 404, 409


class UnfinishedPassError(Exception):
    """Why a pass did not get to its end; the message is one line."""


class AbsentObjectError(UnfinishedPassError):
    """The object, or the part of it that is needed, is not there."""


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls whose failures are UnfinishedPassErrors; a conflict stays an ApiError."""

    api: Api
    clock: Clock

    def get(self, path: str, problem: str) -> dict[str, Any]:
        """Return the object; `problem` says what it means that it cannot be read."""
        sent_at = self.clock.elapsed_seconds()
        kubernetes_object = _called(problem, lambda: self.api.get(path, timeout_seconds=_CALL_SECONDS))
        self.clock.heard(self.api.date, sent_at, self.clock.elapsed_seconds())
        return kubernetes_object

    def put(self, path: str, content: Mapping[str, Any], problem: str) -> None:
        """Replace the object."""
        _called(problem, lambda: self.api.put(path, content, timeout_seconds=_CALL_SECONDS))


def _called(problem: str, call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return call()
    except ApiError as error:
        if error.status == CONFLICT:
            raise
        if error.status == _NOT_FOUND:
            raise AbsentObjectError(f"{problem}: {error}; helm upgrade creates it again") from error
        raise UnfinishedPassError(f"{problem}: {error}") from error
