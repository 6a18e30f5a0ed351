"""`gracekeeper check-config`: everything that is wrong with a configuration file, for CI."""

import argparse
import sys
from typing import Any

from webhook import yaml_text
from webhook.cli.inputs import CommandError, text_of
from webhook.config import configuration_file
from webhook.config.doubts import doubts
from webhook.config.field_errors import ConfigError
from webhook.config.fields import load_config

_DONE, _IN_DOUBT, _REFUSED = 0, 1, 2


def add_to(commands: Any) -> None:
    """Add the command to the parser's."""
    check = commands.add_parser(
        "check-config",
        help="say everything that is wrong with a configuration file",
        description="Prints one line for each field that the server would refuse, and warnings for what it would accept "
        "and is hardly meant: names that stand twice, profiles that an earlier one hides, numbers above a maximum.",
        epilog="Exit codes: 0 right; 1 warnings only; 2 the server would refuse it, or it cannot be read.",
    )
    check.add_argument("file", metavar="FILE", help="the configuration file; - reads standard input")
    check.add_argument(
        "--values",
        action="store_true",
        help="FILE is a values file of the chart: check what stands under config",
    )
    check.set_defaults(run=_check)


def _check(options: argparse.Namespace) -> int:
    name = "standard input" if options.file == "-" else options.file
    try:
        node = configuration_file.document(text_of(options.file))
        above: tuple[str, ...] = ("config",) if options.values else ()
        for part in above:
            node = _below(node, part)
        config = load_config(configuration_file.values_of(node))
    except ConfigError as error:
        places = error.places if any(error.places) else ()
        for index, line in enumerate(error.lines):
            at = f"{name}:{yaml_text.line_of(node, places[index])}" if places else name
            sys.stdout.write(f"{at}: {line}\n")
        return _REFUSED
    warnings = [(line, place, "stands twice, the last counts") for place, line in yaml_text.stand_twice(node)] + [
        (yaml_text.line_of(node, doubt.place), doubt.place, doubt.why) for doubt in doubts(config)
    ]
    for line_number, place, why in warnings:
        sys.stdout.write(f"{name}:{line_number}: warning: {'.'.join(map(str, place))}: {why}\n")
    if not warnings:
        sys.stdout.write(f"{name}: ok, mode {config.mode}, profiles: {len(config.profiles)}\n")
    return _IN_DOUBT if warnings else _DONE


def _below(node: yaml_text.Node | None, field: str) -> yaml_text.Node | None:
    """What stands under a field at the top."""
    if node is None:
        return None
    if not yaml_text.holds_fields(node):
        raise CommandError("a values file is to hold fields and their values")
    pair = yaml_text.below(node, field)
    return None if pair is None else pair[1]
