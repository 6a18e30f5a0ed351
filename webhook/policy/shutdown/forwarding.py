"""forward-sigterm: a trainer whose start loses SIGTERM gets it through `supervise forward`.

A container is wrapped only where it names its command: what an image starts by itself is not known.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from webhook.policy.configuration import Config, ForwardSigterm
from webhook.policy.facts import Facts
from webhook.policy.pod import Pod
from webhook.policy.shutdown import supervise_parts as parts
from webhook.policy.shutdown.automatic import automatic_wrapping
from webhook.policy.shutdown.changes import SpecChanges
from webhook.policy.shutdown.forward_options import forward_options
from webhook.policy.shutdown.grace import Term
from webhook.policy.shutdown.obstacles import obstacles_to_supervise
from webhook.policy.shutdown.requirements import requirements_of_added
from webhook.policy.shutdown.signal_notes import loses_its_save, notes_on_losses, notes_on_the_incurable
from webhook.policy.statements.statements import Statements

_AUTOMATIC = Term("forward-sigterm", "auto", "the trainer's start loses the save")


@dataclass(frozen=True, slots=True)
class Wish:
    """What is said about forwarding SIGTERM in this pod, and whether somebody wants its checkpoint."""

    forward_sigterm: ForwardSigterm
    is_wanted: bool
    statements: Statements


@dataclass(frozen=True, slots=True)
class Forwarding:
    """What is changed so that SIGTERM arrives, and notes for the pod's owner."""

    changes: SpecChanges | None = None
    notes: tuple[str, ...] = ()
    terms: tuple[Term, ...] = ()
    """Why the trainer is wrapped although nobody asked for it."""


def forwarding_of(pod: Pod, facts: Facts, wish: Wish, config: Config, grace_seconds: int) -> Forwarding:
    """Return how SIGTERM reaches the trainer of a training pod that is no OSMO task; a task's conversion forwards it.

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
    return Forwarding(
        _wrapping(pod, facts, config, forward_options(pod.trainer, wish.statements, grace_seconds)), incurable, terms
    )


def wraps_unasked(pod: Pod, facts: Facts, wish: Wish, config: Config, grace_seconds: int) -> bool:
    """Return whether `auto` starts the trainer through supervise, in this call or an earlier one of the same pod."""
    if wish.forward_sigterm is not ForwardSigterm.AUTO or pod.osmo_task is not None:
        return False
    return pod.trainer.is_wrapped or forwarding_of(pod, facts, wish, config, grace_seconds).changes is not None


def _wrapping(pod: Pod, facts: Facts, config: Config, options: list[str]) -> SpecChanges:
    appended = {
        "initContainers": (parts.init_container(config.supervise, requirements_of_added(pod, facts)),),
        "volumes": (parts.supervise_volume(),),
        **parts.pull_secrets(pod, config.supervise),
    }
    return SpecChanges(parts.wrapped(pod.trainer, ["forward", *options], [parts.mount_of("bin")]), appended=appended)


def _obstacles(pod: Pod, facts: Facts, config: Config) -> Iterator[str]:
    if pod.undone is not None:
        yield f"not wrapped, as another webhook breaks it: {pod.undone.lost}"
    if not pod.trainer.command:
        yield f"container {pod.trainer.name} names no command, and the image's own cannot be wrapped"
    yield from obstacles_to_supervise(pod, facts, config.supervise)
    if facts.limit_ranges is None:
        yield "the namespace's LimitRanges are not known"
