"""What on a pod shows that it saves checkpoints: variables, arguments, and volumes named after checkpoints.

Law: an image is no sign. A name without a value is none either, as charts render what nobody set as an empty text or null.
"""

from collections.abc import Iterator, Sequence
from itertools import islice, pairwise

from webhook.policy.names import shown
from webhook.policy.pod import Container, Mount, Pod, PodVolume, marks
from webhook.policy.pod.container import is_set

_SWITCHED_OFF = frozenset({"false", "no", "off", "0", "-1"})
"""Values of a switch or an interval that mean: do not save."""
_NEXT_OPTION = "--"
_QUOTES = "\"'"
_MOST_MOUNTS = 256


def sign_of_saving(pod: Pod) -> str | None:
    """Return in words the first sign that the pod saves; None where there is none.

    What also stands on pods that read checkpoints counts only where the trainer may train.
    """
    return next(_signs(pod), None)


def accelerator_of(pod: Pod) -> str | None:
    """Return the accelerator that the pod asks for; None where it asks for none."""
    if pod.has_resource_claims:
        return "a DRA claim"
    for container in pod.all_containers:
        for resources in (container.limits, container.requests):
            resource = marks.first_match(resources, marks.ACCELERATORS)
            if resource is not None:
                return shown(resource)
    return None


def has_lasting_volume(pod: Pod) -> bool:
    """Return whether the trainer mounts a volume that it can write to and that outlives the pod."""
    return any(_lasting_mounts(pod))


def _signs(pod: Pod) -> Iterator[str]:
    for container in pod.containers:
        yield from _in_variables(container, marks.CHECKPOINT_VARIABLES)
        yield from _in_arguments(container.words, marks.CHECKPOINT_ARGUMENTS)
    if pod.other_work:
        return
    for container in pod.containers:
        yield from _in_variables(container, (*marks.LIKELY_CHECKPOINT_VARIABLES, *marks.SAVING_VARIABLES))
        yield from _in_arguments(container.first_words, (*marks.LIKELY_CHECKPOINT_ARGUMENTS, *marks.SAVING_ARGUMENTS))
    yield from _in_overrides(pod)
    yield from _in_names_of_volumes(pod)


def _in_variables(container: Container, names: tuple[str, ...]) -> Iterator[str]:
    for name in container.variable_names:
        if name in names and name in container.set_variables and not _is_off(name, container.environment.get(name)):
            yield f"environment variable {name}"


def _in_arguments(words: Sequence[str], names: tuple[str, ...]) -> Iterator[str]:
    for word, following in pairwise((*_split(words), _NEXT_OPTION)):
        name, equals, value = word.partition("=")
        if name in names and not _is_empty(name, value if equals else following, is_apart=not equals):
            yield f"argument {name}"


def _in_overrides(pod: Pod) -> Iterator[str]:
    """Yield the `key=value` arguments of the trainer's commands. Before a program, the same word sets a variable."""
    for words in pod.start.commands:
        for word in words[1:]:
            name, equals, value = word.lstrip("+").partition("=")
            if equals and name in (*marks.CHECKPOINT_OVERRIDES, *marks.SAVING_OVERRIDES) and not _is_off(name, value):
                yield f"argument {name}"


def _in_names_of_volumes(pod: Pod) -> Iterator[str]:
    """Yield the lasting volumes of a pod with an accelerator that are named after checkpoints. A server reads them."""
    if pod.trainer.listens or accelerator_of(pod) is None:
        return
    for mount, volume in _lasting_mounts(pod):
        if marks.names_checkpoints(mount.path):
            yield f"the mount path of volume {shown(volume.name)}"
        elif marks.names_checkpoints(volume.name):
            yield f"the name of volume {shown(volume.name)}"
        elif marks.names_checkpoints(volume.claim_name or ""):
            yield f"the name of the claim behind volume {shown(volume.name)}"


def _lasting_mounts(pod: Pod) -> Iterator[tuple[Mount, PodVolume]]:
    volumes = {volume.name: volume for volume in pod.volumes}
    for mount in islice(pod.trainer.mounts, _MOST_MOUNTS):
        volume = volumes.get(mount.volume_name)
        if volume is not None and volume.outlives_the_pod and not mount.read_only:
            yield mount, volume


def _split(words: Sequence[str]) -> Iterator[str]:
    """Yield the words, those of a line for a shell one by one."""
    for word in words:
        yield from word.split() if word.strip("-") else (word,)


def _is_empty(name: str, value: str, *, is_apart: bool) -> bool:
    """Return whether an argument is given an empty value, or one that switches it off.

    Without a value, at the end or before another option, it is a switch that is on.
    """
    is_switch = is_apart and value.startswith(_NEXT_OPTION)
    return not is_switch and _is_off(name, value)


def _is_off(name: str, value: object) -> bool:
    """Return whether a value says that nothing is saved. A value from elsewhere is not known, and counts."""
    if not isinstance(value, str):
        return False
    text = value.strip(_QUOTES)
    names_a_path = name in {
        *marks.CHECKPOINT_ARGUMENTS,
        *marks.LIKELY_CHECKPOINT_ARGUMENTS,
        *marks.CHECKPOINT_OVERRIDES,
    }
    return not is_set(text) or (not names_a_path and text.lower() in _SWITCHED_OFF)
