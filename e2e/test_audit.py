"""In audit mode gracekeeper decides and counts, and changes nothing."""

from e2e import pods
from tools.release import Release

NEEDED = {"checkpoint-size": "9.2GB"}


def test_in_audit_mode_a_pod_is_decided_and_counted_and_not_patched(kube, cluster, image, supervise_image, release):
    """A second release beside the first, in audit mode, for the namespaces that are labelled for it."""
    selector = {"matchLabels": {"e2e": "other"}}
    audit = Release(
        kube,
        cluster.tool("helm4"),
        "gracekeeper",
        "audited",
        image,
        supervise_image,
        {"mode": "audit", "replicas": 1, "webhook": {"namespaceSelector": selector}},
    )
    audit.upgrade()
    try:
        kube.make_namespace("only-watched", {"e2e": "other"})
        series = 'gracekeeper_decisions_total{mode="audit",outcome="audited"}'
        before = audit.metrics()[series]
        created = kube.create_pod("only-watched", pods.a_pod(annotations=NEEDED))
        assert pods.grace_seconds(created) == 30
        assert not pods.is_patched(created)
        assert audit.metrics()[series] == before + 1
        assert release.webhook_configuration["metadata"]["name"] != audit.webhook_configuration["metadata"]["name"]
    finally:
        kube.remove_namespaces("only-watched")
        audit.uninstall()
