"""The certificate from a directory that somebody else writes: cert-manager's Secret mounted by the kubelet, or an admin.

A pair that cannot be used never replaces one that can.
"""

import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from webhook import log
from webhook.tls.certificates import UnsoundError, read_pair

CERTIFICATE_FILE, KEY_FILE = "tls.crt", "tls.key"


@dataclass(slots=True)
class FilesSource:
    """Reads certificate and key every few seconds, and hands them to the server when they have changed."""

    directory: Path
    use: Callable[[bytes, bytes], object]
    """Serve with this certificate and key (PEM); ssl.SSLError where they do not fit."""
    ends: Callable[[float], object]
    """Tell when the served certificate ends, as Unix time."""
    logger: log.Logger = field(default_factory=log.logger)
    interval_seconds: float = 5.0
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _tried: tuple[bytes, bytes] | None = field(default=None, init=False)
    _end: datetime | None = field(default=None, init=False)
    _lack: str = field(default="not read yet", init=False)

    def run(self, stop: threading.Event) -> None:
        """Look again and again until told to stop."""
        while not stop.is_set():
            self.look()
            stop.wait(self.interval_seconds)

    def lacks(self) -> Sequence[str]:
        """What is missing before the first certificate is served, or that it has ended, in words."""
        if self._end is None:
            return (f"no certificate in {self.directory}: {self._lack}",)
        if self._end <= self.now():
            return (f"the serving certificate ended at {self._end:%Y-%m-%d %H:%M}Z",)
        return ()

    def look(self) -> None:
        """Read both files, and use them where they have changed; what is in the way is logged once."""
        try:
            self._use_if_changed(_read_both(self.directory))
        except (ssl.SSLError, UnsoundError, ValueError) as error:
            self._tell_lack(_sentence(error))
        except OSError as error:
            self._tried = None  # when they are back, this is over, whether or not they have changed
            self._tell_lack(_sentence(error))

    def _use_if_changed(self, found: tuple[bytes, bytes]) -> None:
        if found == self._tried:
            return
        self._tried = found
        end = read_pair(*found).certificate.not_valid_after_utc
        self.use(*found)
        self._end, self._lack = end, ""
        self.ends(end.timestamp())
        self.logger.info("certificate in use", directory=str(self.directory), ends=end.isoformat())

    def _tell_lack(self, lack: str) -> None:
        if lack != self._lack:
            self.logger.warning("certificate files cannot be used", directory=str(self.directory), lack=lack)
        self._lack = lack


def _read_both(directory: Path) -> tuple[bytes, bytes]:
    """Both files of one moment: the kubelet writes a new folder and swaps the link `..data` to it."""
    link = directory / "..data"
    folder = link.resolve(strict=True) if link.is_symlink() else directory
    return (folder / CERTIFICATE_FILE).read_bytes(), (folder / KEY_FILE).read_bytes()


def _sentence(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"they do not fit: {error}"
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}"
    return str(error)
