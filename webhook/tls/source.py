"""The certificate that gracekeeper issues itself: reconciles Secret, webhook configuration and what is served.

Each pass reads both objects, takes at most one step of the rotation, publishes, reads back, and only then serves. All
state is in the two objects, so any replica may take any step, and go on where another one was killed; a replica keeps in
memory only what it serves and since when it has seen which CA in public. A write carries the version that was read:
who loses reads again and goes on from what the winner wrote.
"""

import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from webhook import log
from webhook.api import Api, ApiError
from webhook.tls import rotation, secret, webhook_configuration
from webhook.tls.certificates import Certificate, ended, service_names
from webhook.tls.secret import Kept, Serving

_CALL_SECONDS = 10.0
_CONFLICT = 409
_MOST_CONFLICTS = 10
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 5.0
_SHORTEST_PAUSE_SECONDS = 0.1


class _LackError(Exception):
    """Why a pass did not get to its end; the message is one line."""


@dataclass(frozen=True, slots=True)
class Objects:
    """The names of what is kept in step."""

    namespace: str
    service: str
    secret: str
    configuration: str

    @property
    def secret_path(self) -> str:
        """Where the API has the Secret."""
        return f"/api/v1/namespaces/{self.namespace}/secrets/{self.secret}"

    @property
    def configuration_path(self) -> str:
        """Where the API has the webhook configuration."""
        return f"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/{self.configuration}"


@dataclass(slots=True)
class SecretSource:
    """Keeps a certificate in a Secret and its CA in the webhook configuration, and hands it to the server."""

    api: Api
    objects: Objects
    use: Callable[[bytes, bytes], object]
    """Serve with this certificate and key (PEM); ssl.SSLError where they do not fit."""
    ends: Callable[[float], object]
    """Tell when the served certificate ends, as Unix time."""
    logger: log.Logger = field(default_factory=log.logger)
    life: timedelta = timedelta(days=365)
    settle_seconds: float = 30.0
    interval_seconds: float = 60.0
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    elapsed_seconds: Callable[[], float] = time.monotonic
    """For waiting: clocks of replicas may differ, and jump."""
    _served: Serving | None = field(default=None, init=False)
    _awaited: Certificate | None = field(default=None, init=False)
    _public_since: dict[Certificate, float] = field(default_factory=dict, init=False)
    _revision: tuple[str | None, int] = field(default=(None, 0), init=False)
    _lack: str = field(default="", init=False)
    _faults: Sequence[str] = field(default=(), init=False)

    def run(self, stop: threading.Event) -> None:
        """Reconcile every minute, sooner where something has to be done again or waited for, until told to stop."""
        failures = 0
        while not stop.is_set():
            failures = 0 if self.reconcile() else failures + 1
            stop.wait(self.pause_seconds(failures))

    def lacks(self) -> Sequence[str]:
        """What is missing before the first certificate is served, or that it has ended, in words."""
        if self._served is None:
            return (self._lack or "the certificate is not in the webhook configuration yet",)
        end = self._served.leaf.certificate.not_valid_after_utc
        if end <= self.now():
            return (f"the serving certificate ended at {end:%Y-%m-%d %H:%M}Z: {self._lack or 'being renewed'}",)
        return ()

    def reconcile(self) -> bool:
        """One pass; False where it has to be tried again soon. What was in the way is in `lacks`, and logged once."""
        try:
            self._pass_without_conflict()
        except (_LackError, ApiError, ssl.SSLError) as error:
            self._tell_lack(str(error))
            return False
        except Exception as error:  # noqa: BLE001  # the thread must live on: a certificate has an end
            self._tell_lack(f"a bug: {type(error).__name__}", **log.trace(error))
            return False
        self._tell_lack("" if self._served else f"a new CA is made known for {self.settle_seconds:g} s first")
        return True

    def pause_seconds(self, failures: int) -> float:
        """How long until the next pass, after so many that failed in a row."""
        if failures:
            return min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 10))
        if self._awaited is None:
            return self.interval_seconds
        since = self._public_since.get(self._awaited, self.elapsed_seconds())
        left_seconds = since + self.settle_seconds - self.elapsed_seconds()
        return min(self.interval_seconds, max(_SHORTEST_PAUSE_SECONDS, left_seconds))

    def _pass_without_conflict(self) -> None:
        for attempt in range(1, _MOST_CONFLICTS + 1):
            try:
                return self._pass()
            except ApiError as error:
                if error.status != _CONFLICT or attempt == _MOST_CONFLICTS:
                    raise
        return None

    def _pass(self) -> None:
        names = service_names(self.objects.service, self.objects.namespace)
        given = self._get(self.objects.secret_path, f"the Secret {self.objects.secret} cannot be read")
        kept = secret.read(given, names)
        self._tell_faults(kept.faults)
        public = self._public()
        own = [self._served.authority.certificate] if self._served else []
        trusted = (*webhook_configuration.in_any_entry(public, self.objects.service, self.objects.namespace), *own)
        terms = rotation.Terms(names, self.life)
        step = rotation.following(kept, trusted, self._settled(), terms, self.now())
        self._keep(given, kept, step)
        self._publish(public, step.trusted)
        self._serve(step)

    def _keep(self, given: Mapping[str, Any], before: Kept, after: Kept) -> None:
        content = secret.written(given, after)
        if content != given:
            self._put(self.objects.secret_path, content, f"the Secret {self.objects.secret} cannot be written")
            for event in _events(before, after):
                self.logger.info(event, secret=self.objects.secret)

    def _publish(self, public: Mapping[str, Any], trusted: Sequence[Certificate]) -> None:
        """The CAs into every entry of ours, and read back: what an answer says need not be what others are told."""
        objects, problem = self.objects, "the certificate is not in the webhook configuration yet"
        content = webhook_configuration.extended(public, objects.service, objects.namespace, trusted, self.now())
        if content == public:
            return
        self._put(objects.configuration_path, content, problem)
        self.logger.info("trusted CAs written", webhook_configuration=objects.configuration, count=len(trusted))
        read_back = self._public()
        if not webhook_configuration.in_every_entry(read_back, objects.service, objects.namespace).issuperset(trusted):
            raise _LackError(f"{problem}: something else has changed it back")

    def _public(self) -> dict[str, Any]:
        """The webhook configuration; notes which CAs are in it, and since when."""
        objects = self.objects
        found = self._get(
            objects.configuration_path, f"the webhook configuration {objects.configuration} cannot be read"
        )
        if not webhook_configuration.entry_count(found, objects.service, objects.namespace):
            raise _LackError(
                f"no entry of the webhook configuration {objects.configuration} "
                f"calls the Service {objects.namespace}/{objects.service}"
            )
        seen = webhook_configuration.in_every_entry(found, objects.service, objects.namespace)
        known, at = self._public_since if self._unbroken(found["metadata"]) else {}, self.elapsed_seconds()
        self._public_since = {certificate: known.get(certificate, at) for certificate in seen}
        return found

    def _unbroken(self, metadata: Mapping[str, Any]) -> bool:
        """Whether what is public now and was when last seen has been so all the time between.

        Two changes since may have been one that took it away and one, of another replica, that brought it back.
        """
        uid, generation = revision = (metadata.get("uid"), metadata.get("generation", 0))
        (former_uid, former), self._revision = self._revision, revision
        return uid == former_uid and generation - former in {0, 1}

    def _settled(self) -> frozenset[Certificate]:
        """The CAs that have been public for so long that every API server knows them."""
        latest = self.elapsed_seconds() - self.settle_seconds
        return frozenset(certificate for certificate, since in self._public_since.items() if since <= latest)

    def _serve(self, kept: Kept) -> None:
        """Change to the certificate that is kept, as soon as no call can be lost by it."""
        self._awaited = kept.next_authority.certificate if kept.next_authority else None
        if kept.serving is None or kept.serving == self._served:
            return
        if not self._may_change_to(kept.serving):
            self._awaited = kept.serving.authority.certificate
            return
        leaf = kept.serving.leaf
        self.use(leaf.certificate_pem, leaf.key_pem)
        self._served = kept.serving
        self.ends(leaf.certificate.not_valid_after_utc.timestamp())
        self.logger.info("certificate in use", ends=leaf.certificate.not_valid_after_utc.isoformat())

    def _may_change_to(self, serving: Serving) -> bool:
        """At once where there is nothing to serve with, or the CA stays; else when the CA has settled.

        What the Secret holds has settled before it was written, but not always: data can be wiped and restored.
        """
        served, authority = self._served, serving.authority.certificate
        if served is None or ended(served.leaf.certificate, self.now()):
            return True
        return served.authority.certificate == authority or authority in self._settled()

    def _get(self, path: str, problem: str) -> dict[str, Any]:
        return self._called(problem, lambda: self.api.get(path, timeout_seconds=_CALL_SECONDS))

    def _put(self, path: str, content: Mapping[str, Any], problem: str) -> None:
        self._called(problem, lambda: self.api.put(path, content, timeout_seconds=_CALL_SECONDS))

    def _called(self, problem: str, call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            return call()
        except ApiError as error:
            if error.status == _CONFLICT:
                raise
            raise _LackError(f"{problem}: {error}") from error

    def _tell_lack(self, lack: str, **why: Any) -> None:
        if lack != self._lack:
            if lack:
                self.logger.warning("certificate not kept in step", lack=lack, **why)
            else:
                self.logger.info("certificate in step")
            self._lack = lack

    def _tell_faults(self, faults: Sequence[str]) -> None:
        if faults and faults != self._faults:
            self.logger.warning(
                "what is unsound in the Secret is issued again", secret=self.objects.secret, faults=faults
            )
        self._faults = faults


def _events(before: Kept, after: Kept) -> list[str]:
    """What happened to the Secret, for the log."""
    events = []
    if after.next_authority and after.next_authority != before.next_authority:
        events.append("new CA kept, to be used when API servers know it")
    if after.serving and after.serving != before.serving:
        events.append("new certificate issued")
    return events or ["trusted CAs kept"]
