"""What wrapping leaves of a pod whose shape others compare: Kueue's roles of a pod group, and OpenShift's range of users."""

import copy

import jsonpatch
import pytest

from tests import golden
from webhook.policy.patch import operations

ROLE = (
    *("nodeSelector", "affinity", "tolerations", "runtimeClassName", "priority"),
    *("topologySpreadConstraints", "overhead", "resourceClaims"),
)
"""Fields of a pod that Kueue hashes into its role (kubernetes-sigs/kueue, pkg/util/pod, SpecShape)."""
GROUP = {"kueue.x-k8s.io/pod-group-name": "g", "kueue.x-k8s.io/queue-name": "q"}


def role(pod):
    """What Kueue compares of a pod with the others of its group."""
    spec = pod["spec"]
    containers = [
        [(each.get("resources", {}).get("requests"), each.get("ports")) for each in spec.get(group, ())]
        for group in ("initContainers", "containers")
    ]
    return containers, {field: spec.get(field) for field in ROLE}


def patched(case, pod):
    """The pod as the API server gets it back."""
    return jsonpatch.apply_patch(pod, operations(pod, case.decide(pod)))


@pytest.mark.parametrize("name", ["auto-wraps", "auto-openshift"])
def test_given_a_pod_group_of_kueue_when_auto_decides_then_the_pod_s_role_is_the_one_without_gracekeeper(name):
    case = golden.load(name)
    pod = copy.deepcopy(case.pod)
    pod["metadata"]["labels"] = {**pod["metadata"].get("labels", {}), **GROUP}
    result = patched(case, pod)
    assert result["spec"]["terminationGracePeriodSeconds"] > pod["spec"]["terminationGracePeriodSeconds"]
    assert role(result) == role(pod)


def test_given_a_pod_group_of_kueue_when_its_owner_has_all_pods_wrapped_then_their_roles_stay_equal():
    case = golden.load("auto-wraps")
    pods = [copy.deepcopy(case.pod) for _ in range(2)]
    for number, pod in enumerate(pods):
        pod["metadata"] |= {"name": f"p-{number}", "labels": dict(GROUP)}
        pod["metadata"]["annotations"]["gracekeeper.dev/forward-sigterm"] = "true"
    first, second = (patched(case, pod) for pod in pods)
    assert "initContainers" in first["spec"]
    assert role(first) == role(second) != role(pods[0])


def test_given_openshift_s_range_of_users_when_a_pod_is_wrapped_then_no_user_outside_of_it_is_named():
    def users(name):
        case = golden.load(name)
        contexts = [each.get("securityContext", {}) for each in patched(case, case.pod)["spec"]["initContainers"]]
        return [{"runAsUser", "runAsGroup"} & context.keys() for context in contexts]

    assert users("auto-openshift") == [set()]
    assert users("auto-wraps") == [{"runAsUser", "runAsGroup"}]
