"""`gracekeeper serve` as a process of its own, with a certificate that it issues: what its health port tells of it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from tests import task_server
from tests.fake_api import FakeApi
from tests.test_cluster import eventually
from tests.test_serve import read, serving
from tests.tls_cluster import CONFIGURATION, OBJECTS, SECRET, entry
from webhook.tls.certificates import new_authority, new_leaf, service_names
from webhook.tls.clock import TOLERANCE

SETTINGS = {
    "CERTIFICATE_SOURCE": "secret",
    "NAMESPACE": OBJECTS.namespace,
    "SERVICE_NAME": OBJECTS.service,
    "SECRET_NAME": OBJECTS.secret,
    "WEBHOOK_CONFIGURATION_NAMES": OBJECTS.configurations[0],
}
ROOT = Path(__file__).parents[1]


@pytest.fixture
def server() -> Iterator[FakeApi]:
    """With both objects as the chart renders them."""
    with task_server.running() as server:
        server.put(SECRET, type="Opaque")
        touch(server, 0)
        yield server


@contextmanager
def ready(server: FakeApi, folder: Path) -> Iterator[str]:
    """The address of the health port of a server that serves."""
    with serving(server, folder, {}, **SETTINGS) as (address, _):
        eventually(lambda: read(f"{address}/readyz") == "ok\n")
        yield address


def touch(server: FakeApi, number: int) -> None:
    """A change by somebody else, for which each replica looks again."""
    former = server.objects.get(CONFIGURATION, {"webhooks": [entry("pods", OBJECTS.service)]})
    server.put(CONFIGURATION, webhooks=former["webhooks"], number=number)


def value(address: str, metric: str) -> float:
    (text,) = re.findall(rf"^{metric} (\S+)$", read(f"{address}/metrics"), re.MULTILINE)
    return float(text)


def test_a_deleted_secret_is_told_by_readiness_and_by_a_metric_until_it_is_back(server, tmp_path):
    with ready(server, tmp_path) as address:
        assert value(address, "gracekeeper_certificate_in_step") == 1
        server.remove(SECRET)
        touch(server, 1)
        eventually(lambda: value(address, "gracekeeper_certificate_in_step") == 0)
        ok, note = read(f"{address}/readyz").splitlines()
        assert ok == "ok"
        assert note.startswith("the certificate is not kept in step: the Secret grace-tls cannot be read: 404 ")
        server.put(SECRET, type="Opaque")
        eventually(lambda: read(f"{address}/readyz") == "ok\n")
        assert value(address, "gracekeeper_certificate_in_step") == 1


def test_a_clock_that_differs_is_told_by_readiness_and_by_a_metric_until_it_agrees(server, tmp_path):
    with ready(server, tmp_path) as address:
        assert value(address, "gracekeeper_clock_ahead_seconds") == 0
        server.date = lambda: datetime.now(UTC) + timedelta(days=3)
        touch(server, 1)
        eventually(lambda: len(read(f"{address}/readyz").splitlines()) > 1)
        ok, note = read(f"{address}/readyz").splitlines()
        assert ok == "ok"
        assert note.startswith("the clock of this node is 3 d behind the API server's: no certificate is issued")
        assert value(address, "gracekeeper_clock_ahead_seconds") == pytest.approx(-3 * 86400, abs=3)
        server.date = lambda: datetime.now(UTC)
        touch(server, 2)
        eventually(lambda: read(f"{address}/readyz") == "ok\n")
        assert value(address, "gracekeeper_clock_ahead_seconds") == 0


@pytest.mark.parametrize(
    ("alert", "expression"),
    [
        ("GracekeeperCertificateNotKept", "min(gracekeeper_certificate_in_step) == 0"),
        ("GracekeeperClock", f"max(abs(gracekeeper_clock_ahead_seconds)) > {TOLERANCE.total_seconds():g}"),
    ],
)
def test_an_alert_fires_on_what_these_metrics_tell(alert, expression):
    rules = yaml.safe_load((ROOT / "docs" / "alerts.yaml").read_text())["groups"][0]["rules"]
    assert {rule["alert"]: rule["expr"] for rule in rules}[alert] == expression


def test_certificate_files_from_the_future_are_no_readiness(server, tmp_path):
    begin = datetime.now(UTC) + timedelta(days=3)
    authority = new_authority(timedelta(days=30), begin)
    leaf = new_leaf(authority, service_names("grace", "ops"), timedelta(days=3), begin)
    (tmp_path / "tls.crt").write_bytes(leaf.certificate_pem)
    (tmp_path / "tls.key").write_bytes(leaf.key_pem)
    with serving(server, tmp_path, {}) as (address, _):
        eventually(lambda: read(f"{address}/healthz") == "ok\n")
        eventually(lambda: value(address, "gracekeeper_certificate_in_step") == 0)
        assert read(f"{address}/readyz") == ""  # 503
        now = new_leaf(
            new_authority(timedelta(days=30), datetime.now(UTC)), ("grace",), timedelta(days=3), datetime.now(UTC)
        )
        (tmp_path / "tls.crt").write_bytes(now.certificate_pem)
        (tmp_path / "tls.key").write_bytes(now.key_pem)
        eventually(lambda: read(f"{address}/readyz") == "ok\n")
        assert value(address, "gracekeeper_certificate_in_step") == 1
