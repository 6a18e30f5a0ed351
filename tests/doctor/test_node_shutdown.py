"""GK103: how kubelets shut down in, findings out."""

import pytest

from tests.doctor.objects import configz, findings_of, losses, node, report_on, trainer

SPOT = {"karpenter.sh/capacity-type": "spot"}


def period(whole, critical="0s"):
    return configz(shutdownGracePeriod=whole, shutdownGracePeriodCriticalPods=critical)


@pytest.mark.parametrize(
    ("config", "lost", "severity"),
    [
        (period("30s", "15s"), {"a": 767}, "warning"),
        (period("2m0s", "10s"), {"a": 672}, "warning"),
        (period("1h"), {}, "info"),
        (period("10s", "30s"), {"a": 782}, "info"),  # nothing is left, as where it is off
        (configz(shutdownGracePeriod=None), {"a": 782}, "info"),
    ],
)
def test_ordinary_pods_get_the_period_less_the_critical_pods_part(config, lost, severity):
    [finding] = findings_of("GK103", node(), config, trainer("a"))
    assert (finding.severity, losses(finding)) == (severity, lost)


def test_a_spot_node_that_shuts_down_at_once_is_a_warning_and_a_cap():
    [on_spot] = findings_of("GK103", node(**SPOT), period("0s"), trainer("a"))
    [elsewhere] = findings_of("GK103", node(), period("0s"), trainer("a"))
    assert (on_spot.severity, on_spot.cap and on_spot.cap.seconds) == ("warning", 0)
    assert (elsewhere.severity, elsewhere.cap) == ("info", None)


def test_each_group_of_priorities_has_its_own_seconds():
    groups = [
        {"priority": 0, "shutdownGracePeriodSeconds": 10},
        {"priority": 1000, "shutdownGracePeriodSeconds": 300},
    ]
    pods = [trainer("low"), trainer("high", spec={"priority": 5000}), trainer("below", spec={"priority": -1})]
    findings = findings_of("GK103", node(), configz(shutdownGracePeriodByPodPriority=groups), *pods)
    assert [losses(each) for each in findings] == [{"below": 772, "low": 772}, {"high": 482}]


def test_the_cure_adds_the_critical_pods_part():
    [finding] = findings_of("GK103", node(), period("30s", "18s"), trainer("a"))
    assert 'Set shutdownGracePeriod: "800s"' in finding.cure.note


def test_without_settings_it_could_not_look():
    report = report_on(node(), trainer("a"), only="GK103")
    assert (report.findings, [each.reason for each in report.unseen]) == ((), ["not-asked"])
