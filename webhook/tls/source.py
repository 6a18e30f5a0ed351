"""The certificate that gracekeeper issues itself: reconciles Secret, webhook configurations and what is served.

Each pass reads these objects, takes at most one step of the rotation, publishes, reads back, and only then serves. All
state is in these objects, so any replica may take any step, and go on where another one was killed. A replica keeps in
memory only what it serves, since when it has seen which CA in public, and what time the API server has. A write carries
the version that was read: a replica that loses reads again and goes on from what the winner wrote.
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
from webhook.tls import rotation, secret
from webhook.tls.bundles import Bundles, Public
from webhook.tls.calls import CONFLICT, Calls, UnfinishedPassError
from webhook.tls.certificates import Certificate, in_time, service_names, untimeliness
from webhook.tls.clock import Clock
from webhook.tls.objects import Objects
from webhook.tls.secret import SecretContent, Serving
from webhook.tls.watch import ObjectWatch

_MOST_CONFLICTS = 10
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 5.0
_SHORTEST_PAUSE_SECONDS = 0.1
_QUIET_SECONDS = 1.0
"""How long a change of a webhook configuration may have to wait, so that two that fight over it flood no API server."""


@dataclass(slots=True)
class SecretSource:
    """Keeps a certificate in a Secret and its CA in the webhook configurations, and hands it to the server."""

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
    """Between two looks, while watches would tell of a changed webhook configuration."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    elapsed_seconds: Callable[[], float] = time.monotonic
    """For waiting: clocks of replicas may differ, and jump."""
    unwatched_seconds: float = 5.0
    """Between two looks, while a watch is missing."""
    clock: Clock = field(init=False)
    _calls: Calls = field(init=False)
    _bundles: Bundles = field(init=False)
    _watches: Sequence[ObjectWatch] = field(init=False)
    _changed: threading.Event = field(default_factory=threading.Event, init=False)
    _served: Serving | None = field(default=None, init=False)
    _awaited: Certificate | None = field(default=None, init=False)
    _problem: str = field(default="", init=False)
    _faults: Sequence[str] = field(default=(), init=False)

    def __post_init__(self) -> None:
        self.clock = Clock(self.now, self.elapsed_seconds, self.logger)
        self._calls = Calls(self.api, self.clock)
        self._bundles = Bundles(self._calls, self.objects, self.elapsed_seconds, self.logger)
        self._watches = [
            ObjectWatch(self.api, "MutatingWebhookConfiguration", path, self._changed.set, self.logger)
            for path in self.objects.configuration_paths
        ]

    def run(self, stop: threading.Event) -> None:
        """Reconcile every minute, sooner if a webhook configuration changes or something has to be done again."""
        for watch in self._watches:
            threading.Thread(target=watch.run, args=(stop,), name="webhook-configuration", daemon=True).start()
        failures = 0
        while not stop.is_set():
            self._changed.clear()
            failures = 0 if self.reconcile() else failures + 1
            self._pause(stop, self.pause_seconds(failures))
        for watch in self._watches:
            watch.end()

    def lacks(self) -> Sequence[str]:
        """Return what is missing before the first certificate is served, or why API servers refuse the one in use."""
        if self._served is None:
            return (self._problem or "the certificate is not in the webhook configuration yet",)
        leaf, authority, now = self._served.leaf.certificate, self._served.authority.certificate, self.clock.now()
        begin, end = max(leaf.not_valid_before_utc, authority.not_valid_before_utc), leaf.not_valid_after_utc
        again = self._problem or (self.clock.difference() if self.clock.differs() else "being issued again")
        problem = untimeliness(begin, end, now)
        return (f"the serving certificate {problem}: {again}",) if problem else ()

    def notes(self) -> Sequence[str]:
        """Return what is wrong although the certificate in use is accepted: it cannot be kept, or a clock is wrong."""
        if self._served is None:
            return ()
        problems = (f"the certificate is not kept in step: {self._problem}",) if self._problem else ()
        return (*problems, self.clock.difference()) if self.clock.differs() else problems

    def in_step(self) -> bool:
        """Whether the last pass found everything, or could put it right."""
        return self._served is not None and not self._problem

    def reconcile(self) -> bool:
        """One pass; False where it has to be tried again soon. What was in the way is in `lacks`, and logged once."""
        try:
            self._pass_without_conflict()
        except (UnfinishedPassError, ApiError, ssl.SSLError) as error:
            self._tell_problem(str(error))
            return False
        except Exception as error:  # noqa: BLE001  # the thread must live on: a certificate has an end
            self._tell_problem(f"a bug: {type(error).__name__}", **log.trace(error))
            return False
        self._tell_problem("" if self._served else f"a new CA is made known for {self.settle_seconds:g} s first")
        return True

    def pause_seconds(self, failures: int) -> float:
        """How long until the next pass, after so many that failed in a row."""
        if failures:
            return min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 10))
        interval_seconds = self.interval_seconds
        if not all(watch.up for watch in self._watches):
            interval_seconds = min(interval_seconds, self.unwatched_seconds)
        if self._awaited is None:
            return interval_seconds
        since = self._bundles.settling.since(self._awaited, self.elapsed_seconds())
        left_seconds = since + self.settle_seconds - self.elapsed_seconds()
        return min(interval_seconds, max(_SHORTEST_PAUSE_SECONDS, left_seconds))

    def _pass_without_conflict(self) -> None:
        for attempt in range(1, _MOST_CONFLICTS + 1):
            try:
                return self._pass()
            except ApiError as error:
                if error.status != CONFLICT or attempt == _MOST_CONFLICTS:
                    raise
        return None

    def _pass(self) -> None:
        try:
            given = self._calls.get(self.objects.secret_path, f"the Secret {self.objects.secret} cannot be read")
        except UnfinishedPassError:
            self._restore(
                self._bundles.read(), self._own()
            )  # what is served stays trusted, whatever became of the Secret
            raise
        content = secret.read(given, self._names)
        public = self._bundles.read()
        self._step(given, content, public, (*public.in_any_entry(), *self._own()))
        if public.faults:
            raise UnfinishedPassError("; ".join(public.faults))

    def _step(
        self, given: Mapping[str, Any], content: SecretContent, public: Public, trusted: Sequence[Certificate]
    ) -> None:
        """Take the next step of the rotation, from what the Secret and the bundles hold."""
        if self.clock.differs():
            self._restore(public, rotation.unchanged(content, trusted).trusted)
            self._awaited = None
            self._serve(content.serving)
            if self._served is None:
                raise UnfinishedPassError(self.clock.difference())
            return
        now = self.clock.now()
        self._tell_faults((*content.faults, *rotation.untimely(content, now)))
        step = rotation.following(content, trusted, self._settled(), rotation.Terms(self._names, self.life), now)
        self._keep(given, content, step)
        self._bundles.write(public, step.trusted, now)
        self._awaited = step.next_authority.certificate if step.next_authority else None
        self._serve(step.serving)

    @property
    def _names(self) -> tuple[str, ...]:
        """The names of the Service, for which the certificate is issued."""
        return service_names(self.objects.service, self.objects.namespace)

    def _own(self) -> Sequence[Certificate]:
        return [self._served.authority.certificate] if self._served else []

    def _keep(self, given: Mapping[str, Any], before: SecretContent, after: SecretContent) -> None:
        content = secret.written(given, after)
        if content != given:
            self._calls.put(self.objects.secret_path, content, f"the Secret {self.objects.secret} cannot be written")
            for event in _events(before, after):
                self.logger.info(event, secret=self.objects.secret)

    def _restore(self, public: Public, trusted: Sequence[Certificate]) -> None:
        """Publish these CAs if one is missing, and drop none."""
        if not public.in_every_entry().issuperset(trusted):
            self._bundles.write(public, trusted, None)

    def _settled(self) -> frozenset[Certificate]:
        """The CAs that have been public for so long that every API server knows them."""
        return self._bundles.settling.until(self.elapsed_seconds() - self.settle_seconds)

    def _serve(self, serving: Serving | None) -> None:
        """Change to the certificate that is kept, as soon as no call can be lost by it."""
        if serving is None or serving == self._served or not self._accepted(serving):
            return
        if not self._may_change_to(serving):
            self._awaited = serving.authority.certificate
            return
        leaf = serving.leaf
        self.use(leaf.certificate_pem, leaf.key_pem)
        self._served = serving
        self.ends(leaf.certificate.not_valid_after_utc.timestamp())
        self.logger.info("certificate in use", ends=leaf.certificate.not_valid_after_utc.isoformat())

    def _may_change_to(self, serving: Serving) -> bool:
        """At once where there is nothing to serve with, or the CA stays; else when the CA has settled.

        What the Secret holds has settled before it was written, but not always: data can be wiped and restored.
        """
        served, authority = self._served, serving.authority.certificate
        if served is None or not self._accepted(served):
            return True
        return served.authority.certificate == authority or authority in self._settled()

    def _accepted(self, serving: Serving) -> bool:
        """Whether API servers accept it by their time."""
        now = self.clock.now()
        return in_time(serving.leaf.certificate, now) and in_time(serving.authority.certificate, now)

    def _pause(self, stop: threading.Event, seconds: float) -> None:
        """Wait; a change of a webhook configuration ends it, but not within the first second."""
        end = time.monotonic() + seconds
        stop.wait(min(seconds, _QUIET_SECONDS))
        while (left_seconds := end - time.monotonic()) > 0 and not stop.is_set():
            if self._changed.wait(min(left_seconds, _QUIET_SECONDS)):
                return

    def _tell_problem(self, problem: str, **why: Any) -> None:
        if problem != self._problem:
            if problem:
                self.logger.warning("certificate not kept in step", lack=problem, **why)
            else:
                self.logger.info("certificate in step")
            self._problem = problem

    def _tell_faults(self, faults: Sequence[str]) -> None:
        if faults and faults != self._faults:
            self.logger.warning(
                "what is unsound in the Secret is issued again", secret=self.objects.secret, faults=faults
            )
        self._faults = faults


def _events(before: SecretContent, after: SecretContent) -> list[str]:
    """What happened to the Secret, for the log."""
    events = []
    if after.next_authority and after.next_authority != before.next_authority:
        events.append("new CA kept, to be used when API servers know it")
    if after.serving and after.serving != before.serving:
        events.append("new certificate issued")
    return events or ["trusted CAs kept"]
