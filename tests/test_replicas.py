"""How many replicas are ready, as Prometheus sees it, and the alert on one that is missing."""

import re
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests import chart, webhook_server
from tests.webhook_server import authority, eventually
from webhook.admission import Refusal
from webhook.metrics import Metrics

ALERTS = Path(__file__).parent.parent / "docs" / "alerts.yaml"


def value(text: bytes, name: str) -> float:
    families = text_string_to_metric_families(text.decode())
    return next(sample.value for family in families for sample in family.samples if sample.name == name)


def test_a_replica_says_that_it_is_ready_exactly_when_readyz_does():
    server = webhook_server.Running(lacks=["no list of Namespaces yet"], drain_seconds=120)
    server.thread.start()
    try:
        eventually(lambda: server.health_port)
        assert value(server.get("/metrics").body, "gracekeeper_ready") == 0
        webhook_server.use(server.certificate, authority.issue_cert("127.0.0.1"))
        eventually(server.server.listening.is_set)
        assert value(server.get("/metrics").body, "gracekeeper_ready") == 0
        server.lacks.clear()
        assert value(server.get("/metrics").body, "gracekeeper_ready") == 1
        server.stop()
        eventually(lambda: server.get("/readyz").status == 503)
        assert value(server.get("/metrics").body, "gracekeeper_ready") == 0
    finally:
        server.stop()
        server.stop()
        server.thread.join(webhook_server.PATIENCE_SECONDS)


def replica(wanted: int, *, ready: bool) -> bytes:
    """What one replica's /metrics says."""
    metrics = Metrics(Refusal)
    metrics.replicas_wanted(wanted)
    metrics.readiness(lambda: ready)
    return metrics.text()


def fires(scraped: list[bytes]) -> bool:
    """The alert's expression, for replicas whose targets carry the same labels: PromQL's sum and max over them."""
    rules = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    (expression,) = [rule["expr"] for rule in rules if rule["alert"] == "GracekeeperReplicaMissing"]
    form = r"sum by \(namespace, job\) \((\w+)\) < max by \(namespace, job\) \((\w+)\)"
    match = re.fullmatch(form, expression)
    assert match
    present, wanted = ([value(text, name) for text in scraped] for name in match.groups())
    return bool(scraped) and sum(present) < max(wanted)


@pytest.mark.parametrize(
    ("scraped", "expected"),
    [
        ([replica(2, ready=True), replica(2, ready=True)], False),
        ([replica(2, ready=True)], True),
        ([replica(2, ready=True), replica(2, ready=False)], True),
        ([replica(1, ready=True)], False),
        ([replica(2, ready=True), replica(2, ready=True), replica(2, ready=True)], False),
        ([replica(0, ready=True)], False),
    ],
    ids=["all", "one-is-gone", "one-is-not-ready", "one-is-enough", "a-rollout", "nobody-said-how-many"],
)
def test_the_alert_fires_when_a_replica_is_missing(scraped, expected):
    assert fires(scraped) is expected


@pytest.mark.parametrize("file", chart.CI_FILES)
def test_the_chart_tells_the_server_how_many_replicas_it_asks_for(file):
    manifests = chart.rendered("helm4", file)
    wanted = chart.the(manifests, "Deployment")["spec"]["replicas"]
    assert chart.environment_of(manifests)["GRACEKEEPER_SERVER_REPLICAS"] == str(wanted)
