"""Where the serving certificate comes from: a Secret that gracekeeper keeps itself, or files that somebody else renews."""

import threading
from collections.abc import Sequence
from typing import Protocol


class Source(Protocol):
    """Brings the serving certificate to the server and keeps it fresh; all but `run` may be called from any thread."""

    def run(self, stop: threading.Event) -> None:
        """Keep the certificate fresh until told to stop."""

    def lacks(self) -> Sequence[str]:
        """Return why calls cannot be answered: no certificate yet, or one that API servers refuse. Empty means ready."""

    def notes(self) -> Sequence[str]:
        """Return what is wrong although calls can be answered, and will lead to a certificate that ends."""

    def in_step(self) -> bool:
        """Whether what is served is what the source holds, and could be renewed from it."""
