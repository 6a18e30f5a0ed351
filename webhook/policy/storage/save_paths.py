"""Where a container is told to save: the paths in known variables and arguments, as the container will see them."""

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from webhook.policy import brevity
from webhook.policy.pod import Container, marks

_ARGUMENT = re.compile(
    rf"(?<![^\s;|&\"'])({'|'.join(map(re.escape, marks.CHECKPOINT_ARGUMENTS))})"
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
        """Whether it is an address such as s3://bucket/run, which is in no volume of the pod."""
        return "://" in self.path

    def __str__(self) -> str:
        """Return the path as a decision quotes it."""
        return f"{self.named_by} {brevity.short(self.path, _LONGEST_QUOTE)}"


def save_paths(container: Container) -> Iterator[SavePath]:
    """Yield the paths that the container is to save to: of variables in the order of marks.py, then of arguments.

    A relative path counts where the container states its working directory. A path is cut before what only the running
    shell knows: `/ckpt/$(date)` is in /ckpt.
    """
    variables = container.environment
    texts = chain(_in_variables(variables), _in_words(container.words))
    for named_by, text in islice(texts, _MOST):
        path = _absolute(_expanded(text, variables), container.working_directory)
        if path:
            yield SavePath(path, named_by)


def _in_variables(variables: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in marks.CHECKPOINT_VARIABLES:
        if name in variables:
            yield name, variables[name]


def _in_words(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    for word, following in zip(words, (*words[1:], ""), strict=False):
        flag, equals, value = word.partition("=")
        if flag in marks.CHECKPOINT_ARGUMENTS:
            yield flag, value if equals else following
        elif " " in word or "\n" in word:
            for argument in islice(_ARGUMENT.finditer(word), _MOST_IN_A_LINE):
                name, *values = argument.groups(default="")
                yield name, "".join(values)


def _expanded(text: str, variables: Mapping[str, str]) -> str:
    """Return the text with the known variables in place; empty where it is too long for a path."""
    expanded = "".join(_within(_LONGEST, _pieces(text, variables)))
    before, dollar, _ = expanded.partition("$")
    return f"{before.rpartition('/')[0]}/" if dollar else expanded


def _pieces(text: str, variables: Mapping[str, str]) -> Iterator[str]:
    """Yield the parts between the references, and the value of each reference; of an unknown variable the reference itself."""
    end = 0
    for reference in _REFERENCE.finditer(text):
        yield text[end : reference.start()]
        yield variables.get("".join(filter(None, reference.groups())), reference[0])
        end = reference.end()
    yield text[end:]


def _within(longest: int, pieces: Iterator[str]) -> list[str]:
    """Return the pieces; none where they are longer together."""
    collected, length = [], 0
    for piece in pieces:
        length += len(piece)
        if length > longest:
            return []
        collected.append(piece)
    return collected


def _absolute(text: str, working_directory: str) -> str:
    """Return the path in its shortest form; empty where it is none, or where only the root is known of it."""
    if "://" in text:
        return text
    if len(text) + len(working_directory) > _LONGEST or not text or text.startswith("-"):
        return ""
    joined = posixpath.join(working_directory, text)
    if not posixpath.isabs(joined):
        return ""
    path = posixpath.normpath(joined)
    return "" if path.strip("/") == "" else path
