"""GK206: webhook configurations, Deployments, endpoints and metrics in, findings out."""

import base64
import copy

import pytest

from tests import chart
from tests.doctor.objects import Json, losses, report_on, trainer
from webhook.doctor.admission_metrics import KIND, fail_open_counts, metrics_object, unseen_metrics
from webhook.doctor.finding import Finding, Unseen, UnseenReason

BUNDLE = base64.b64encode(b"-----BEGIN CERTIFICATE-----\n").decode()
RENDERED = chart.objects("helm4", release="gracekeeper", namespace="gracekeeper")
NO_FAILURE = metrics_object({})
SHORT = trainer("a", grace=30, metadata={"annotations": {"gracekeeper.dev/grace-seconds": "900"}})
METRICS = """\
# TYPE apiserver_admission_webhook_fail_open_count counter
apiserver_admission_webhook_fail_open_count{name="pods.gracekeeper.dev",type="admit"} 3
apiserver_admission_webhook_fail_open_count{type="admit",name="namespaces.gracekeeper.dev"} 1e+01
apiserver_admission_webhook_fail_open_count{name="other.example",type="admit"} 70
apiserver_admission_webhook_fail_open_count_total{name="pods.gracekeeper.dev",type="admit"} 9
"""


def endpoints(*ready: bool | None) -> Json:
    labels = {"kubernetes.io/service-name": "gracekeeper", "app.kubernetes.io/part-of": "gracekeeper"}
    return {
        "kind": "EndpointSlice",
        "metadata": {"name": "gracekeeper-x", "namespace": "gracekeeper", "labels": labels},
        "endpoints": [{"conditions": {} if each is None else {"ready": each}} for each in ready],
    }


READY = endpoints(*[True])


def installed(bundle: str = BUNDLE) -> list[Json]:
    """The Deployment and the webhook configurations that the chart renders, with a caBundle."""
    objects = [
        copy.deepcopy(each) for each in RENDERED if each["kind"] in {"Deployment", "MutatingWebhookConfiguration"}
    ]
    for each in objects:
        for entry in each.get("webhooks") or ():
            entry["clientConfig"]["caBundle"] = bundle
    return objects


def found_in(*objects: Json) -> tuple[list[Finding], list[Unseen]]:
    report = report_on(*objects, only="GK206")
    return list(report.findings), list(report.unseen)


def test_an_installation_that_is_whole_is_no_finding():
    assert found_in(*installed(), READY, NO_FAILURE, SHORT) == ([], [])


@pytest.mark.parametrize("ready", [(), (False,), (False, False)])
def test_without_a_replica_that_is_ready_training_pods_keep_what_they_come_with(ready):
    [finding] = found_in(*installed(), endpoints(*ready), NO_FAILURE, SHORT)[0]
    assert (finding.severity, finding.subject, losses(finding)) == (
        "error",
        "Service gracekeeper/gracekeeper",
        {"a": 870},
    )


@pytest.mark.parametrize("ready", [(True, False), (None,)])
def test_one_replica_is_enough_and_an_unknown_one_counts(ready):
    assert found_in(*installed(), endpoints(*ready), NO_FAILURE)[0] == []


@pytest.mark.parametrize("bundle", ["", "!", base64.b64encode(b"nothing").decode()])
def test_a_bundle_without_a_certificate_is_named_with_its_webhooks(bundle):
    findings = found_in(*installed(bundle), READY, NO_FAILURE, SHORT)[0]
    assert [each.subject for each in findings] == [
        "MutatingWebhookConfiguration gracekeeper.gracekeeper",
        "MutatingWebhookConfiguration zzz.gracekeeper.gracekeeper",
    ]
    assert "cannot call pods.gracekeeper.dev, namespaces.gracekeeper.dev" in findings[0].sentence
    assert losses(findings[0]) == {"a": 870}


def test_a_configuration_that_is_gone_is_written_again():
    first, last = [each for each in installed() if each["kind"] == "MutatingWebhookConfiguration"]
    rest = [*(each for each in installed() if each["kind"] == "Deployment"), READY, NO_FAILURE]
    [without_first] = found_in(last, *rest)[0]
    [without_last] = found_in(first, *rest)[0]
    assert (without_first.severity, without_last.severity) == ("error", "warning")
    assert "webhook pods.gracekeeper.dev and namespaces.gracekeeper.dev is missing" in without_first.sentence
    assert without_last.cure.command == "helm get manifest gracekeeper -n gracekeeper | kubectl apply -f -"


def test_a_configuration_that_is_left_over_is_an_error():
    left = [each for each in installed() if each["kind"] == "MutatingWebhookConfiguration"]
    other = {"kind": "Deployment", "metadata": {"name": "web", "namespace": "web"}}
    [finding] = found_in(*left, other, SHORT)[0]
    assert finding.cure.command == (
        "kubectl delete mutatingwebhookconfiguration gracekeeper.gracekeeper zzz.gracekeeper.gracekeeper"
    )


def test_a_cluster_without_gracekeeper_has_nothing_to_reach():
    assert found_in({"kind": "Deployment", "metadata": {"name": "web", "namespace": "web"}}, SHORT) == ([], [])


def test_calls_that_failed_open_are_counted():
    counts = fail_open_counts(METRICS.splitlines())
    assert counts == {"pods.gracekeeper.dev": 3, "namespaces.gracekeeper.dev": 10}
    [finding] = found_in(*installed(), READY, metrics_object(counts), SHORT)[0]
    assert (finding.severity, losses(finding)) == ("warning", {"a": 870})
    assert "failed open 13 times since it started" in finding.sentence


@pytest.mark.parametrize(
    ("metrics", "reason", "word"),
    [
        ([], UnseenReason.NOT_IN_DUMP, "a dump does not hold"),
        ([unseen_metrics(UnseenReason.FORBIDDEN, "no")], UnseenReason.FORBIDDEN, "you may not read"),
        ([unseen_metrics(UnseenReason.TIMEOUT, "too slow")], UnseenReason.TIMEOUT, "could not be read (too slow)"),
    ],
)
def test_metrics_that_are_not_known_are_not_fine(metrics, reason, word):
    findings, [unseen] = found_in(*installed(), READY, *metrics)
    assert findings == []
    assert (unseen.what, unseen.reason) == ("how often the API server failed open", reason)
    assert word in unseen.sentence
    assert all(each.get("kind") == KIND for each in metrics)
