"""Since when each CA has been in all webhook configurations without a break, as far as this replica saw. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from webhook.tls.certificates import Certificate


@dataclass(slots=True)
class Settling:
    """Remembers when each public CA was seen first; times are elapsed seconds."""

    _since: dict[Certificate, float] = field(default_factory=dict)
    _generations: Mapping[str | None, int] = field(default_factory=dict)
    """Of the configurations, by their uid."""

    def seen(self, metadata: Iterable[Mapping[str, Any]], certificates: Iterable[Certificate], at: float) -> None:
        """Note the CAs that are in every entry now; those that are gone start anew when they come back.

        `metadata` is that of each configuration.
        """
        known = self._since if self._unbroken(metadata) else {}
        self._since = {certificate: known.get(certificate, at) for certificate in certificates}

    def since(self, certificate: Certificate, otherwise: float) -> float:
        """Return when this CA became public."""
        return self._since.get(certificate, otherwise)

    def until(self, latest: float) -> frozenset[Certificate]:
        """Return the CAs that have been public since then or longer."""
        return frozenset(certificate for certificate, since in self._since.items() if since <= latest)

    def _unbroken(self, metadata: Iterable[Mapping[str, Any]]) -> bool:
        """Whether what is public now and was when last seen has been so all the time between.

        Two changes of a configuration may have been one that took a CA away and one, of another replica, that brought it
        back.
        """
        former, self._generations = self._generations, {each.get("uid"): each.get("generation", 0) for each in metadata}
        if former.keys() != self._generations.keys():
            return False
        return all(generation - former[uid] in {0, 1} for uid, generation in self._generations.items())
