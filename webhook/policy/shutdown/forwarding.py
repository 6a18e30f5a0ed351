"""forward-sigterm: a trainer whose start loses SIGTERM gets it through `supervise forward`.

A container is wrapped only where it names its command: what an image starts by itself is not known. Who names an
upload-container wants the trainer wrapped, too, unless forward-sigterm is false.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from webhook.policy.configuration import Config, ForwardSigterm
from webhook.policy.facts import Facts
from webhook.policy.observed.wrapping_stops import StopCause
from webhook.policy.pod import Pod
from webhook.policy.shutdown import supervise_parts as parts
from webhook.policy.shutdown.automatic import automatic_wrapping
from webhook.policy.shutdown.changes import FieldEdit, SpecChanges
from webhook.policy.shutdown.forward_options import forward_options
from webhook.policy.shutdown.grace import Term
from webhook.policy.shutdown.obstacles import obstacles_to_supervise
from webhook.policy.shutdown.requirements import requirements_of_added
from webhook.policy.shutdown.signal_notes import loses_its_save, notes_on_losses, notes_on_the_incurable
from webhook.policy.shutdown.uploader import Uploader, edits_of, notes_on_uploader, uploader_of
from webhook.policy.statements.statements import Statements

_AUTOMATIC = Term("forward-sigterm", "auto", "the trainer's start loses the save")

_STOPPED = {
    StopCause.REFUSED: "stopped here, as pods were refused: allow supervise's image (gracekeeper observed resume)",
    StopCause.IMAGE: "stopped here, as pods wait for supervise's image (gracekeeper observed resume)",
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What is said about forwarding SIGTERM in this pod, and whether somebody wants its checkpoint."""

    forward_sigterm: ForwardSigterm
    is_wanted: bool
    statements: Statements
    held: Uploader | None = None
    """The uploader that gets SIGTERM when the trainer's container has ended."""


@dataclass(frozen=True, slots=True)
class Forwarding:
    """What is changed so that SIGTERM arrives, and notes for the pod's owner."""

    changes: SpecChanges | None = None
    notes: tuple[str, ...] = ()
    terms: tuple[Term, ...] = ()
    """Why the trainer is wrapped although nobody asked for it, and which uploader waits for it."""


def forwarding_of(pod: Pod, facts: Facts, wish: Wish, config: Config, grace_seconds: int) -> Forwarding:
    """Return how SIGTERM reaches the trainer of a training pod, and after it the uploader. An OSMO task's conversion does it."""
    uploader = uploader_of(pod, wish.statements)
    if uploader is None:
        return _of_trainer(pod, facts, wish, config, grace_seconds)
    if not uploader.can_be_held:
        forwarding, is_held = _of_trainer(pod, facts, wish, config, grace_seconds), False
    else:
        is_automatic = wish.forward_sigterm is ForwardSigterm.AUTO
        stated = ForwardSigterm.YES if is_automatic else wish.forward_sigterm
        wanted = replace(wish, forward_sigterm=stated, held=uploader)
        forwarding = _of_trainer(pod, facts, wanted, config, grace_seconds)
        is_held = forwarding.changes is not None or (pod.trainer.is_wrapped and uploader.container.is_wrapped)
    return replace(
        forwarding,
        notes=(*forwarding.notes, *notes_on_uploader(pod, uploader, is_held=is_held)),
        terms=(*forwarding.terms, *((uploader.term,) if is_held else ())),
    )


def _of_trainer(pod: Pod, facts: Facts, wish: Wish, config: Config, grace_seconds: int) -> Forwarding:
    """Return how SIGTERM reaches the trainer.

    A wrapping that another webhook broke is not made anew: a webhook that is called after this one would break it again.
    """
    incurable = tuple(notes_on_the_incurable(pod))
    is_automatic = wish.forward_sigterm is ForwardSigterm.AUTO
    terms = (_AUTOMATIC,) if is_automatic else ()
    if pod.trainer.is_wrapped:
        return Forwarding(notes=incurable, terms=terms)
    unwrapped = tuple(notes_on_losses(pod, grace_seconds))
    if wish.forward_sigterm is ForwardSigterm.NO or (is_automatic and not loses_its_save(pod, grace_seconds)):
        return Forwarding(notes=(*unwrapped, *incurable))
    if is_automatic:
        automatic = automatic_wrapping(pod, facts, config.supervise, is_wanted=wish.is_wanted)
        if not automatic.wraps:
            why_not = (f"forward-sigterm: auto: not wrapped, as {automatic.why_not}",) if automatic.why_not else ()
            return Forwarding(notes=(*unwrapped, *why_not, *incurable))
    obstacle = next(_obstacles(pod, facts, config), None)
    if obstacle is not None:
        return Forwarding(notes=(*(unwrapped if is_automatic else ()), f"forward-sigterm: {obstacle}", *incurable))
    return Forwarding(_wrapping(pod, facts, wish, config, grace_seconds), incurable, terms)


def _edits(pod: Pod, wish: Wish, grace_seconds: int) -> tuple[FieldEdit, ...]:
    """Return the edits of trainer and uploader. Where an uploader waits, the trainer shows in the folder `task` that it lives."""
    options = forward_options(pod, wish.statements, grace_seconds)
    if wish.held is None:
        return parts.wrapped(pod.trainer, ["forward", *options], [parts.mount_of("bin")])
    mounts = [parts.mount_of("bin"), parts.mount_of("task", writable=True)]
    return (
        *parts.wrapped(pod.trainer, ["forward", "--followed", *options], mounts),
        *edits_of(wish.held, pod.trainer, grace_seconds),
    )


def wraps_unasked(pod: Pod, facts: Facts, wish: Wish, config: Config, grace_seconds: int) -> bool:
    """Return whether `auto` starts the trainer through supervise, in this call or an earlier one of the same pod."""
    if wish.forward_sigterm is not ForwardSigterm.AUTO or pod.osmo_task is not None:
        return False
    return pod.trainer.is_wrapped or forwarding_of(pod, facts, wish, config, grace_seconds).changes is not None


def _wrapping(pod: Pod, facts: Facts, wish: Wish, config: Config, grace_seconds: int) -> SpecChanges:
    """Return the changes. gracekeeper-init runs before a native sidecar that is wrapped, and after all others."""
    edits = _edits(pod, wish, grace_seconds)
    init = parts.init_container(config.supervise, requirements_of_added(pod, facts))
    appended = {"volumes": (parts.supervise_volume(),), **parts.pull_secrets(pod, config.supervise)}
    if wish.held is not None and wish.held.container.is_native_sidecar:
        return SpecChanges(edits, inserted={wish.held.container.position: init}, appended=appended)
    return SpecChanges(edits, appended={"initContainers": (init,), **appended})


def _obstacles(pod: Pod, facts: Facts, config: Config) -> Iterator[str]:
    if facts.wrapping_stop is not None:
        yield _STOPPED[facts.wrapping_stop.cause]
    if pod.undone is not None:
        yield f"not wrapped, as another webhook breaks it: {pod.undone.lost}"
    if not pod.trainer.command:
        yield f"container {pod.trainer.name} names no command, and the image's own cannot be wrapped"
    yield from obstacles_to_supervise(pod, facts, config.supervise)
    if facts.limit_ranges is None:
        yield "the namespace's LimitRanges are not known"
