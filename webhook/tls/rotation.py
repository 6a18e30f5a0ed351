"""From what the Secret holds to what it should hold next. Pure: one step a call, and any replica may take it.

The law: a certificate gets into the Secret only when API servers have long known its CA, or know none at all.
1. A new CA is kept as the next one, and published beside the former; nothing is signed with it.
2. Once it has been public for the settle time, it signs the new certificate and takes the former CA's place.
3. The former CA stays trusted until it ends, because some replica may still serve what it signed.

What is not valid yet is as unsound as what has ended. A CA from the future stays in the list of trusted ones, harmless.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from webhook.tls.certificates import Certificate, Pair, begun, due, ended, in_time, leaf_end, new_authority, new_leaf
from webhook.tls.secret import Kept, Serving

_LIVES_OF_A_CA = 3
"""In lives of a leaf: when the CA is due, a third of it is left, as much as a leaf of full length needs."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What is issued: for whom, and how long a leaf lives."""

    names: tuple[str, ...]
    life: timedelta


def following(
    kept: Kept, public: Iterable[Certificate], settled: Collection[Certificate], terms: Terms, now: datetime
) -> Kept:
    """The content of the Secret after the next step; equal to `kept` where there is none to take.

    `public` are the CAs that API servers know or need now, `settled` those that they have known for long enough.
    """
    step = _renewed(_rotated(_alive(kept, public, now), settled, terms, now), terms, now)
    signing = [step.serving and step.serving.authority, step.next_authority]
    first = [authority.certificate for authority in signing if authority]
    return replace(step, trusted=tuple(dict.fromkeys((*first, *step.trusted))))


def unchanged(kept: Kept, public: Iterable[Certificate]) -> Kept:
    """Return the content of the Secret without a step, with every CA that is public: nothing is issued or dropped."""
    return replace(kept, trusted=tuple(dict.fromkeys((*kept.trusted, *public))))


def untimely(kept: Kept, now: datetime) -> tuple[str, ...]:
    """Return a sentence for each certificate of the Secret that is not valid yet."""
    pairs = {"the next CA": kept.next_authority}
    if kept.serving:
        pairs = {"the certificate": kept.serving.leaf, "its CA": kept.serving.authority, **pairs}
    return tuple(
        f"{name} is not valid before {pair.certificate.not_valid_before_utc:%Y-%m-%d %H:%M}Z"
        for name, pair in pairs.items()
        if pair and not begun(pair.certificate, now)
    )


def _alive(kept: Kept, public: Iterable[Certificate], now: datetime) -> Kept:
    """Without what cannot sign now, as it has ended or is not valid yet, and with every CA that is public."""
    serving, next_authority = kept.serving, kept.next_authority
    if serving and not in_time(serving.authority.certificate, now):
        serving = None
    if next_authority and not in_time(next_authority.certificate, now):
        next_authority = None
    return replace(
        kept,
        serving=serving,
        next_authority=next_authority,
        trusted=tuple(ca for ca in dict.fromkeys((*kept.trusted, *public)) if not ended(ca, now)),
    )


def _rotated(kept: Kept, settled: Collection[Certificate], terms: Terms, now: datetime) -> Kept:
    if kept.next_authority:
        if kept.next_authority.certificate not in settled:
            return kept
        return replace(kept, serving=_signed(kept.next_authority, terms, now), next_authority=None)
    if not _needs_an_authority(kept, now):
        return kept
    authority = new_authority(_LIVES_OF_A_CA * terms.life, now)
    obeyed = replace(kept, obeyed=kept.wanted or kept.obeyed)
    if kept.serving is None and not any(in_time(ca, now) for ca in kept.trusted):
        # The first start. Nobody accepts anything yet, so no call can be lost, and there is nothing to wait for.
        return replace(obeyed, serving=_signed(authority, terms, now))
    return replace(obeyed, next_authority=authority)


def _needs_an_authority(kept: Kept, now: datetime) -> bool:
    asked = kept.wanted not in {"", kept.obeyed}
    return asked or kept.serving is None or due(kept.serving.authority.certificate, now)


def _renewed(kept: Kept, terms: Terms, now: datetime) -> Kept:
    """With a new leaf where the leaf is not valid yet, or is due and the CA's own end leaves a new one longer life."""
    if kept.serving is None:
        return kept
    authority, leaf = kept.serving.authority, kept.serving.leaf.certificate
    longer = leaf_end(authority.certificate, terms.life, now) > leaf.not_valid_after_utc
    if not begun(leaf, now) or (due(leaf, now) and longer):
        return replace(kept, serving=_signed(authority, terms, now))
    return kept


def _signed(authority: Pair, terms: Terms, now: datetime) -> Serving:
    return Serving(authority, new_leaf(authority, terms.names, terms.life, now))
