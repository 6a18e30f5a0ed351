"""The CAs that API servers trust: the caBundle of every webhook configuration that calls our Service.

A CA counts as trusted when it is in all of them: whichever entry an API server calls, the certificate has to be accepted.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from webhook import log
from webhook.tls import webhook_configuration
from webhook.tls.calls import AbsentObjectError, Calls, UnfinishedPassError
from webhook.tls.certificates import Certificate
from webhook.tls.objects import Objects
from webhook.tls.settling import Settling

_NOT_WRITTEN = "the certificate is not in the webhook configuration yet"


@dataclass(frozen=True, slots=True)
class Public:
    """The webhook configurations as they were read."""

    objects: Objects
    configurations: Mapping[str, Mapping[str, Any]]
    """By the path of the API."""
    faults: Sequence[str] = ()
    """Why a configuration of ours is not among them: a sentence for each."""

    def in_any_entry(self) -> tuple[Certificate, ...]:
        """Return the CAs that API servers trust for some entry of ours."""
        service, namespace = self.objects.service, self.objects.namespace
        bundles = (
            webhook_configuration.in_any_entry(each, service, namespace) for each in self.configurations.values()
        )
        return tuple(dict.fromkeys(certificate for bundle in bundles for certificate in bundle))

    def in_every_entry(self) -> frozenset[Certificate]:
        """Return the CAs that API servers trust whichever entry of ours they call."""
        service, namespace = self.objects.service, self.objects.namespace
        bundles = [
            webhook_configuration.in_every_entry(each, service, namespace) for each in self.configurations.values()
        ]
        return frozenset.intersection(*bundles)


@dataclass(slots=True)
class Bundles:
    """Reads and writes the bundles, and remembers since when which CA has been in all of them."""

    calls: Calls
    objects: Objects
    elapsed_seconds: Callable[[], float]
    logger: log.Logger
    settling: Settling = field(default_factory=Settling, init=False)

    def read(self) -> Public:
        """Return the configurations that call our Service.

        One that is absent, or that does not call our Service, holds up no other: API servers do not call it.
        Raises UnfinishedPassError if one cannot be read, or none calls our Service.
        """
        configurations, faults = dict[str, Mapping[str, Any]](), list[str]()
        for path in self.objects.configuration_paths:
            try:
                configurations[path] = self._configuration(path)
            except AbsentObjectError as error:
                faults.append(str(error))
        if not configurations:
            raise UnfinishedPassError("; ".join(faults))
        public = Public(self.objects, configurations, faults)
        metadata = [each["metadata"] for each in configurations.values()]
        self.settling.seen(metadata, public.in_every_entry(), self.elapsed_seconds())
        return public

    def write(self, public: Public, trusted: Sequence[Certificate], now: datetime | None) -> None:
        """Put these CAs into every entry of ours, and read back: an answer need not be what other clients are told.

        If `now` is None, no CA counts as ended, so none is dropped.
        """
        service, namespace, changed = self.objects.service, self.objects.namespace, False
        for path, configuration in public.configurations.items():
            content = webhook_configuration.extended(configuration, service, namespace, trusted, now)
            if content == configuration:
                continue
            self.calls.put(path, content, _NOT_WRITTEN)
            name, changed = path.rpartition("/")[2], True
            self.logger.info("trusted CAs written", webhook_configuration=name, count=len(trusted))
        if changed and not self.read().in_every_entry().issuperset(trusted):
            raise UnfinishedPassError(f"{_NOT_WRITTEN}: something else has changed it back")

    def _configuration(self, path: str) -> Mapping[str, Any]:
        name, objects = path.rpartition("/")[2], self.objects
        configuration = self.calls.get(path, f"the webhook configuration {name} cannot be read")
        if not webhook_configuration.entry_count(configuration, objects.service, objects.namespace):
            raise AbsentObjectError(
                f"no entry of the webhook configuration {name} calls the Service {objects.namespace}/{objects.service}"
            )
        return configuration
