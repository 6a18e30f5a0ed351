"""A line for a shell, as far as it tells who becomes PID 1: its simple commands, in order.

This is a reading for hints, not a shell: it knows quotes, comments, substitutions, redirections and here-documents, and takes
every word that could begin a command for one. Its time is linear in the script, of which it reads a bounded part.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_TOKEN = re.compile(
    r"(?P<space>[^\S\n]+|\\\n)"
    r"|(?P<operator>&&|\|\||;;|\|&|[;|()\n]|&(?!>))"
    r"|(?P<redirect>\d*(?:<<<|<<-?|>>|[<>]&|<>|>\||<|>)|&>>?)"
    r"|'(?P<literal>[^']*)'"
    r"|\"(?P<quoted>(?:[^\"\\]|\\.)*)\""
    r"|(?P<substitution>`(?:[^`\\]|\\.)*`|\$\()"
    r"|\\(?P<escaped>.)"
    r"|(?P<plain>[^\s'\"\\;&|()<>$`#]+|.)",
    re.DOTALL,
)
_LONGEST_SCRIPT = 16 * 1024
"""Characters that are read."""
_RESERVED = frozenset(
    [
        "if",
        "then",
        "else",
        "elif",
        "fi",
        "for",
        "while",
        "until",
        "do",
        "done",
        "case",
        "esac",
        "in",
        "function",
        "select",
        "time",
        "coproc",
        "{",
        "}",
        "!",
    ]
)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")
_PIPES = frozenset({"|", "|&", "&"})
_IN_SEQUENCE = frozenset({";", "\n", "&&"})
_ENDS = frozenset({"", ";", "\n"})
_STAYS_IN_THE_SHELL = frozenset(
    [
        ":",
        ".",
        "source",
        "eval",
        "echo",
        "printf",
        "exit",
        "true",
        "false",
        "wait",
        "sleep",
        "touch",
        "cd",
        "set",
        "export",
        "unset",
    ]
)
"""Built-in commands, and short ones at the end of a script: the training is none of them."""
_READS_A_SCRIPT = ((".",), ("source",), ("eval",))
"""Commands by which the shell goes on with another script."""
_EXEC_OPTIONS_WITH_VALUE = "-a"


@dataclass(frozen=True, slots=True)
class SimpleCommand:
    """One simple command: its words without redirections, and the operators before and after it."""

    raw: tuple[str, ...]
    before: str
    after: str

    @property
    def words(self) -> tuple[str, ...]:
        """Return the program and its arguments, without reserved words and assignments before them."""
        first = next((i for i, word in enumerate(self.raw) if not _is_before_program(word)), len(self.raw))
        return self.raw[first:]

    @property
    def is_simple(self) -> bool:
        """Whether no reserved word begins it, as in `done` or `if true`."""
        return self.raw[0] not in _RESERVED

    @property
    def runs_beside_the_shell(self) -> bool:
        """Whether it is a part of a pipe, or runs in the background."""
        return self.before in _PIPES - {"&"} or self.after in _PIPES


@dataclass(frozen=True, slots=True)
class ShellScript:
    """The commands of a script."""

    commands: tuple[SimpleCommand, ...]
    is_whole: bool
    """Whether all of the script was read."""

    @property
    def becomes(self) -> tuple[str, ...] | None:
        """Return the words of the command that replaces the shell, in every shell; None where the shell may stay."""
        executed = next(filter(None, map(_executed, self.commands)), None)
        if executed is not None or not self.is_whole or len(self.commands) > 1:
            return executed
        if not self.commands:
            return ()
        only = self.commands[0]
        is_simple = only.after in _ENDS and not only.before and only.is_simple
        return only.words if is_simple and only.words[:1] not in _READS_A_SCRIPT else None

    @property
    def may_become_its_last(self) -> bool:
        """Whether bash 5.1 and newer replaces itself by the last command, as other shells do not."""
        if not self.is_whole or len(self.commands) < 2:  # noqa: PLR2004  # a last command after another one
            return False
        last = self.commands[-1]
        is_simple = last.before in _IN_SEQUENCE and last.after in _ENDS and last.is_simple
        return is_simple and next(iter(last.words), ".") not in _STAYS_IN_THE_SHELL

    @property
    def traps_sigterm(self) -> bool:
        """Whether it sets a trap for SIGTERM; `trap - TERM` takes one away."""
        return any(map(_is_trap_of_sigterm, self.commands))


def read_script(text: str) -> ShellScript:
    """Read a script, or the beginning of a long one."""
    part = text[:_LONGEST_SCRIPT]
    return ShellScript(tuple(_commands(part)), len(part) == len(text))


def _is_before_program(word: str) -> bool:
    return word in _RESERVED or _ASSIGNMENT.match(word) is not None


def _executed(command: SimpleCommand) -> tuple[str, ...] | None:
    """Return what `exec PROGRAM ...` starts. `exec >log` starts nothing, and in a pipe it replaces only a copy of the shell."""
    words = command.words
    if not words or words[0] != "exec" or command.runs_beside_the_shell:
        return None
    position = 1
    while position < len(words) and words[position].startswith("-"):
        position += 2 if words[position] == _EXEC_OPTIONS_WITH_VALUE else 1
    return words[position:] or None


def _is_trap_of_sigterm(command: SimpleCommand) -> bool:
    words = [word for word in command.words if word != "--"]
    if words[:1] != ["trap"] or words[1:2] == ["-"]:
        return False
    return any(word.upper().removeprefix("SIG") in {"TERM", "15"} for word in words[2:])


def _commands(text: str) -> Iterator[SimpleCommand]:
    """Yield the simple commands of a script that have a word."""
    words: list[str] = []
    before = ""
    for kind, piece in _tokens(text):
        if kind == "word":
            words.append(piece)
            continue
        if words:
            yield SimpleCommand(tuple(words), before, piece)
            words = []
            before = piece
        elif piece != "\n":
            before = piece
    if words:
        yield SimpleCommand(tuple(words), before, "")


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """Yield words and operators. What a redirection names is left out, and so are comments and here-documents."""
    reader = _Reader(text)
    while reader.position < len(text):
        yield from reader.step()
    yield from reader.end_word()


class _Reader:
    """The state between two tokens: the word that is being read, and what the next word is for."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self._word: list[str] | None = None
        self._redirect = ""
        self._depth = 0
        self._delimiters: list[str] = []

    def step(self) -> Iterator[tuple[str, str]]:
        """Read one token."""
        match = _TOKEN.match(self.text, self.position)
        kind, piece = _kind_and_piece(match)
        self.position = len(self.text) if match is None else match.end()
        if self._depth:
            self._depth += {"(": 1, "$(": 1, ")": -1}.get(piece, 0)
        elif kind == "space":
            yield from self.end_word()
        elif kind == "redirect":
            yield from self.end_word()
            self._redirect = piece
        elif kind == "operator":
            yield from self._operator(piece)
        elif piece == "#" and kind == "plain" and self._word is None:
            self._skip_line()
        else:
            self._depth = int(piece == "$(" and kind == "substitution")
            self._grow(piece)

    def end_word(self) -> Iterator[tuple[str, str]]:
        """Yield the word that has ended, unless a redirection names it."""
        if self._word is None:
            return
        word, self._word = "".join(self._word), None
        redirect, self._redirect = self._redirect, ""
        if redirect.lstrip("0123456789") in {"<<", "<<-"}:
            self._delimiters.append(word)
        if not redirect:
            yield "word", word

    def _grow(self, piece: str) -> None:
        if self._word is None:
            self._word = []
        self._word.append(piece)

    def _operator(self, piece: str) -> Iterator[tuple[str, str]]:
        if piece == "(" and self._redirect and self._word is None:
            self._word, self._depth = ["("], 1
            return
        yield from self.end_word()
        self._redirect = ""
        yield "operator", piece
        if piece == "\n":
            self._skip_here_documents()

    def _skip_line(self) -> None:
        end = self.text.find("\n", self.position)
        self.position = len(self.text) if end < 0 else end

    def _skip_here_documents(self) -> None:
        for delimiter in self._delimiters:
            end = re.compile(rf"^\t*{re.escape(delimiter)}$\n?", re.MULTILINE).search(self.text, self.position)
            self.position = len(self.text) if end is None else end.end()
        self._delimiters.clear()


def _kind_and_piece(match: re.Match[str] | None) -> tuple[str, str]:
    if match is None or match.lastgroup is None:
        return "space", ""
    return match.lastgroup, match[match.lastgroup]


def words_of(text: str) -> Sequence[str]:
    """Return the words of a line that holds one command, as `env -S` splits it."""
    return next((command.raw for command in _commands(text[:_LONGEST_SCRIPT])), ())
