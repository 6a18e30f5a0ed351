"""Which nodes a pod asks for, where several labels together name them."""

import pytest

from webhook.policy.checkpoint.size import Amount
from webhook.policy.configuration import GraceCap
from webhook.policy.pod.placement import read_placement
from webhook.policy.shutdown.grace import Maximum, bounded, smallest_cap

SPOT_OF_A = {"capacity": "spot", "pool": "a"}


def required(*terms):
    """A spec with a required affinity of these terms, each labels and their values."""
    selectors = [
        {"matchExpressions": [{"key": key, "operator": "In", "values": values} for key, values in term.items()]}
        for term in terms
    ]
    needed = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": selectors}}
    return {"affinity": {"nodeAffinity": needed}}


@pytest.mark.parametrize(
    ("spec", "labels", "binds"),
    [
        ({}, {}, True),
        ({}, SPOT_OF_A, False),
        ({"nodeSelector": SPOT_OF_A}, SPOT_OF_A, True),
        ({"nodeSelector": {"capacity": "spot"}}, SPOT_OF_A, False),
        ({"nodeSelector": {**SPOT_OF_A, "pool": "b"}}, SPOT_OF_A, False),
        (required({"capacity": ["spot"], "pool": ["a", "b"]}), SPOT_OF_A, True),
        (required({"capacity": ["spot"], "pool": ["b"]}, {"capacity": ["spot"], "pool": ["a"]}), SPOT_OF_A, True),
        (required({"capacity": ["spot"], "pool": ["b"]}, {"capacity": ["large"], "pool": ["a"]}), SPOT_OF_A, False),
        (required({"capacity": ["spot"], "pool": ["a"]}, {"pool": ["b"]}), SPOT_OF_A, False),
        (required({"capacity": ["spot"]}, {"pool": ["a"]}), SPOT_OF_A, False),
        ({"nodeSelector": {"pool": "a"}, **required({"capacity": ["spot"]}, {"capacity": ["large"]})}, SPOT_OF_A, True),
        ({"nodeSelector": {"pool": "b"}, **required({"capacity": ["spot"]})}, SPOT_OF_A, False),
        (required({"capacity": ["spot"]}, {"capacity": ["large"]}), {"capacity": "spot"}, True),
    ],
)
def test_all_labels_hold_by_the_selector_and_within_one_term_of_the_affinity(spec, labels, binds):
    placement = read_placement(spec)
    assert placement.may_bind(labels) is binds
    assert smallest_cap({"cap": GraceCap(120, labels)}, placement) == (("cap", 120) if binds else None)


@pytest.mark.parametrize(
    ("spec", "labels", "binds"),
    [
        ({}, {}, True),
        ({}, SPOT_OF_A, False),
        ({"nodeSelector": SPOT_OF_A}, SPOT_OF_A, True),
        ({"nodeSelector": {**SPOT_OF_A, "pool": "b"}}, SPOT_OF_A, False),
        (required({"capacity": ["spot"], "pool": ["a"]}), SPOT_OF_A, True),
        (required({"capacity": ["spot"], "pool": ["a", "b"]}), SPOT_OF_A, False),
        (required({"capacity": ["spot"]}, {"capacity": ["large"]}), {"capacity": "spot"}, False),
        ({"nodeSelector": {"pool": "a"}, **required({"capacity": ["spot"]})}, SPOT_OF_A, True),
    ],
)
def test_a_cap_bounds_only_a_pod_that_can_go_nowhere_else(spec, labels, binds):
    # given an admin's maximum of an hour, and a cap that may bound
    caps = {"cap": GraceCap(120, labels, bound=True), "no bound": GraceCap(60, labels)}
    # when it is asked what bounds the pod
    maximum = bounded(Amount(3600, "default"), caps, read_placement(spec))
    # then it is the cap, where every node that the pod asks for has it
    assert maximum == (Maximum(120, "graceCaps cap", cap="cap") if binds else Maximum(3600, "default"))


def test_a_smaller_maximum_counts_before_a_cap():
    caps = {"cap": GraceCap(120, bound=True)}
    assert bounded(Amount(60, "profile a"), caps, read_placement({})) == Maximum(60, "profile a")


def test_an_expression_that_excludes_nodes_asks_for_none():
    excluded = {"matchExpressions": [{"key": "capacity", "operator": "NotIn", "values": ["spot"]}]}
    needed = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [excluded]}}
    placement = read_placement({"affinity": {"nodeAffinity": needed}})
    assert placement.may_bind({"capacity": "spot"}) is False
