"""Settings of the process from its environment, and the admin's configuration file: read once, frozen, typos refused."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import InitErrorDetails, PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from webhook.policy import quantity
from webhook.policy.config import (
    Config,
    Defaults,
    GraceCap,
    InterruptedCode,
    Match,
    Mode,
    Osmo,
    OsmoMode,
    Profile,
    Supervise,
    UnknownSize,
)
from webhook.policy.keys import KEYS
from webhook.policy.prefix import SERVER_ENVIRONMENT_PREFIX


class ConfigError(Exception):
    """Settings or a configuration that cannot be used; the message is one line that names the field.

    `lines` has all that is wrong, the message is the first of them; `places` are the fields, as paths from the top.
    """

    def __init__(self, *lines: str, places: Sequence[Sequence[str | int]] = ()) -> None:
        super().__init__(lines[0])
        self.lines = lines
        self.places = tuple(places) or ((),) * len(lines)


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
    config_file: Path | None = None
    """The admin's configuration; without one the built-in defaults hold."""
    drain_seconds: float = Field(10.0, ge=0, le=300)
    """How long the server still answers after SIGTERM: until every API server has seen the endpoint go."""
    deadline_seconds: float = Field(2.0, gt=0, le=2)
    """The most that gathering facts may take; the webhook's timeout is 3 s."""
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$")
    log_format: LogFormat = LogFormat.JSON
    facts: FactsSource = FactsSource.CLUSTER
    certificate_source: CertificateSource = CertificateSource.SECRET
    certificate_directory: Path | None = None
    """Where tls.crt and tls.key are, when the source is files."""
    namespace: str | None = None
    service_name: str | None = None
    secret_name: str | None = None
    webhook_configuration_name: str | None = None
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
            CertificateSource.SECRET: ("namespace", "service_name", "secret_name", "webhook_configuration_name"),
            CertificateSource.FILES: ("certificate_directory",),
        }[self.certificate_source]
        absent = [_variable(name) for name in needed if not getattr(self, name)]
        if absent:
            raise ValueError(f"certificate source {self.certificate_source} needs {', '.join(absent)}")
        return self


def server_settings() -> ServerSettings:
    """The settings of this process; ConfigError names the variable that is wrong."""
    _refuse_unknown(os.environ)
    try:
        return ServerSettings()
    except ValidationError as error:
        raise _refusal(error, _variable) from None


def _refuse_unknown(environment: Mapping[str, str]) -> None:
    """A misspelt variable would leave a default in force without a word: pydantic reads those that it knows, and no others."""
    known = [_variable(name) for name in ServerSettings.model_fields]
    for name in sorted(environment):
        if name.upper().startswith(SERVER_ENVIRONMENT_PREFIX) and name.upper() not in known:
            hint = "".join(f", did you mean {near}?" for near in get_close_matches(name.upper(), known, n=1))
            raise ConfigError(f"{name}: no such setting{hint}")


def _variable(field: str) -> str:
    return SERVER_ENVIRONMENT_PREFIX + field.upper()


def load_config(document: Mapping[str, Any]) -> Config:
    """The admin's configuration from a parsed YAML document; ConfigError names every field that is wrong."""
    try:
        return _ConfigFile.model_validate(document).policy()
    except ValidationError as error:
        raise _refusal(error, str) from None


def config_schema() -> dict[str, Any]:
    """The shape of a configuration as pydantic tells it; scripts/config_schema.py makes what editors and the chart read."""
    return _ConfigFile.model_json_schema()


def _refusal(error: ValidationError, name_of: Callable[[str], str]) -> ConfigError:
    found = error.errors()
    return ConfigError(*(_line(each, name_of) for each in found), places=[each["loc"] for each in found])


def _line(found: Mapping[str, Any], name_of: Callable[[str], str]) -> str:
    place = ".".join(name_of(str(part)) for part in found["loc"])
    reason = {
        "extra_forbidden": f"no such field{_nearest(found)}",
        "missing": "is required",
        "model_type": "is to hold fields and their values",
    }.get(found["type"], found["msg"].removeprefix("Value error, "))
    given = "" if isinstance(found["input"], dict | BaseModel) else f" (it is {str(found['input'])[:40]!r})"
    return f"{place}: {reason}{given}" if place else reason


def _nearest(found: Mapping[str, Any]) -> str:
    """A field of the file that was probably meant; empty where none comes near."""
    names = {to_camel(name) for section in _Section.__subclasses__() for name in section.model_fields}
    near = get_close_matches(str(found["loc"][-1]), sorted(names), n=1) if found["loc"] else []
    return f", did you mean {near[0]}?" if near else ""


def _rate(text: Any) -> float:
    if not isinstance(text, str):
        raise ValueError("a rate is a text such as 100MiB/s")  # noqa: TRY004  # pydantic turns ValueErrors into lines
    return quantity.rate_bytes_per_second(text)


def _text(value: Any) -> Any:
    """YAML numbers and switches as the text they would be on a pod."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def _readable(values: dict[str, str]) -> dict[str, str]:
    """Every value of a profile, refused at start where it could only be ignored on every pod; all of them are named."""
    wrong = list(_unreadable(values))
    if wrong:
        raise ValidationError.from_exception_data("values", wrong)
    return values


def _unreadable(values: Mapping[str, str]) -> Iterator[InitErrorDetails]:
    for name, text in values.items():
        try:
            if name not in PROFILE_KEYS:
                raise quantity.UnreadableError("no key that a profile can set")  # noqa: TRY301  # one way to say it
            KEYS[name].read(text)
        except quantity.UnreadableError as error:
            hint = f", e.g. {KEYS[name].example}" if name in PROFILE_KEYS else ""
            why = PydanticCustomError("unreadable", "{why}", {"why": f"{error}{hint}"})
            yield InitErrorDetails(type=why, loc=(name,), input=text)


PROFILE_KEYS = tuple(name for name, key in KEYS.items() if name != "enabled" and not key.namespace_only)
"""Keys that a profile can set."""
_BUILT_IN = Defaults()
_GraceSeconds = Annotated[int, Field(ge=1, le=30 * 24 * 3600)]
_Rate = Annotated[float, BeforeValidator(_rate), WithJsonSchema({"type": "string", "format": "rate"})]
_Values = Annotated[dict[str, Annotated[str, BeforeValidator(_text)]], AfterValidator(_readable)]


class _Section(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)


class _DefaultsSection(_Section):
    step_seconds: float = Field(_BUILT_IN.step_seconds, ge=0, le=24 * 3600)
    safety: float = Field(_BUILT_IN.safety, ge=1, le=10)
    margin_seconds: float = Field(_BUILT_IN.margin_seconds, ge=0, le=3600)
    maximum_grace_seconds: _GraceSeconds = _BUILT_IN.maximum_grace_seconds
    unknown_size_grace_seconds: _GraceSeconds = _BUILT_IN.unknown_size_grace_seconds
    bytes_per_parameter: float = Field(_BUILT_IN.bytes_per_parameter, gt=0, le=64)
    write_throughput: _Rate = _BUILT_IN.write_bytes_per_second
    upload_throughput: _Rate = _BUILT_IN.upload_bytes_per_second

    def policy(self) -> Defaults:
        values = self.model_dump()
        for name in ("write", "upload"):
            values[f"{name}_bytes_per_second"] = values.pop(f"{name}_throughput")
        return Defaults(**values)


class _MatchSection(_Section):
    namespaces: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    owner_kinds: tuple[str, ...] = ()


class _ProfileSection(_Section):
    name: str = Field(min_length=1)
    match: _MatchSection = _MatchSection()
    enabled: bool | None = None
    mode: Mode | None = None
    unknown_size: UnknownSize | None = None
    maximum_grace_seconds: _GraceSeconds | None = None
    values: _Values = {}

    def policy(self) -> Profile:
        return Profile(**{**dict(self), "match": Match(**dict(self.match))})


class _GraceCapSection(_Section):
    seconds: _GraceSeconds
    node_selector: dict[str, str] = {}


def _cap(given: Any) -> Any:
    """A bare number is a cap for every pod."""
    return {"seconds": given} if isinstance(given, int) and not isinstance(given, bool) else given


_GraceCap = Annotated[_GraceCapSection, BeforeValidator(_cap, json_schema_input_type=_GraceSeconds | _GraceCapSection)]


class _SuperviseSection(_Section):
    image: str | None = Field(None, min_length=1)
    image_pull_secret: str | None = Field(None, min_length=1)
    architectures: tuple[str, ...] = Field(("amd64",), min_length=1)


class _OsmoSection(_Section):
    mode: OsmoMode = OsmoMode.NATIVE
    interrupted_code: InterruptedCode = InterruptedCode.AS_TODAY


class _ConfigFile(_Section):
    mode: Mode = Mode.ENFORCE
    unknown_size: UnknownSize = UnknownSize.EVIDENCE
    defaults: _DefaultsSection = _DefaultsSection()
    profiles: tuple[_ProfileSection, ...] = ()
    supervise: _SuperviseSection = _SuperviseSection()
    osmo: _OsmoSection = _OsmoSection()
    grace_caps: dict[str, _GraceCap] = {}
    node_throughput: dict[str, _Rate] = {}

    def policy(self) -> Config:
        return Config(
            self.mode,
            self.unknown_size,
            self.defaults.policy(),
            tuple(profile.policy() for profile in self.profiles),
            Supervise(**dict(self.supervise)),
            Osmo(**dict(self.osmo)),
            {name: GraceCap(**dict(cap)) for name, cap in self.grace_caps.items()},
            self.node_throughput,
        )
