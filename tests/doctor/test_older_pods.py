"""GK311: pods in, findings out."""

from tests.doctor.objects import findings_of, losses, trainer
from webhook.policy.configuration import Config, Mode

ASKS = {"annotations": {"gracekeeper.dev/grace-seconds": "900"}}


def test_pods_from_before_gracekeeper_lose_what_it_gives_them_today():
    # given two pods with 30 s whose owner asks for 900 s, and one that has enough
    [finding] = findings_of(
        "GK311", trainer("b", grace=30, metadata=ASKS), trainer("a", grace=60, metadata=ASKS), trainer("c")
    )
    # then the two are named, and nobody is told to delete them before a checkpoint
    assert (finding.severity, losses(finding)) == ("warning", {"a": 840, "b": 870})
    assert finding.sentence.startswith("2 pods run in namespace ml with less grace")
    assert "Recreate them after the next checkpoint, not before." in finding.sentence
    assert finding.cure.command == "kubectl delete pod -n ml b a"
    assert "has 30 s to save" in finding.cure.note


def test_each_namespace_is_a_finding_of_its_own():
    other = trainer("b", grace=30, metadata={**ASKS, "namespace": "research"})
    findings = findings_of("GK311", trainer("a", grace=30, metadata=ASKS), other)
    assert [each.subject for each in findings] == ["pods of namespace ml", "pods of namespace research"]


def test_audit_mode_is_told():
    [finding] = findings_of("GK311", trainer("a", grace=30, metadata=ASKS), config=Config(mode=Mode.AUDIT))
    assert "only audits there" in finding.sentence


def test_pods_with_their_grace_are_no_finding():
    assert findings_of("GK311", trainer("a", grace=900, metadata=ASKS), trainer("b"), trainer("c", grace=30)) == []
