"""An examination: the chosen checks over the lists of one cluster. Its report is data, and pure: the same lists, the same report."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from webhook.doctor.finding import Cap, Finding, Severity, Unseen, UnseenReason
from webhook.doctor.kinds import KINDS
from webhook.doctor.lists import ClusterLists, KindUnseen
from webhook.doctor.pools import PoolRow, caps_to_configure, pool_rows
from webhook.doctor.table import Check
from webhook.doctor.trainers import TrainersInLists
from webhook.policy.configuration import Config

_RANK = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


@dataclass(frozen=True, slots=True)
class Report:
    """What an examination says."""

    pools: tuple[PoolRow, ...]
    findings: tuple[Finding, ...]
    """The worst first, then by the number of pods that are hit."""
    unseen: tuple[Unseen, ...]
    trainers: int
    """How many training pods there are."""
    caps: tuple[Cap, ...] = ()
    """What admission can warn of, as the chart's `graceCaps`."""
    notes: tuple[str, ...] = ()
    """What to know of the numbers: which configuration decided, and where it differs from the one that runs."""
    server: str = ""
    """The API server's address; empty for a dump."""


def examined(
    objects: Mapping[str, Sequence[Mapping[str, object]]],
    unseen: Mapping[str, KindUnseen],
    config: Config,
    checks: Sequence[Check],
) -> Report:
    """Return the report on these objects."""
    pods = TrainersInLists(objects, config)
    lists = ClusterLists(objects, unseen, pods.trainers(), pods.evicted(), config)
    findings: list[Finding] = []
    not_seen: list[Unseen] = []
    for check in checks:
        not_seen += _unseen_by(check, unseen)
        results = tuple(check.findings(lists.without_skipped(check.id)))
        findings += (each for each in results if isinstance(each, Finding))
        not_seen += (each for each in results if isinstance(each, Unseen))
    ordered = sorted(findings, key=lambda each: (_RANK[each.severity], -_pods_hit(each), each.check, each.subject))
    return Report(
        pool_rows(lists, ordered),
        tuple(ordered),
        tuple(not_seen),
        len(lists.trainers),
        caps_to_configure(lists, ordered),
    )


def kinds_of(checks: Iterable[Check]) -> tuple[str, ...]:
    """Return the kinds that these checks ask for, each once."""
    return tuple(dict.fromkeys(kind for check in checks for kind in check.kinds))


def _pods_hit(finding: Finding) -> int:
    return len(finding.losses) or len(finding.pods)


def _unseen_by(check: Check, unseen: Mapping[str, KindUnseen]) -> Iterator[Unseen]:
    for kind in check.kinds:
        if kind in unseen:
            sentence, command = _why(kind, unseen[kind])
            yield Unseen(check.id, KINDS[kind].kubectl_name, unseen[kind].reason, sentence, command)


def _why(kind: str, kind_unseen: KindUnseen) -> tuple[str, str]:
    """Return why a kind is not known, and what to do about it."""
    source = KINDS[kind]
    everywhere = " -A" if source.is_namespaced else ""
    command = f"kubectl get {source.kubectl_name}{everywhere} -o json"
    file = source.resource
    if source.names:  # read by name only
        namespace, file = source.names[0]
        command = f"kubectl get {source.kubectl_name} {file} -n {namespace} -o json"
    said = f" ({kind_unseen.message})" if kind_unseen.message else ""
    return {
        UnseenReason.FORBIDDEN: (f"you may not list them{said}.", "gracekeeper doctor --rbac | kubectl apply -f -"),
        UnseenReason.NOT_SERVED: (
            f"this API server does not serve them: {_absent(source.group)}.",
            f"kubectl api-resources --api-group={source.group}",
        ),
        UnseenReason.TIMEOUT: (f"the API server did not answer in time{said}.", command),
        UnseenReason.ERROR: (f"the API server could not answer{said}.", command),
        UnseenReason.NOT_ASKED: ("they were not asked for.", command),
        UnseenReason.NOT_IN_DUMP: ("the dump has no list of them.", f"{command} > {file}.json"),
    }[kind_unseen.reason]


def _absent(group: str) -> str:
    names = {
        "karpenter.sh": "Karpenter is not installed, or its CRDs are not",
        "kyverno.io": "Kyverno is not installed, or its CRDs are not",
        "policies.kyverno.io": "Kyverno is not installed, or is older than its MutatingPolicy",
        "mutations.gatekeeper.sh": "Gatekeeper is not installed, or its mutations are not",
        "admissionregistration.k8s.io": "it is older than MutatingAdmissionPolicy, or the feature is off",
        "karpenter.k8s.aws": "Karpenter for AWS is not installed, or its CRDs are not",
    }
    return names.get(group, f"nothing here installs {group}" if group else "it is too old for them")
