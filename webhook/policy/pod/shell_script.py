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
_IN_SEQUENCE = frozenset({"", ";", "\n", "&&", "||"})
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
_EXEC_OPTIONS_WITH_VALUE = "-a"


@dataclass(frozen=True, slots=True)
class SimpleCommand:
    """One simple command: its words without redirections, and the operators before and after it."""

    raw: tuple[str, ...]
    before: str
    after: str
    is_redirected: bool = False
    is_in_subshell: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """Return the program and its arguments, without reserved words and assignments before them."""
        first = next((i for i, word in enumerate(self.raw) if not _is_before_program(word)), len(self.raw))
        return self.raw[first:]

    @property
    def may_replace_bash(self) -> bool:
        """Whether bash replaces itself by this command at the end of a script (seen with bash 5.2).

        Reserved words (`done`, `if true`), redirections and built-in commands keep it.
        """
        return (
            self.before in _IN_SEQUENCE
            and self.after in _ENDS
            and not self.is_redirected
            and self.raw[0] not in _RESERVED
            and next(iter(self.words), ".") not in _STAYS_IN_THE_SHELL
        )

    @property
    def runs_beside_the_shell(self) -> bool:
        """Whether it is a part of a pipe, runs in the background, or in a copy of the shell."""
        return self.is_in_subshell or self.before in _PIPES - {"&"} or self.after in _PIPES


@dataclass(frozen=True, slots=True)
class ShellScript:
    """The commands of a script."""

    commands: tuple[SimpleCommand, ...]
    is_whole: bool
    """Whether all of the script was read."""

    ends_with_empty_lines: bool
    """Whether it ends with more than one line feed, which keeps bash from replacing itself."""

    @property
    def executes(self) -> tuple[str, ...] | None:
        """Return the words of the command that replaces every shell, by `exec`; None where there is none."""
        return next(filter(None, map(_executed, self.commands)), None)

    @property
    def only_command(self) -> tuple[str, ...] | None:
        """Return the words of the only command, which bash of any version becomes; None where bash may stay."""
        is_only = self.is_whole and len(self.commands) == 1 and not self.ends_with_empty_lines
        return self.commands[0].words if is_only and self.commands[0].may_replace_bash else None

    @property
    def may_become_its_last(self) -> bool:
        """Whether bash 5.1 and newer replaces itself by the last command. Any trap keeps it."""
        traps = any(command.words[:1] == ("trap",) and command.words[1:2] != ("-",) for command in self.commands)
        return self.is_whole and not traps and self.commands[-1].may_replace_bash

    @property
    def traps_sigterm(self) -> bool:
        """Whether it sets a trap for SIGTERM; `trap - TERM` takes one away."""
        return any(map(_is_trap_of_sigterm, self.commands))


def read_script(text: str) -> ShellScript:
    """Read a script, or the beginning of a long one."""
    part = text[:_LONGEST_SCRIPT]
    ends_with_empty_lines = text.rstrip(" \t")[:-1].rstrip(" \t").endswith("\n")
    return ShellScript(tuple(_commands(part)), len(part) == len(text), ends_with_empty_lines)


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
    before, depth, is_redirected = "", 0, False
    for kind, piece in (*_tokens(text), ("operator", "")):
        if kind == "word":
            words.append(piece)
        elif kind == "redirect":
            is_redirected = True
        else:
            if words:
                yield SimpleCommand(tuple(words), before, piece, is_redirected, depth > 0)
            if words or piece != "\n":
                before = piece
            words, is_redirected = [], False
            depth = max(0, depth + {"(": 1, ")": -1}.get(piece, 0))


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """Yield words, redirections and operators, without what a redirection names, comments and here-documents."""
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
        match = next(_TOKEN.finditer(self.text, self.position))
        kind = match.lastgroup or ""
        piece = match[kind]
        self.position = match.end()
        if self._depth:
            self._depth += {"(": 1, "$(": 1, ")": -1}.get(piece, 0)
        elif kind == "space":
            yield from self.end_word()
        elif kind == "redirect":
            yield from self.end_word()
            self._redirect = piece
            yield "redirect", piece
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


def words_of(text: str) -> Sequence[str]:
    """Return the words of a line that holds one command, as `env -S` splits it."""
    return next((command.raw for command in _commands(text[:_LONGEST_SCRIPT])), ())
