"""Where a container is told to save: the paths in known variables and arguments, as the container will see them."""

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice

from webhook.policy import brevity, markers
from webhook.policy import pod as pods
from webhook.policy.facts import JsonObject

_ARGUMENT = re.compile(
    rf"(?<![^\s;|&\"'])({'|'.join(map(re.escape, markers.CHECKPOINT_ARGUMENTS))})"
    r"""(?:=|[\s\\]+)(?:"([^"]*)"|'([^']*)'|([^\s;|&"']+))"""
)
"""A known argument and its value inside a line for a shell."""
_MOST_IN_A_LINE = 32
"""Arguments that are looked at: no script names more, and a pod may hold a megabyte of text."""
_MOST = 32
"""Paths that are looked at in all: each is compared with the mounts."""
_LONGEST = 4096
"""Linux' PATH_MAX. A variable of 100 kB that a value names 4000 times would be 400 MB."""
_LONGEST_QUOTE = 200
_REFERENCE = re.compile(r"\$(?:\((\w+)\)|\{(\w+)\}|(\w+))")
"""A variable in a value: $(NAME) as Kubernetes expands it, $NAME and ${NAME} as a shell does."""


@dataclass(frozen=True, slots=True)
class SavePath:
    """An absolute path, or the address of an object store, and what names it."""

    path: str
    named_by: str

    @property
    def is_elsewhere(self) -> bool:
        """An address such as s3://bucket/run: in no volume of the pod."""
        return "://" in self.path

    def __str__(self) -> str:
        """As a decision quotes it."""
        return f"{self.named_by} {brevity.short(self.path, _LONGEST_QUOTE)}"


def save_paths(container: JsonObject) -> Iterator[SavePath]:
    """What the container is told, variables before arguments, each kind in the order of markers.py or of the words.

    A relative path counts where the container states its working directory. A path is cut before what only the running
    shell knows: `/ckpt/$(date)` is in /ckpt.
    """
    variables = {e.get("name", ""): e["value"] for e in container.get("env") or () if e.get("value")}
    told = chain(_in_variables(variables), _in_words([str(word) for word in pods.words(container)]))
    for named_by, text in islice(told, _MOST):
        path = _absolute(_expanded(text, variables), container.get("workingDir") or "")
        if path:
            yield SavePath(path, named_by)


def _in_variables(variables: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in markers.CHECKPOINT_VARIABLES:
        if name in variables:
            yield name, variables[name]


def _in_words(words: list[str]) -> Iterator[tuple[str, str]]:
    for word, following in zip(words, (*words[1:], ""), strict=False):
        flag, equals, value = word.partition("=")
        if flag in markers.CHECKPOINT_ARGUMENTS:
            yield flag, value if equals else following
        elif " " in word or "\n" in word:
            for found in islice(_ARGUMENT.finditer(word), _MOST_IN_A_LINE):
                name, *values = found.groups(default="")
                yield name, "".join(values)


def _expanded(text: str, variables: Mapping[str, str]) -> str:
    """The text with what is known of its variables; empty where it is too long for a path."""
    known = "".join(_within(_LONGEST, _pieces(text, variables)))
    before, dollar, _ = known.partition("$")
    return f"{before.rpartition('/')[0]}/" if dollar else known


def _pieces(text: str, variables: Mapping[str, str]) -> Iterator[str]:
    """What stands between the references, and what each of them stands for: itself where nobody says."""
    end = 0
    for found in _REFERENCE.finditer(text):
        yield text[end : found.start()]
        yield variables.get("".join(filter(None, found.groups())), found[0])
        end = found.end()
    yield text[end:]


def _within(longest: int, pieces: Iterator[str]) -> list[str]:
    """The pieces, none as soon as they are longer together."""
    kept, length = [], 0
    for piece in pieces:
        length += len(piece)
        if length > longest:
            return []
        kept.append(piece)
    return kept


def _absolute(text: str, working_directory: str) -> str:
    """The path in its shortest form; empty where it is none, or nothing but the root is known of it."""
    if "://" in text:
        return text
    if len(text) + len(working_directory) > _LONGEST or not text or text.startswith("-"):
        return ""
    joined = posixpath.join(working_directory, text)
    if not posixpath.isabs(joined):
        return ""
    path = posixpath.normpath(joined)
    return "" if path.strip("/") == "" else path
