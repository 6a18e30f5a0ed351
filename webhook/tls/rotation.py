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
from webhook.tls.secret import SecretContent, Serving

_LIVES_OF_A_CA = 3
"""In lives of a leaf: when the CA is due, a third of it is left, as much as a leaf of full length needs."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What is issued: for whom, and how long a leaf lives."""

    names: tuple[str, ...]
    life: timedelta


def following(
    content: SecretContent, public: Iterable[Certificate], settled: Collection[Certificate], terms: Terms, now: datetime
) -> SecretContent:
    """The content of the Secret after the next step; equal to `content` where there is none to take.

    `public` are the CAs that API servers know or need now, `settled` those that they have known for long enough.
    """
    step = _renewed(_rotated(_alive(content, public, now), settled, terms, now), terms, now)
    signing = [step.serving and step.serving.authority, step.next_authority]
    first = [authority.certificate for authority in signing if authority]
    return replace(step, trusted=tuple(dict.fromkeys((*first, *step.trusted))))


def unchanged(content: SecretContent, public: Iterable[Certificate]) -> SecretContent:
    """Return the content of the Secret without a step, with every CA that is public: nothing is issued or dropped."""
    return replace(content, trusted=tuple(dict.fromkeys((*content.trusted, *public))))


def untimely(content: SecretContent, now: datetime) -> tuple[str, ...]:
    """Return a sentence for each certificate of the Secret that is not valid yet."""
    pairs = {"the next CA": content.next_authority}
    if content.serving:
        pairs = {"the certificate": content.serving.leaf, "its CA": content.serving.authority, **pairs}
    return tuple(
        f"{name} is not valid before {pair.certificate.not_valid_before_utc:%Y-%m-%d %H:%M}Z"
        for name, pair in pairs.items()
        if pair and not begun(pair.certificate, now)
    )


def _alive(content: SecretContent, public: Iterable[Certificate], now: datetime) -> SecretContent:
    """Without what cannot sign now, as it has ended or is not valid yet, and with every CA that is public."""
    serving, next_authority = content.serving, content.next_authority
    if serving and not in_time(serving.authority.certificate, now):
        serving = None
    if next_authority and not in_time(next_authority.certificate, now):
        next_authority = None
    return replace(
        content,
        serving=serving,
        next_authority=next_authority,
        trusted=tuple(ca for ca in dict.fromkeys((*content.trusted, *public)) if not ended(ca, now)),
    )


def _rotated(content: SecretContent, settled: Collection[Certificate], terms: Terms, now: datetime) -> SecretContent:
    if content.next_authority:
        if content.next_authority.certificate not in settled:
            return content
        return replace(content, serving=_signed(content.next_authority, terms, now), next_authority=None)
    if not _needs_an_authority(content, now):
        return content
    authority = new_authority(_LIVES_OF_A_CA * terms.life, now)
    obeyed = replace(content, obeyed=content.wanted or content.obeyed)
    if content.serving is None and not any(in_time(ca, now) for ca in content.trusted):
        # The first start. Nobody accepts anything yet, so no call can be lost, and there is nothing to wait for.
        return replace(obeyed, serving=_signed(authority, terms, now))
    return replace(obeyed, next_authority=authority)


def _needs_an_authority(content: SecretContent, now: datetime) -> bool:
    is_requested = content.wanted not in {"", content.obeyed}
    return is_requested or content.serving is None or due(content.serving.authority.certificate, now)


def _renewed(content: SecretContent, terms: Terms, now: datetime) -> SecretContent:
    """With a new leaf where the leaf is not valid yet, or is due and the CA's own end leaves a new one longer life."""
    if content.serving is None:
        return content
    authority, leaf = content.serving.authority, content.serving.leaf.certificate
    longer = leaf_end(authority.certificate, terms.life, now) > leaf.not_valid_after_utc
    if not begun(leaf, now) or (due(leaf, now) and longer):
        return replace(content, serving=_signed(authority, terms, now))
    return content


def _signed(authority: Pair, terms: Terms, now: datetime) -> Serving:
    return Serving(authority, new_leaf(authority, terms.names, terms.life, now))
