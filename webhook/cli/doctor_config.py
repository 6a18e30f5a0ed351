"""Which configuration the doctor decides with: the one that runs in the cluster, or a file; and what to say where they differ."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from webhook import __version__
from webhook.api import ApiError
from webhook.cli.inputs import config_of
from webhook.config import configuration_file
from webhook.config.field_errors import ConfigError
from webhook.doctor.installation import Installation, configuration_text, installations
from webhook.policy.configuration import Config

_DEPLOYMENT = "Deployment"
ConfigMapReader = Callable[[str, str], Mapping[str, Any] | None]
"""Reads a ConfigMap by namespace and name; None where there is none; ApiError where it cannot be read."""


@dataclass(frozen=True, slots=True)
class ConfigInUse:
    """The configuration that the numbers come from, and what to know of it."""

    config: Config
    notes: tuple[str, ...]


class _UnreadableConfigError(Exception):
    """Why the configuration that runs cannot be read; the message is a part of a sentence."""


def config_in_use(path: str | None, objects: Mapping[str, Any], config_map: ConfigMapReader) -> ConfigInUse:
    """Return the file's configuration, else the one that runs, else the built-in one."""
    given = None if path is None else config_of(path)
    if _DEPLOYMENT not in objects:
        return _without_deployments(path, given)
    running = installations(objects[_DEPLOYMENT])
    if not running:
        return ConfigInUse(
            given or Config(), (f"gracekeeper does not run here. The numbers are those of {_of(path)}.",)
        )
    first = running[0]
    notes = [*_notes_on(running)]
    try:
        of_cluster = _config_of(first, config_map)
    except _UnreadableConfigError as error:
        notes.append(f"{error} The numbers are those of {_of(path)}, and may differ from what gracekeeper decides.")
        return ConfigInUse(given or Config(), tuple(notes))
    where = f"ConfigMap {first.namespace}/{first.config_map}"
    if given is None:
        notes.append(f"The numbers are those of the configuration that runs ({where}).")
        return ConfigInUse(of_cluster, tuple(notes))
    same = "is the one that runs" if given == of_cluster else "differs from the one that runs"
    return ConfigInUse(given, (*notes, f"The numbers are those of {path}, which {same} ({where})."))


def _without_deployments(path: str | None, given: Config | None) -> ConfigInUse:
    note = (
        "The Deployments are not known, so nothing tells which configuration of gracekeeper runs. "
        f"The numbers are those of {_of(path)}."
    )
    return ConfigInUse(given or Config(), (note,))


def _of(path: str | None) -> str:
    return "the built-in configuration" if path is None else path


def _notes_on(running: tuple[Installation, ...]) -> list[str]:
    first = running[0]
    notes = []
    if len(running) > 1:
        others = ", ".join(each.full_name for each in running[1:])
        notes.append(f"gracekeeper is installed {len(running)} times. {first.full_name} counts here, not {others}.")
    if first.version != __version__:
        notes.append(
            f"{first.full_name} runs version {first.version or '(not named)'}, this command is {__version__}: "
            "its decisions may differ from these."
        )
    return notes


def _config_of(installation: Installation, config_map: ConfigMapReader) -> Config:
    name = f"ConfigMap {installation.namespace}/{installation.config_map}"
    if not installation.config_map:
        raise _UnreadableConfigError(f"Deployment {installation.full_name} mounts no configuration.")
    try:
        manifest = config_map(installation.namespace, installation.config_map)
    except ApiError as error:
        raise _UnreadableConfigError(f"{name} cannot be read ({error.reason}).") from None
    text = None if manifest is None else configuration_text(manifest)
    if text is None:
        raise _UnreadableConfigError(f"{name} is not there, or holds no config.yaml.")
    try:
        return configuration_file.parsed(text)
    except ConfigError as error:
        raise _UnreadableConfigError(f"{name} cannot be used by this version: {error}.") from None
