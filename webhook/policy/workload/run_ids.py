"""Texts without what differs from run to run: names of the run, dates, ids, ports and ranks.

Law: a model is never taken for a run id. `70b` and `8x7B` stay wherever they stand, and so does the name of a model family
in the name of a run. On doubt a text stays as it is: two names for one workload only cost what was learned of it, one name
for two models costs a checkpoint.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import TypeGuard

_LONGEST_TEXT = 32 * 1024
"""Characters of a word that are searched; a longer one stays as it is."""
_SHORT_TEXT = 64
"""Characters of a text that is worth remembering."""
_LONGEST_NAME = 253
_SHORTEST_NAME = 2
_SIZE_TEXT = r"(?:\d{1,4}x)?\d{1,5}(?:\.\d{1,3})?[bBmMtT]"
_SIZE = re.compile(rf"(?:{_SIZE_TEXT}|[aA]\d{{1,4}}[bB])")
_FAMILIES = (
    "aya|baichuan|bart|bert|bloom|chatglm|clip|codestral|convnext|dbrx|deepseek|detr|dinov|dit|dolly|"
    "efficientnet|falcon|flux|gemma|glm|gpt|granite|grok|hunyuan|internlm|jamba|kimi|llama|llava|mamba|"
    "megatron|minitron|mistral|mixtral|mosaic|moe|mpt|nemotron|olmo|opt|palm|phi|pi0|pixtral|pythia|qwen|"
    "resnet|roberta|sd|sdxl|smollm|solar|starcoder|t5|tinyllama|unet|vicuna|vit|wan|whisper|xlm|yi|yolo|"
    "zephyr"
)
_FAMILY = re.compile(rf"(?:{_FAMILIES})v?\d{{0,4}}(?:\.\d{{1,3}})?", re.IGNORECASE)
_SIZE_WORD = re.compile(r"pico|nano|micro|mini|tiny|small|base|medium|large|x{1,3}l|huge|giant|pro|ultra")
_VERSION = re.compile(r"v?\d{1,2}")
_UUID = r"(?<![0-9a-zA-Z])[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}(?![0-9a-zA-Z])"
_DATE = (
    r"(?<![0-9.])20[123]\d([-_.]?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])"
    r"(?:[-_T ]?(?:[01]\d|2[0-3])[-_:]?[0-5]\d(?:[-_:]?[0-5]\d(?:\.\d{1,9})?)?Z?)?(?![0-9.])"
)
_UNIX_TIME = r"(?<=[A-Za-z0-9][-_/])1[5-9]\d{8}(?:\d{3}){0,3}(?![0-9.])"
_SURE = re.compile(rf"{_UUID}|{_DATE}|{_UNIX_TIME}")
_GENERATED = rf"-(?!{_SIZE_TEXT}(?![0-9A-Za-z]))[bcdfghjklmnpqrstvwxz2456789]{{5}}(?![0-9A-Za-z])"
"""The suffix that API servers append to generateName, of their alphabet (apiserver pkg/storage/names/generate.go). `8x22b`
has its form too, and is none."""
_ENDS_GENERATED = re.compile(rf"{_GENERATED}$")
_HEX = r"(?<![0-9A-Za-z])(?=[a-f]*\d)[0-9a-f]{7,64}(?![0-9A-Za-z])"
_NUMBER = r"\d+(?:\.\d+)*(?:[eE][-+]?\d{1,3}(?![0-9A-Za-z]))?"
_ANY = re.compile(
    rf"(?P<size>(?<![0-9.]){_SIZE_TEXT}(?![0-9A-Za-z])|(?<![0-9A-Za-z])[aA]\d{{1,4}}[bB](?![0-9A-Za-z]))"
    rf"|(?P<id>{_HEX}|{_GENERATED}|{_NUMBER})"
)
_ADDRESS_WITH_PORT = re.compile(r"(?<=[A-Za-z0-9\])}>]):\d{4,5}(?![0-9A-Za-z])")
_TASK_INDEX = re.compile(r'("index"\s*:\s*)"?\d+"?')
_BETWEEN_PARTS = re.compile(r"[-_./]")
_DIGIT = re.compile(r"\d")
_LAST_NUMBER = re.compile(r"-\d{1,9}$")
_TAKEN_OUT = "<id>"

_IS_PORT = re.compile(r"(?:.*[-_.])?port")
_IS_RANK = re.compile(
    r"rank|(?:.*[-_.])?(?:node|machine|local|global|group|process|worker|host|trainer|task)[-_]?(?:rank|index)"
    r"|(?:.*[-_.])?(?:node|machine|process|worker|host|trainer)[-_]?id|(?:.*[-_.])?completion[-_]index|pod[-_]index"
)
_IS_RUN_ID = re.compile(
    r"(?:.*[-_.])?(?:(?:run|job|trial|execution|workflow|rdzv|attempt|submission)[-_]?id|uuid|uid|timestamp)"
)
_TELLS_A_MODEL = re.compile(
    r".*(?:model|config|arch|recipe|pretrained|tokenizer|data|weights|preset|variant|size|base|revision|lora|adapter"
    r"|task)"
)
_NAMES_A_RUN = re.compile(
    r".*(?:output|save|log|cache|checkpoint|ckpt|resume|load(?!er)|wandb|tensorboard|project|host|addr|endpoint|ur[il]|path"
    r"|dir|name|run|job|peers|(?:^|[-_])(?:out|tags?)(?:[-_]|$))"
)
_WRITES = re.compile(r".*(?:output|save|log|cache|(?:^|[-_])out(?:[-_]|$))")
_TF_CONFIG = "tf_config"
"""TensorFlow's variable for the hosts of a job and the pod's place among them."""
_LONGEST_KEY = 128


class _Value(Enum):
    """What a variable or an argument of some name is for."""

    OF_ONE_POD = auto()
    """A port, a rank, the id of a run."""
    A_RANK_OR_LORA = auto()
    TELLS_A_MODEL = auto()
    NAMES_A_RUN = auto()
    """A name, a host or a place, which may hold the name of the run."""
    PLAIN = auto()


@dataclass(frozen=True, slots=True)
class OwnNames:
    """The names of a run: of its pod, its owners, its release."""

    stems: Mapping[str, str]
    """Each name, and what of it the next run has too. The longest come first."""

    def replaced_in(self, text: str, replacement: Callable[[str], str]) -> str:
        """Return a text with another word for each of these names, by its stem; a file such as `NAME.py` is none of them."""
        if not any(name in text for name in self.stems):
            return text
        return _pattern_of(tuple(self.stems)).sub(lambda match: replacement(self.stems[match[0]]), text)


def own_names(candidates: Iterable[object], numbered: Iterable[object] = (), ids: Iterable[object] = ()) -> OwnNames:
    """Return the usable ones of these names. Of those that are numbered, the number at the end is the run's; ids are wholly."""
    stems = {name: _stem(name) for name in candidates if _is_usable(name)}
    stems |= {name: _TAKEN_OUT for name in ids if _is_usable(name)}
    stems |= {name: without_last_number(name) for name in numbered if _is_usable(name)}
    return OwnNames({name: stems[name] for name in sorted(stems, key=lambda name: (-len(name), name))})


@lru_cache(maxsize=64)  # the pods of a job share their names, and a pattern takes longer to make than to use
def _pattern_of(names: tuple[str, ...]) -> re.Pattern[str]:
    alternatives = "|".join(map(re.escape, names))
    file = r"(?!\.[a-z]{1,5}\b(?!\.))"
    return re.compile(rf"(?:(?<![A-Za-z0-9_.])|(?<=\d\.))(?:{alternatives})(?![A-Za-z0-9_]){file}")


def _is_usable(name: object) -> TypeGuard[str]:
    return isinstance(name, str) and _SHORTEST_NAME <= len(name) <= _LONGEST_NAME


def _model_in(stem: str) -> str:
    """Return what the name of a run tells about its model: sizes, in numbers or words, and families with their version."""
    words, follows = [], False
    for part in _BETWEEN_PARTS.split(stem):
        is_family = _FAMILY.fullmatch(part) is not None
        is_version = follows and _VERSION.fullmatch(part) is not None
        if is_family or is_version or _SIZE.fullmatch(part) or _SIZE_WORD.fullmatch(part):
            words.append(part.lower())
        follows = is_family or is_version
    return " ".join(words)


def _sizes_in(stem: str) -> str:
    return " ".join(part.lower() for part in _BETWEEN_PARTS.split(stem) if _SIZE.fullmatch(part))


def _stem(name: str) -> str:
    """Return the name of a run without the suffix that an API server generated, and without dates."""
    return _SURE.sub(_TAKEN_OUT, _ENDS_GENERATED.sub("-" + _TAKEN_OUT, name))


def without_last_number(name: str) -> str:
    """Return a name without the number at its end, such as a StatefulSet's ordinal."""
    return _LAST_NUMBER.sub("", name)


def exact_text(text: str, own: OwnNames, *, names_a_run: bool = False) -> str:
    """Return a text without dates, UUIDs and ports of addresses, and with what the names of the run tell.

    Where the text names a run or a place, another release may have another name in it. Elsewhere only the suffix of such a
    name goes: somebody may call a run as its model is called.
    """
    if len(text) > _LONGEST_TEXT:
        return text
    text = own.replaced_in(text, (lambda stem: f"<own {_model_in(stem)}>") if names_a_run else str)
    if not _DIGIT.search(text):
        return text
    return _short_exact_text(text) if len(text) <= _SHORT_TEXT else _exact_text(text)


def _exact_text(text: str) -> str:
    return _ADDRESS_WITH_PORT.sub(":<port>", _TASK_INDEX.sub(r"\1<rank>", _SURE.sub(_TAKEN_OUT, text)))


def coarse_text(text: str, own: OwnNames) -> str:
    """Return a text without numbers, ids and names of the run. The sizes of models stay."""
    if len(text) > _LONGEST_TEXT:
        return text[:_LONGEST_TEXT]
    text = own.replaced_in(text, lambda stem: f"<own {_sizes_in(stem)}>")
    return _short_coarse_text(text) if len(text) <= _SHORT_TEXT else _coarse_text(text)


def _coarse_text(text: str) -> str:
    return _ANY.sub(lambda match: match["size"] or _TAKEN_OUT, _SURE.sub(_TAKEN_OUT, text))


_short_exact_text = lru_cache(maxsize=2048)(_exact_text)
_short_coarse_text = lru_cache(maxsize=2048)(_coarse_text)
"""Pods of one job, and of the next, say the same words."""


def exact_value(name: str, value: str, own: OwnNames, *, has_world_size: bool = False) -> str:
    """Return the value of a variable or an argument for the exact name of a workload; empty where it never counts.

    `rank` alone is a LoRA rank, unless the number of processes stands beside it.
    """
    kind = _kind_of(name[:_LONGEST_KEY])
    if kind is _Value.A_RANK_OR_LORA:
        kind = _Value.OF_ONE_POD if has_world_size else _Value.PLAIN
    if kind is _Value.OF_ONE_POD:
        return ""
    return value if kind is _Value.TELLS_A_MODEL else exact_text(value, own, names_a_run=kind is _Value.NAMES_A_RUN)


@lru_cache(maxsize=1024)  # pods have the same variables and arguments again and again
def _kind_of(name: str) -> _Value:
    key = name.lower().lstrip("-")
    if _IS_PORT.fullmatch(key) or _IS_RUN_ID.fullmatch(key):
        return _Value.OF_ONE_POD
    if _IS_RANK.fullmatch(key) and "lora" not in key:
        return _Value.A_RANK_OR_LORA if key == "rank" else _Value.OF_ONE_POD
    if key == _TF_CONFIG:
        return _Value.NAMES_A_RUN
    if _TELLS_A_MODEL.match(key) and not _WRITES.match(key):
        return _Value.TELLS_A_MODEL
    return _Value.NAMES_A_RUN if _NAMES_A_RUN.match(key) else _Value.PLAIN


def exact_words(words: Sequence[str], own: OwnNames) -> Iterator[str]:
    """Yield the words of a command line for the exact name. A line for a shell among them is read like the command itself."""
    pieces = [piece for word in words for piece in (*_pieces(word), "\n")]
    has_world_size = any("world" in piece and "size" in piece for piece in pieces)
    name = ""
    for piece in pieces:
        key, equals, value = piece.partition("=")
        if piece.isspace():
            yield " " if piece != "\n" else piece
        elif equals and key:
            yield f"{key}={exact_value(key, value, own, has_world_size=has_world_size)}"
            name = ""
        elif piece.startswith("-") and not piece[1:2].isdigit():
            yield piece
            name = piece
        else:
            yield exact_value(name, piece, own, has_world_size=has_world_size) if name else exact_text(piece, own)
            name = ""


def _pieces(word: str) -> list[str]:
    """Return a word in pieces at its white space, which are kept; a word that is too long in one piece."""
    return [word] if len(word) > _LONGEST_TEXT else [piece for piece in re.split(r"(\s+)", word) if piece]
