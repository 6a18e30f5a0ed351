"""The kubelet replaces the token of a running server: watches, live reads and the certificate go on without a restart."""

import asyncio
import ssl
from datetime import timedelta
from pathlib import Path

import pytest
import trustme

from tests import fake_api
from tests.test_cluster import ATTRIBUTES_CLASSES, CLAIMS, CLASSES, NAMESPACES, QUICK, VOLUMES, eventually, started
from tests.tls_cluster import CONFIGURATION, OBJECTS, SECRET
from webhook import log
from webhook.api import Api
from webhook.cluster import Cluster
from webhook.policy.facts import Lookups, MissingReason
from webhook.server.certificate import Certificate
from webhook.tls.source import SecretSource

SERVICE = {"namespace": OBJECTS.namespace, "name": OBJECTS.service}


@pytest.fixture
def authority():
    return trustme.CA()


@pytest.fixture
def server(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with fake_api.running(context) as server:
        for collection in (NAMESPACES, CLASSES, ATTRIBUTES_CLASSES, CLAIMS, VOLUMES):
            server.serve_collection(collection)
        for name in ("before", "after"):
            server.put(f"{CLAIMS}/{name}", kind="PersistentVolumeClaim", spec={"storageClassName": "fast"})
        server.put(SECRET, kind="Secret", data={})
        server.put(CONFIGURATION, webhooks=[{"name": "a", "clientConfig": {"service": SERVICE}}])
        yield server


@pytest.fixture
def folder(server, authority, tmp_path, monkeypatch):
    """A projected volume: its files are links into a folder that the kubelet exchanges."""
    host, _, port = server.address.removeprefix("https://").partition(":")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    (tmp_path / "ca.crt").write_bytes(authority.cert_pem.bytes())
    (tmp_path / "token").symlink_to("..data/token")
    rotate(tmp_path, "first")
    server.token = "first"
    return tmp_path


def rotate(folder: Path, token: str) -> None:
    """What a kubelet does: a new folder, and a link that is replaced at once."""
    (folder / f"..{token}").mkdir()
    (folder / f"..{token}" / "token").write_text(token)
    (folder / "..data_tmp").symlink_to(f"..{token}")
    (folder / "..data_tmp").rename(folder / "..data")


@pytest.fixture
def api(folder):
    api = Api.from_service_account(folder)
    yield api
    api.close()


@pytest.fixture
def cluster(api):
    cluster = Cluster(api, log.logger(), QUICK)
    yield started(cluster)
    cluster.stop()


def facts(cluster: Cluster, claim: str):
    return asyncio.run(cluster.facts("team-a", Lookups((claim,)), 2.0))


def test_given_a_new_token_when_the_old_one_has_ended_then_reads_and_watches_go_on(server, folder, cluster):
    server.token = "second"
    assert [missing.reason for missing in facts(cluster, "before").missing] == [MissingReason.ERROR]
    rotate(folder, "second")
    assert facts(cluster, "after").claims["after"]["spec"]["storageClassName"] == "fast"
    server.end_watches()
    server.put(f"{CLASSES}/fast", provisioner="ebs.csi.aws.com")
    eventually(lambda: "fast" in facts(cluster, "after").storage_classes)


def test_given_a_new_token_when_the_old_one_has_ended_then_the_certificate_is_kept_in_step(server, folder, api):
    certificate = Certificate()
    source = SecretSource(api, OBJECTS, certificate.use, lambda _end: None, life=timedelta(days=90), settle_seconds=0)
    assert source.reconcile()
    server.token = "second"
    assert not source.reconcile()
    assert "401" in source.notes()[0]
    rotate(folder, "second")
    assert source.reconcile()
    assert source.in_step()
