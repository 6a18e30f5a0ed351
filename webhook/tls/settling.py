"""Since when each CA has been in the webhook configuration without a break, as far as this replica saw. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from webhook.tls.certificates import Certificate


@dataclass(slots=True)
class Settling:
    """Remembers when each public CA was seen first; times are elapsed seconds."""

    _since: dict[Certificate, float] = field(default_factory=dict)
    _revision: tuple[str | None, int] = (None, 0)

    def seen(self, metadata: Mapping[str, Any], certificates: Iterable[Certificate], at: float) -> None:
        """Note the CAs that are in every entry now; those that are gone start anew when they come back."""
        known = self._since if self._unbroken(metadata) else {}
        self._since = {certificate: known.get(certificate, at) for certificate in certificates}

    def since(self, certificate: Certificate, otherwise: float) -> float:
        """Return when this CA became public."""
        return self._since.get(certificate, otherwise)

    def until(self, latest: float) -> frozenset[Certificate]:
        """Return the CAs that have been public since then or longer."""
        return frozenset(certificate for certificate, since in self._since.items() if since <= latest)

    def _unbroken(self, metadata: Mapping[str, Any]) -> bool:
        """Whether what is public now and was when last seen has been so all the time between.

        Two changes since may have been one that took it away and one, of another replica, that brought it back.
        """
        uid, generation = revision = (metadata.get("uid"), metadata.get("generation", 0))
        (former_uid, former), self._revision = self._revision, revision
        return uid == former_uid and generation - former in {0, 1}
