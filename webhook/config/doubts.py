"""What in a configuration is valid and probably not meant: names that stand twice, profiles never reached, numbers cut.

A doubt never stops a server. `gracekeeper check-config` prints it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from webhook.policy.configuration import Config, Match, Profile
from webhook.policy.door import decide, first_look
from webhook.policy.facts import Facts, Namespace
from webhook.policy.pod import read_pod
from webhook.policy.statements import keys

_POD = read_pod({"metadata": {}, "spec": {"containers": [{"name": "trainer"}]}})
"""One that says nothing, so that the profile's values are all that counts."""
_SIZING = (keys.GRACE_SECONDS, keys.CHECKPOINT_SIZE, keys.MODEL_PARAMETERS)
_UNLIKELY = "\0"
"""No namespace has it in its name: only * and ? of a pattern match it."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """What should be looked at again: the field as a path from the top of the file, and why."""

    place: tuple[str | int, ...]
    why: str


def doubts(config: Config) -> tuple[Doubt, ...]:
    """All of them, in the order of the file's profiles."""
    doubts_of_config = [*_cut_by_default(config)]
    for index, profile in enumerate(config.profiles):
        place = ("profiles", index)
        doubts_of_config += [
            *_named_before(config.profiles[:index], profile, place),
            *_never_reached(config.profiles[:index], profile, place),
            *_cut(config, profile, place),
        ]
    return tuple(doubts_of_config)


def _named_before(before: tuple[Profile, ...], profile: Profile, place: tuple[str | int, ...]) -> Iterator[Doubt]:
    same = next((index for index, each in enumerate(before) if each.name == profile.name), None)
    if same is not None:
        yield Doubt((*place, "name"), f"profiles.{same} is called {profile.name} too: decisions tell only the name")


def _never_reached(before: tuple[Profile, ...], profile: Profile, place: tuple[str | int, ...]) -> Iterator[Doubt]:
    wider = next((index for index, each in enumerate(before) if _covers(each.match, profile.match)), None)
    if wider is not None:
        yield Doubt(
            place, f"profile {profile.name} never counts: profiles.{wider} ({before[wider].name}) matches all its pods"
        )


def _covers(wide: Match, narrow: Match) -> bool:
    """Whether each pod that the one matches is matched by the other too; on doubt False."""
    names = narrow.namespaces or ("*",)
    return (
        (not wide.namespaces or all(any(_pattern_covers(w, n) for w in wide.namespaces) for n in names))
        and wide.labels.items() <= narrow.labels.items()
        and (not wide.owner_kinds or (bool(narrow.owner_kinds) and set(narrow.owner_kinds) <= set(wide.owner_kinds)))
    )


def _pattern_covers(wide: str, narrow: str) -> bool:
    """Tried with the shortest and with a long unlikely text for each *, and an unlikely character for each ?."""
    if wide in {narrow, "*"}:
        return True
    if "[" in wide + narrow:
        return False
    long = _UNLIKELY * (len(wide) + 1)
    single = narrow.replace("?", _UNLIKELY)
    return all(fnmatchcase(re.sub(r"\*+", text, single), wide) for text in ("", long))


def _cut_by_default(config: Config) -> Iterator[Doubt]:
    unknown, most = config.defaults.unknown_size_grace_seconds, config.defaults.maximum_grace_seconds
    if unknown > most:
        why = f"{unknown} s are cut to maximumGraceSeconds, {most} s"
        yield Doubt(("defaults", "unknownSizeGraceSeconds"), why)


def _cut(config: Config, profile: Profile, place: tuple[str | int, ...]) -> Iterator[Doubt]:
    """A pod that says nothing itself is decided as the server would, and asked whether it met the maximum."""
    sizing_key = next((key.name for key in _SIZING if key.name in profile.values), None)
    if sizing_key is None:
        return
    alone = replace(config, profiles=(replace(profile, match=Match(), enabled=True),))
    decision = decide(first_look(_POD, Namespace(""), alone), Facts())
    terms = {term.name: term.value for term in decision.terms}
    if "maximum" in terms:
        decided_here = sizing_key == keys.GRACE_SECONDS.name or keys.WRITE_THROUGHPUT.name in profile.values
        where = "" if decided_here else " on a volume that states nothing"
        why = f"needs {terms['need']}{where}, cut to maximumGraceSeconds, {terms['maximum']}"
        yield Doubt((*place, "values", sizing_key), why)
