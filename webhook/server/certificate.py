"""The certificate that is being served, and its exchange while connections are open."""

import os
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Certificate:
    """What TLS handshakes present: nothing at first, then whatever was handed in last, from any thread.

    Each certificate gets a context of its own, and a handshake picks the newest: a context that is loaded again keeps
    a former key of another type (EC, RSA) and might go on presenting it.
    """

    def __init__(self) -> None:
        self._newest: ssl.SSLContext | None = None
        self._lock = threading.Lock()
        self._wake: list[Callable[[], object]] = []
        self.context = _context()
        """What a listening socket is given, once and for all."""
        self.context.sni_callback = self._choose

    @property
    def present(self) -> bool:
        """Whether there is a certificate to serve with."""
        return self._newest is not None

    def use(self, certificate_pem: bytes, key_pem: bytes) -> None:
        """Serve with this chain and key from the next handshake on; ssl.SSLError, and no change, where they do not fit."""
        context = _context()
        with _readable(certificate_pem) as chain, _readable(key_pem) as key:
            context.load_cert_chain(chain, key, password=_no_password)
        with self._lock:
            self._newest = context
            waiting, self._wake = self._wake, []
        for wake in waiting:
            wake()

    def when_present(self, wake: Callable[[], object]) -> None:
        """Call once there is a certificate, at once if there is; the call may come from another thread."""
        with self._lock:
            if self._newest is None:
                self._wake.append(wake)
                return
        wake()

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> int | None:
        if self._newest is None:
            return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
        connection.context = self._newest
        return None


def _no_password() -> bytes:
    """What an encrypted key is opened with; without a word OpenSSL would ask on the terminal and wait."""
    return b""


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION  # a resumed session would outlive its certificate
    context.num_tickets = 0
    return context


@contextmanager
def _readable(pem: bytes) -> Iterator[str]:
    """A path to bytes in memory: OpenSSL reads paths only, and keys belong on no disk."""
    descriptor = os.memfd_create("pem")
    try:
        os.write(descriptor, pem)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
