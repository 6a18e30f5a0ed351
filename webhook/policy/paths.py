"""Where a container is told to save: the paths in known variables and arguments, as the container will see them."""

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from webhook.policy import markers
from webhook.policy import pod as pods
from webhook.policy.facts import JsonObject

_ARGUMENT = re.compile(
    rf"(?<![^\s;|&\"'])({'|'.join(map(re.escape, markers.CHECKPOINT_ARGUMENTS))})"
    r"""(?:=|[\s\\]+)(?:"([^"]*)"|'([^']*)'|([^\s;|&"']+))"""
)
"""A known argument and its value inside a line for a shell."""
_MOST_IN_A_LINE = 32
"""Arguments that are looked at: no script names more, and a pod may hold a megabyte of text."""
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


def save_paths(container: JsonObject) -> Iterator[SavePath]:
    """What the container is told, variables before arguments, each kind in the order of markers.py or of the words.

    A relative path counts where the container states its working directory. A path is cut before what only the running
    shell knows: `/ckpt/$(date)` is in /ckpt.
    """
    variables = {e.get("name", ""): e["value"] for e in container.get("env") or () if e.get("value")}
    for named_by, text in (*_in_variables(variables), *_in_words([str(word) for word in pods.words(container)])):
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
    known = _REFERENCE.sub(lambda found: variables.get("".join(filter(None, found.groups())), found[0]), text)
    before, dollar, _ = known.partition("$")
    return f"{before.rpartition('/')[0]}/" if dollar else known


def _absolute(text: str, working_directory: str) -> str:
    """The path in its shortest form; empty where it is none, or nothing but the root is known of it."""
    if "://" in text:
        return text
    if not text or text.startswith("-") or not posixpath.isabs(posixpath.join(working_directory, text)):
        return ""
    path = posixpath.normpath(posixpath.join(working_directory, text))
    return "" if path.strip("/") == "" else path
