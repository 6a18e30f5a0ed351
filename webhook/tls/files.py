"""The certificate from a directory that somebody else writes: cert-manager's Secret mounted by the kubelet, or an admin.

A pair that cannot be used never replaces one that can: not one that does not fit, has ended or is not valid yet. Without an
API server to compare with, this node's clock decides.
"""

import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from webhook import log
from webhook.tls.certificates import Certificate, UnsoundError, begun, read_bundle, read_pair, untimeliness

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
    _served: Certificate | None = field(default=None, init=False)
    _problem: str = field(default="not read yet", init=False)

    def run(self, stop: threading.Event) -> None:
        """Look again and again until told to stop."""
        while not stop.is_set():
            self.look()
            stop.wait(self.interval_seconds)

    def lacks(self) -> Sequence[str]:
        """Return what is missing before the first certificate is served, or why nobody accepts the one in use."""
        if self._served is None:
            return (f"no certificate in {self.directory}: {self._problem}",)
        now = self.now()
        problem = _untimely(self._served, now)
        return (f"the serving {problem}; the clock here says {now:%Y-%m-%d %H:%M}Z",) if problem else ()

    def notes(self) -> Sequence[str]:
        """Return why the files cannot be used, although a former certificate of theirs can."""
        return (f"the certificate files cannot be used: {self._problem}",) if self._served and self._problem else ()

    def in_step(self) -> bool:
        """Whether what is served is what the files hold."""
        return not self._problem

    def look(self) -> None:
        """Read both files, and use them where they have changed; what is in the way is logged once."""
        try:
            self._use_if_changed(_read_both(self.directory))
        except (ssl.SSLError, UnsoundError, ValueError) as error:
            self._tell_problem(_sentence(error))
        except OSError as error:
            self._tried = None  # when they are back, this is over, whether or not they have changed
            self._tell_problem(_sentence(error))

    def _use_if_changed(self, files: tuple[bytes, bytes]) -> None:
        if files == self._tried:
            return
        self._tried = None
        certificate = read_pair(*files).certificate
        self._check_time(files[0], certificate)  # found again at each look: its time may come
        self._tried = files
        self.use(*files)
        self._served, self._problem = certificate, ""
        end = certificate.not_valid_after_utc
        self.ends(end.timestamp())
        self.logger.info("certificate in use", directory=str(self.directory), ends=end.isoformat())

    def _check_time(self, chain_pem: bytes, leaf: Certificate) -> None:
        """UnsoundError where nobody accepts the chain now. An issuer in it that has ended may have a successor elsewhere."""
        now = self.now()
        if problem := _untimely(leaf, now):
            raise UnsoundError(f"the {problem}")
        for issuer in read_bundle(chain_pem)[1:]:
            if not begun(issuer, now):
                raise UnsoundError(f"an issuer's {_untimely(issuer, now)}")

    def _tell_problem(self, problem: str) -> None:
        if problem != self._problem:
            self.logger.warning("certificate files cannot be used", directory=str(self.directory), lack=problem)
        self._problem = problem


def _read_both(directory: Path) -> tuple[bytes, bytes]:
    """Both files of one moment: the kubelet writes a new folder and swaps the link `..data` to it."""
    link = directory / "..data"
    folder = link.resolve(strict=True) if link.is_symlink() else directory
    return (folder / CERTIFICATE_FILE).read_bytes(), (folder / KEY_FILE).read_bytes()


def _untimely(certificate: Certificate, now: datetime) -> str:
    """Return why nobody accepts it by its time, or nothing."""
    problem = untimeliness(certificate.not_valid_before_utc, certificate.not_valid_after_utc, now)
    return f"certificate {problem}" if problem else ""


def _sentence(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"they do not fit: {error}"
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}"
    return str(error)
