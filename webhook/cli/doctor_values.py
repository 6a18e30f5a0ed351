"""`gracekeeper doctor -o config`: what was found as values of the chart, so that admission warns each pod from then on."""

from collections.abc import Iterable

from webhook import yaml_text
from webhook.doctor.examination import Report
from webhook.doctor.finding import Cap

_HEADER = """\
# What cuts a longer grace in this cluster, as gracekeeper doctor found it. Put it beside your other values:
#   helm upgrade gracekeeper CHART --namespace gracekeeper --reuse-values -f caps.yaml
# Admission then warns of each pod that asks for more, and names what cuts it.
"""
_UNSEEN = "# Not looked at, so perhaps not all: {}\n"
_BOUND = """\
# bound: the grace is not set above the cap. A longer one is worse there: Karpenter would end the pod earlier.
"""


def values(report: Report) -> str:
    """Return a values file of the chart with the caps that were found."""
    header = _HEADER
    if report.unseen:
        header += _UNSEEN.format(", ".join(dict.fromkeys(each.what for each in report.unseen)))
    if any(cap.may_bound for cap in report.caps):
        header += _BOUND
    return header + yaml_text.dumped({"config": {"graceCaps": _caps(report.caps)}})


def _caps(caps: Iterable[Cap]) -> dict[str, object]:
    return {cap.name: _cap(cap) for cap in caps}


def _cap(cap: Cap) -> dict[str, object]:
    of_cap: dict[str, object] = {"seconds": max(1, cap.seconds)}
    if cap.node_selector:
        of_cap["nodeSelector"] = dict(cap.node_selector)
    if cap.may_bound:
        of_cap["bound"] = True
    return of_cap
