"""The configuration file: read whole or refused, and read again while the server runs.

Law: a file that cannot be used never replaces one that can.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from webhook import log, yaml_text
from webhook.config.field_errors import ConfigError
from webhook.config.fields import load_config
from webhook.policy.configuration import Config


def parsed(text: str) -> Config:
    """The configuration in a YAML (or JSON) text, empty meaning the built-in one; ConfigError says all that is wrong."""
    return load_config(values_of(document(text)))


def document(text: str) -> yaml_text.Node | None:
    """The text's only document, with the lines of its fields; ConfigError where there is none or more than one."""
    try:
        nodes = yaml_text.nodes(text)
    except yaml_text.NotYamlError as error:
        raise ConfigError(str(error)) from None
    if len(nodes) > 1:
        raise ConfigError(f"a configuration is one document, this file has {len(nodes)}")
    return nodes[0] if nodes else None


def values_of(node: yaml_text.Node | None) -> Any:
    """What the document holds; an empty one holds no field."""
    try:
        values = None if node is None else yaml_text.value_of(node)
    except yaml_text.NotYamlError as error:
        raise ConfigError(str(error)) from None
    return {} if values is None else values


@dataclass(slots=True)
class ConfigFile:
    """Reads the file every few seconds; `config` is what is in use, to be read from any thread."""

    path: Path
    config: Config
    """At first what the server was started with."""
    usable: Callable[[bool], object]
    """Tell whether what is in the file is usable."""
    loaded: Callable[[], object]
    """Tell that another configuration is in use from now on."""
    logger: log.Logger = field(default_factory=log.logger)
    interval_seconds: float = 5.0
    """The kubelet brings a changed ConfigMap within about a minute; this comes on top."""
    _tried: bytes | None = field(default=None, init=False)
    _problem: str = field(default="", init=False)
    _needs_restart: bool = field(default=False, init=False)
    _converts: bool = field(init=False)
    """Whether what adding supervise to pods needs is gathered, which is decided once, at start."""

    def __post_init__(self) -> None:
        self._converts = self.config.supervise.image is not None

    def run(self, stop: threading.Event) -> None:
        """Look again and again until told to stop."""
        while not stop.wait(self.interval_seconds):
            self.look()

    def notes(self) -> Sequence[str]:
        """What of the file is not in use, in words; nothing where all of it is."""
        if self._problem:
            return (f"the configuration file cannot be used, the former one holds: {self._problem}",)
        return ("supervise.image was added to the configuration and needs a restart",) if self._needs_restart else ()

    def look(self) -> None:
        """Read the file, and use it where it has changed; what is in the way is logged once."""
        try:
            self._use_if_changed(self.path.read_bytes())
        except ConfigError as error:
            more = f" (and {len(error.lines) - 1} more)" if len(error.lines) > 1 else ""
            self._keep_the_former(f"{error}{more}")
        except UnicodeDecodeError:
            self._keep_the_former("not UTF-8 text")
        except OSError as error:
            self._tried = None  # when it is back, this is over, whether or not it has changed
            self._keep_the_former(f"{error.filename}: {error.strerror}")
        except Exception as error:  # noqa: BLE001  # the thread must live on: a mended file would never be read
            self._keep_the_former(f"{type(error).__name__} while it was read")

    def _use_if_changed(self, text: bytes) -> None:
        if text == self._tried:
            return
        self._tried = text
        config = self._usable_without_restart(parsed(text.decode()))
        was_broken, self._problem = bool(self._problem), ""
        self.usable(True)  # noqa: FBT003  # a gauge
        if config != self.config:
            self.config = config
            self.loaded()
        elif not was_broken:
            return
        self.logger.info("configuration in use", mode=config.mode, profiles=len(config.profiles))

    def _usable_without_restart(self, config: Config) -> Config:
        """Without the facts that are gathered for it from the start, nothing may be added to a pod."""
        self._needs_restart = config.supervise.image is not None and not self._converts
        if not self._needs_restart:
            return config
        self.logger.warning("configuration needs a restart", field="supervise.image")
        return replace(config, supervise=replace(config.supervise, image=None))

    def _keep_the_former(self, problem: str) -> None:
        self.usable(False)  # noqa: FBT003  # a gauge
        if problem != self._problem:
            self.logger.warning("configuration cannot be used", path=str(self.path), lack=problem)
        self._problem = problem
