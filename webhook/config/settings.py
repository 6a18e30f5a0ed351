"""Settings of the process from its environment: read once, frozen, typos refused."""

import os
from collections.abc import Mapping
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Self, TypeVar

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from webhook.config.field_errors import ConfigError, refusal
from webhook.policy.prefix import OBSERVER_ENVIRONMENT_PREFIX, SERVER_ENVIRONMENT_PREFIX


class LogFormat(StrEnum):
    """JSON lines for machines, or lines for people."""

    JSON = "json"
    CONSOLE = "console"


class CertificateSource(StrEnum):
    """A Secret that gracekeeper keeps itself, or files that somebody else mounts and renews."""

    SECRET = "secret"  # noqa: S105  # a kind of object
    FILES = "files"


class FactsSource(StrEnum):
    """The cluster's API server, or nothing (for a demonstration and for benchmarks)."""

    CLUSTER = "cluster"
    NONE = "none"


class ServerSettings(BaseSettings):
    """How this process serves; each from an environment variable of its name with the prefix GRACEKEEPER_SERVER_."""

    model_config = SettingsConfigDict(env_prefix=SERVER_ENVIRONMENT_PREFIX, env_ignore_empty=True, frozen=True)

    host: str = "0.0.0.0"  # noqa: S104  # a server in a pod is called from outside the pod
    port: int = Field(10250, ge=1, le=65535)
    """Private control planes (GKE, EKS) let calls to nodes through on the kubelet's port only."""
    health_port: int = Field(8080, ge=1, le=65535)
    health_host: str | None = None
    """Where the health port listens; None: where the webhook's port does. Loopback in the network of a node."""
    config_file: Path | None = None
    """The admin's configuration; without one the built-in defaults hold."""
    drain_seconds: float = Field(10.0, ge=0, le=300)
    """How long the server still answers after SIGTERM: until every API server has seen the endpoint go."""
    deadline_seconds: float = Field(2.0, gt=0, le=2)
    """The most that gathering facts may take; the webhook's timeout is 3 s."""
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$")
    log_format: LogFormat = LogFormat.JSON
    facts: FactsSource = FactsSource.CLUSTER
    replicas: int = Field(0, ge=0)
    """How many replicas the installation asks for, for the metric of that name and the alert on it."""
    certificate_source: CertificateSource = CertificateSource.SECRET
    certificate_directory: Path | None = None
    """Where tls.crt and tls.key are, when the source is files."""
    namespace: str | None = None
    pre_pull_daemon_set: str | None = None
    """The DaemonSet of this namespace that keeps supervise's image on the nodes; None where it is not installed."""
    memory_name: str | None = None
    """The ConfigMap of this namespace that holds what the observer learned; None where nobody observes."""
    service_name: str | None = None
    secret_name: str | None = None
    webhook_configuration_names: str | None = None
    """With commas between them."""
    certificate_validity_days: int = Field(365, ge=1, le=3650)
    """Of the leaf; renewed when a third of it is left."""
    certificate_settle_seconds: float = Field(30.0, ge=0, le=3600)
    """From a new CA in the bundle to the new leaf: API servers learn of a configuration within seconds."""

    @model_validator(mode="after")
    def _two_ports(self) -> Self:
        if self.port == self.health_port:
            raise ValueError(f"{_variable('port')} and {_variable('health_port')} are both {self.port}")
        return self

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        needed = {
            CertificateSource.SECRET: ("namespace", "service_name", "secret_name", "webhook_configuration_names"),
            CertificateSource.FILES: ("certificate_directory",),
        }[self.certificate_source]
        absent = [_variable(name) for name in needed if not getattr(self, name)]
        if absent:
            raise ValueError(f"certificate source {self.certificate_source} needs {', '.join(absent)}")
        return self


class ObserverSettings(BaseSettings):
    """How this process observes; each from an environment variable of its name with the prefix GRACEKEEPER_OBSERVER_."""

    model_config = SettingsConfigDict(env_prefix=OBSERVER_ENVIRONMENT_PREFIX, env_ignore_empty=True, frozen=True)

    namespace: str
    """Where the memory is: the release's namespace."""
    memory_name: str
    """The ConfigMap that holds what was learned."""
    namespaces: str = ""
    """Whose pods are watched, with commas between them; empty: all namespaces by one watch."""
    write_seconds: float = Field(60.0, ge=1, le=3600)
    """The shortest time between two writes of what was learned."""
    config_file: Path | None = None
    """The admin's configuration; without one the built-in defaults hold."""
    health_host: str = "0.0.0.0"  # noqa: S104  # the kubelet and Prometheus call from outside the pod
    health_port: int = Field(8080, ge=1, le=65535)
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$")
    log_format: LogFormat = LogFormat.JSON


_Settings = TypeVar("_Settings", ServerSettings, ObserverSettings)


def server_settings() -> ServerSettings:
    """Return the settings of this process; ConfigError names the variable that is wrong."""
    return _read(ServerSettings, SERVER_ENVIRONMENT_PREFIX)


def observer_settings() -> ObserverSettings:
    """Return the settings of this process; ConfigError names the variable that is wrong."""
    return _read(ObserverSettings, OBSERVER_ENVIRONMENT_PREFIX)


def _read(settings: type[_Settings], prefix: str) -> _Settings:
    _refuse_unknown(settings, prefix, os.environ)
    try:
        return settings()
    except ValidationError as error:
        raise refusal(error, lambda field: prefix + field.upper()) from None


def _refuse_unknown(settings: type[BaseSettings], prefix: str, environment: Mapping[str, str]) -> None:
    """A misspelt variable would leave a default in force without a word: pydantic reads those that it knows, and no others."""
    known = [prefix + field.upper() for field in settings.model_fields]
    for name in sorted(environment):
        if name.upper().startswith(prefix) and name.upper() not in known:
            hint = "".join(f", did you mean {near}?" for near in get_close_matches(name.upper(), known, n=1))
            raise ConfigError(f"{name}: no such setting{hint}")


def _variable(field: str) -> str:
    return SERVER_ENVIRONMENT_PREFIX + field.upper()
