"""Files that a command is pointed at: read whole, or one clear line on why not."""

import sys
from pathlib import Path

from webhook.config import configuration_file
from webhook.config.field_errors import ConfigError
from webhook.policy.configuration import Config


class CommandError(Exception):
    """Why a command cannot do its work; the message is one line that says what to mend."""


def text_of(path: str) -> str:
    """The file's text; - is standard input."""
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise CommandError(f"{path}: not UTF-8 text") from None
    except OSError as error:
        raise CommandError(f"{path}: {(error.strerror or str(error)).lower()}") from None


def config_of(path: str | None) -> Config:
    """The configuration in the file; the built-in defaults where there is none."""
    if path is None:
        return Config()
    try:
        return configuration_file.parsed(text_of(path))
    except ConfigError as error:
        raise CommandError(f"{path}: {error}") from None
