"""The fields of the configuration file, each with its bounds and its default; typos refused."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic_core import InitErrorDetails, PydanticCustomError

from webhook.config.field_errors import refusal
from webhook.policy import quantity
from webhook.policy.configuration import (
    Compatibility,
    Config,
    Defaults,
    ForwardSigterm,
    GraceCap,
    InterruptedCode,
    Match,
    Mode,
    Observer,
    Osmo,
    OsmoMode,
    Profile,
    Supervise,
    UnknownSize,
)
from webhook.policy.statements.keys import KEYS


def load_config(document: Mapping[str, Any]) -> Config:
    """The admin's configuration from a parsed YAML document; ConfigError names every field that is wrong."""
    try:
        return _ConfigFile.model_validate(document).policy()
    except ValidationError as error:
        known = {to_camel(name) for section in _Section.__subclasses__() for name in section.model_fields}
        raise refusal(error, str, known) from None


def config_schema() -> dict[str, Any]:
    """The shape of a configuration as pydantic tells it; scripts/config_schema.py makes what editors and the chart read."""
    return _ConfigFile.model_json_schema()


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
_ForwardSigterm = Annotated[ForwardSigterm, BeforeValidator(_text, json_schema_input_type=bool | ForwardSigterm)]
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
    bound: bool = False


def _cap(given: Any) -> Any:
    """A bare number is a cap for every pod."""
    return {"seconds": given} if isinstance(given, int) and not isinstance(given, bool) else given


_GraceCap = Annotated[_GraceCapSection, BeforeValidator(_cap, json_schema_input_type=_GraceSeconds | _GraceCapSection)]


class _SuperviseSection(_Section):
    image: str | None = Field(None, min_length=1)
    image_pull_secret: str | None = Field(None, min_length=1)
    architectures: tuple[str, ...] = Field(("amd64",), min_length=1)
    runtime_classes: tuple[str, ...] = Supervise().runtime_classes
    images_always_pulled: bool = False


class _OsmoSection(_Section):
    mode: OsmoMode = OsmoMode.NATIVE
    interrupted_code: InterruptedCode = InterruptedCode.AS_TODAY


class _ObserverSection(_Section):
    enabled: bool = True
    minimum_run_seconds: int = Field(600, ge=1, le=30 * 24 * 3600)


class _ConfigFile(_Section):
    mode: Mode = Mode.ENFORCE
    unknown_size: UnknownSize = UnknownSize.EVIDENCE
    forward_sigterm: _ForwardSigterm = ForwardSigterm.AUTO
    defaults: _DefaultsSection = _DefaultsSection()
    profiles: tuple[_ProfileSection, ...] = ()
    supervise: _SuperviseSection = _SuperviseSection()
    osmo: _OsmoSection = _OsmoSection()
    grace_caps: dict[str, _GraceCap] = {}
    node_throughput: dict[str, _Rate] = {}
    observer: _ObserverSection = _ObserverSection()
    audit_labels: bool = False
    compatibility: Compatibility = Compatibility.NEWEST

    def policy(self) -> Config:
        config = Config(
            self.mode,
            self.unknown_size,
            self.forward_sigterm,
            self.defaults.policy(),
            tuple(profile.policy() for profile in self.profiles),
            Supervise(**dict(self.supervise)),
            Osmo(**dict(self.osmo)),
            {name: GraceCap(**dict(cap)) for name, cap in self.grace_caps.items()},
            self.node_throughput,
            Observer(**dict(self.observer)),
            self.audit_labels,
        )
        return config.as_in_0_1_0() if self.compatibility is Compatibility.V0_1_0 else config
