"""GK206: whether the API server reaches gracekeeper: its webhook configurations, their caBundle, and a replica that is ready.

The API server fails open. A pod that it creates while it cannot reach gracekeeper keeps the grace that it came with, and only
the API server's own metrics tell that it happened.
"""

import base64
import binascii
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from webhook.doctor.admission_metrics import KIND, METRIC, PATH, counts_in
from webhook.doctor.finding import Cure, Evidence, Finding, PodLoss, Severity, Unseen, UnseenReason
from webhook.doctor.installation import Installation, installations
from webhook.doctor.installed_webhooks import is_our_last, is_ours
from webhook.doctor.lists import ClusterLists
from webhook.doctor.trainers import losses_of_unpatched
from webhook.policy.pod.metadata import JsonObject, labels_of, metadata_of

ID = "GK206"
_ENTRIES = ("pods.gracekeeper.dev", "namespaces.gracekeeper.dev")
_SERVICE_LABEL = "kubernetes.io/service-name"
_RELEASE_LABEL = "app.kubernetes.io/instance"
_RESTARTS = "It restarts nothing."
_CONFIGURATIONS = "kubectl get mutatingwebhookconfigurations -l app.kubernetes.io/part-of=gracekeeper"


@dataclass(frozen=True, slots=True)
class _Reach:
    """What is installed, and who loses while the API server does not reach it."""

    installation: Installation
    configurations: tuple[JsonObject, ...]
    losses: tuple[PodLoss, ...]

    @property
    def subject(self) -> str:
        return f"Deployment {self.installation.full_name}"

    @property
    def release(self) -> str:
        labels = (labels_of(each).get(_RELEASE_LABEL) for each in self.configurations)
        return str(next(filter(None, labels), self.installation.name))


def findings(lists: ClusterLists) -> Iterator[Finding | Unseen]:
    """Yield what keeps the API server from gracekeeper, if gracekeeper is installed."""
    configurations = tuple(each for each in lists.of("MutatingWebhookConfiguration") if is_ours(each))
    installed = installations(lists.of("Deployment"))
    if installed:
        reach = _Reach(installed[0], configurations, losses_of_unpatched(lists.trainers))
        if "MutatingWebhookConfiguration" in lists.objects:
            yield from _of_configurations(reach)
        if "EndpointSlice" in lists.objects:
            yield from _of_replicas(reach, lists.of("EndpointSlice"))
        yield from _of_metrics(reach, lists.of(KIND))
    elif configurations and "Deployment" in lists.objects:
        yield _without_deployment(configurations, losses_of_unpatched(lists.trainers))


def _of_configurations(reach: _Reach) -> Iterator[Finding]:
    entries = {
        str(entry.get("name")): entry
        for configuration in reach.configurations
        if not is_our_last(configuration)
        for entry in configuration.get("webhooks") or ()
    }
    missing = [name for name in _ENTRIES if name not in entries]
    if missing:
        told = f"The API server does not call gracekeeper: webhook {' and '.join(missing)} is missing"
        yield _incomplete(reach, f"{told} from its configuration.", Severity.ERROR, reach.losses)
    elif not any(map(is_our_last, reach.configurations)):
        told = "gracekeeper's last webhook configuration is missing"
        yield _incomplete(
            reach, f"{told}: a webhook that breaks what gracekeeper did has the last word.", Severity.WARNING, ()
        )
    for configuration in reach.configurations:
        unverified = [str(entry.get("name")) for entry in configuration.get("webhooks") or () if not _has_bundle(entry)]
        if unverified:
            yield _without_bundle(reach, configuration, unverified)


def _incomplete(reach: _Reach, sentence: str, severity: Severity, losses: tuple[PodLoss, ...]) -> Finding:
    namespace = reach.installation.namespace
    names = ", ".join(str(metadata_of(each).get("name")) for each in reach.configurations)
    return Finding(
        check=ID,
        severity=severity,
        subject=reach.subject,
        sentence=sentence,
        cure=Cure(
            f"helm get manifest {reach.release} -n {namespace} | kubectl apply -f -",
            "It writes what the chart rendered. Somebody or something took the object away: find out who, too.",
            _RESTARTS,
        ),
        evidence=(Evidence(_CONFIGURATIONS, ".metadata.name", names or "(none)"),),
        losses=losses,
    )


def _has_bundle(entry: JsonObject) -> bool:
    try:
        text = base64.b64decode((entry.get("clientConfig") or {}).get("caBundle") or "", validate=True)
    except (binascii.Error, ValueError, TypeError):
        return False
    return b"-----BEGIN CERTIFICATE-----" in text


def _without_bundle(reach: _Reach, configuration: JsonObject, entries: Sequence[str]) -> Finding:
    name, where = metadata_of(configuration).get("name"), reach.installation
    return Finding(
        check=ID,
        severity=Severity.ERROR,
        subject=f"MutatingWebhookConfiguration {name}",
        sentence=f"The API server cannot call {', '.join(entries)}: the caBundle of MutatingWebhookConfiguration {name} holds "
        "no certificate, so no answer can be verified.",
        cure=Cure(
            f"kubectl logs -n {where.namespace} deployment/{where.name} --tail=100 | grep -i -e certificate -e caBundle",
            "gracekeeper writes the caBundle itself, within seconds: its log says what keeps it from that. With "
            "cert-manager, look at cert-manager's cainjector. With files, set the chart's `certificate.caBundle`.",
            _RESTARTS,
        ),
        evidence=(
            Evidence(
                f"kubectl get mutatingwebhookconfiguration {name} -o jsonpath='{{.webhooks[*].clientConfig.caBundle}}'",
                ".webhooks[*].clientConfig.caBundle",
                "(empty, or no certificate)",
            ),
        ),
        losses=reach.losses,
    )


def _of_replicas(reach: _Reach, slices: Sequence[JsonObject]) -> Iterator[Finding]:
    namespace, service = reach.installation.namespace, reach.installation.name
    ready = sum(
        (endpoint.get("conditions") or {}).get("ready") is not False
        for each in slices
        if (metadata_of(each).get("namespace"), labels_of(each).get(_SERVICE_LABEL)) == (namespace, service)
        for endpoint in each.get("endpoints") or ()
    )
    if not ready:
        yield Finding(
            check=ID,
            severity=Severity.ERROR,
            subject=f"Service {namespace}/{service}",
            sentence=f"The API server does not reach gracekeeper: Service {namespace}/{service} has no replica that is ready. "
            "Training pods that are created now keep the grace that they come with.",
            cure=Cure(
                f"kubectl describe deployment {service} -n {namespace} && "
                f"kubectl get pods -n {namespace} -l {_RELEASE_LABEL}={reach.release}",
                "That shows why no replica is ready. Pods that were created meanwhile have to be created anew.",
                _RESTARTS,
            ),
            evidence=(
                Evidence(
                    f"kubectl get endpointslices -n {namespace} -l {_SERVICE_LABEL}={service}",
                    ".endpoints[*].conditions.ready",
                    "(none is true)",
                ),
            ),
            losses=reach.losses,
        )


def _of_metrics(reach: _Reach, metrics: Sequence[JsonObject]) -> Iterator[Finding | Unseen]:
    counts = counts_in(metrics)
    command = f"kubectl get --raw {PATH} | grep {METRIC}"
    if isinstance(counts, tuple):
        reason, message = counts
        sentence = {
            UnseenReason.FORBIDDEN: "you may not read the API server's metrics.",
            UnseenReason.NOT_IN_DUMP: "a dump does not hold the API server's metrics.",
        }.get(reason, f"the API server's metrics could not be read ({message}).")
        yield Unseen(ID, "how often the API server failed open", reason, sentence, command)
        return
    total = sum(counts.values())
    if total:
        where = reach.installation
        yield Finding(
            check=ID,
            severity=Severity.WARNING,
            subject=reach.subject,
            sentence=f"The API server failed open {total} {'time' if total == 1 else 'times'} since it started: it could not "
            "call gracekeeper, and created each of these pods as it came. Other API servers of the cluster count for "
            "themselves.",
            cure=Cure(
                f"kubectl logs -n {where.namespace} deployment/{where.name} --tail=100",
                "If the count grows while gracekeeper is ready, the control plane does not reach the nodes. Let it connect "
                "to the chart's `server.port` on the nodes (a firewall rule), or set `hostNetwork.enabled`.",
                _RESTARTS,
            ),
            evidence=(Evidence(command, METRIC, ", ".join(f"{name} {count}" for name, count in counts.items())),),
            losses=reach.losses,
        )


def _without_deployment(configurations: Sequence[JsonObject], losses: tuple[PodLoss, ...]) -> Finding:
    names = [str(metadata_of(each).get("name")) for each in configurations]
    return Finding(
        check=ID,
        severity=Severity.ERROR,
        subject=f"MutatingWebhookConfiguration {names[0]}",
        sentence=f"The API server calls gracekeeper for training pods, but no Deployment of gracekeeper is there. Each call "
        f"fails open and may cost its pod time. MutatingWebhookConfiguration {', '.join(names)} is left over.",
        cure=Cure(
            f"kubectl delete mutatingwebhookconfiguration {' '.join(names)}",
            "Do so if gracekeeper was taken away on purpose. Else install the chart again.",
            _RESTARTS,
        ),
        evidence=(
            Evidence("kubectl get deployments -A -l app.kubernetes.io/part-of=gracekeeper", ".metadata.name", "(none)"),
        ),
        losses=losses,
    )
