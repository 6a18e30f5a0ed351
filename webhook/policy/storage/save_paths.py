"""Where a container is told to save: the paths in known variables and arguments, as the container will see them."""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from webhook.policy import brevity
from webhook.policy.pod import Container, Pod, marks
from webhook.policy.pod.container import is_set


def _in_a_line(names: Iterable[str]) -> re.Pattern[str]:
    """Return the pattern of one of these arguments and its value inside a line for a shell."""
    return re.compile(
        rf"(?<![^\s;|&\"'])({'|'.join(map(re.escape, names))})"
        r"""(?:=|[\s\\]+)(?:"([^"]*)"|'([^']*)'|([^\s;|&"']+))"""
    )


_ARGUMENT = _in_a_line(marks.CHECKPOINT_ARGUMENTS)
_LIKELY_ARGUMENT = _in_a_line(marks.LIKELY_CHECKPOINT_ARGUMENTS)
_MOST_IN_A_LINE = 32
"""Arguments that are looked at: no script names more, and a pod may hold a megabyte of text."""
_MOST = 32
"""Paths that are looked at in all: each is compared with the mounts."""
_LONGEST = 4096
"""Linux' PATH_MAX. A variable of 100 kB that a value names 4000 times would be 400 MB."""
_LONGEST_QUOTE = 200
_NO_PATH = re.compile(r"true|false|yes|no|[\d.]*|.*\s.*", re.IGNORECASE | re.DOTALL)
_REFERENCE = re.compile(r"\$(?:\((\w+)\)|\{(\w+)\}|(\w+))")
"""A variable in a value: $(NAME) as Kubernetes expands it, $NAME and ${NAME} as a shell does."""


@dataclass(frozen=True, slots=True)
class SavePath:
    """A path, or the address of an object store, and what names it."""

    path: str
    named_by: str

    @property
    def is_elsewhere(self) -> bool:
        """Whether it is an address such as s3://bucket/run, which is in no volume of the pod."""
        return "://" in self.path

    def __str__(self) -> str:
        """Return the path as a decision quotes it."""
        return f"{self.named_by} {brevity.short(self.path, _LONGEST_QUOTE)}"


@dataclass(frozen=True, slots=True)
class SavePaths:
    """The paths that the trainer is to save to."""

    sure: tuple[SavePath, ...]
    """Absolute paths of names that say so."""
    likely: tuple[SavePath, ...]
    """Absolute paths of names that also stand on pods which read checkpoints; none where the trainer does other work."""
    relative: tuple[SavePath, ...]
    """Paths as they are written, of which only the image's working directory tells where they lead."""


def save_paths_of(pod: Pod) -> SavePaths:
    """Read the paths of the pod's trainer once."""
    sure = list(islice(_sure_texts(pod.trainer), _MOST))
    likely = [] if pod.other_work else list(islice(_likely_texts(pod), _MOST))
    return SavePaths(
        tuple(_absolute_paths(sure, pod.trainer)),
        tuple(_absolute_paths(likely, pod.trainer)),
        () if pod.trainer.working_directory else tuple(_relative_paths([*sure, *likely], pod.trainer)),
    )


def save_paths(container: Container) -> Iterator[SavePath]:
    """Yield the paths that the container is to save to: of variables in the order of marks.py, then of arguments.

    A relative path counts where the container states its working directory. A path is cut before what only the running
    shell knows: `/ckpt/$(date)` is in /ckpt.
    """
    return _absolute_paths(islice(_sure_texts(container), _MOST), container)


def names_a_path(pod: Pod) -> bool:
    """Return whether the trainer names a path to save to."""
    paths = save_paths_of(pod)
    return bool(paths.sure or paths.likely or paths.relative)


def _absolute_paths(texts: Iterable[tuple[str, str]], container: Container) -> Iterator[SavePath]:
    for named_by, text in texts:
        path = _absolute(_expanded(text, container.environment), container.working_directory)
        if path:
            yield SavePath(path, named_by)


def _relative_paths(texts: Iterable[tuple[str, str]], container: Container) -> Iterator[SavePath]:
    for named_by, text in texts:
        expanded = _expanded(text, container.environment)
        if is_set(expanded) and expanded[0] not in "/-" and "://" not in expanded and not _NO_PATH.fullmatch(expanded):
            yield SavePath(expanded, named_by)


def _sure_texts(container: Container) -> Iterator[tuple[str, str]]:
    yield from _in_variables(container.environment, marks.CHECKPOINT_VARIABLES)
    yield from _in_words(container.words, marks.CHECKPOINT_ARGUMENTS, _ARGUMENT)


def _likely_texts(pod: Pod) -> Iterator[tuple[str, str]]:
    yield from _in_variables(pod.trainer.environment, marks.LIKELY_CHECKPOINT_VARIABLES)
    yield from _in_words(pod.trainer.first_words, marks.LIKELY_CHECKPOINT_ARGUMENTS, _LIKELY_ARGUMENT)
    for words in pod.start.commands:
        for word in words[1:]:
            name, equals, value = word.lstrip("+").partition("=")
            if equals and name in marks.CHECKPOINT_OVERRIDES:
                yield name, value


def _in_variables(variables: Mapping[str, str], names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for name in names:
        if name in variables:
            yield name, variables[name]


def _in_words(words: Sequence[str], names: tuple[str, ...], in_a_line: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    for word, following in zip(words, (*words[1:], ""), strict=False):
        flag, equals, value = word.partition("=")
        if flag in names:
            yield flag, value if equals else following
        elif " " in word or "\n" in word:
            for argument in islice(in_a_line.finditer(word), _MOST_IN_A_LINE):
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
