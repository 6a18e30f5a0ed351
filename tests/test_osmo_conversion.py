"""What holds for every OSMO task pod that is converted, whatever it looked like: checked over all golden cases of them."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import jsonpatch
import pytest

from tests import golden, kubernetes_schemas
from tests.policy_calls import decide_pod
from webhook.policy.configuration import Config, Observer, OsmoMode
from webhook.policy.decision import Outcome
from webhook.policy.osmo.sidecar_resources import resources_of_sidecar
from webhook.policy.osmo.treatment import Treatment
from webhook.policy.patch import operations
from webhook.policy.quantity import kubernetes_quantity

OURS = ("gracekeeper-init", "gracekeeper-gate")
CASES = [golden.load(name) for name in golden.names() if name.startswith("osmo-")]
CONVERTED = [case for case in CASES if case.expect["outcome"] == "patched" and case.decide().changes is not None]
SUMS_HOLD_OSMO_CTRL = [case for case in CONVERTED if "native-already" not in case.name]


def name_of(case: golden.Case) -> str:
    return case.name


@pytest.fixture(params=CONVERTED, ids=name_of)
def case(request) -> golden.Case:
    golden_case: golden.Case = request.param
    return golden_case


def mode_of(case: golden.Case) -> str:
    treated = case.decide().osmo
    assert treated is not None
    return treated.mode


def converted(case: golden.Case) -> dict[str, Any]:
    """The pod as it would be created."""
    pod: dict[str, Any] = jsonpatch.apply_patch(case.pod, operations(case.pod, case.decide()))
    return pod


def everyone(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod["spec"]["containers"], *pod["spec"].get("initContainers", [])]


def named(pod: dict[str, Any], name: str) -> dict[str, Any]:
    return next(container for container in everyone(pod) if container["name"] == name)


def requests(container: dict[str, Any]) -> dict[str, Fraction]:
    resources = container.get("resources") or {}
    stated = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return {name: kubernetes_quantity(amount) or Fraction(0) for name, amount in stated.items()}


def quality_of_service(pod: dict[str, Any]) -> str:
    """By the rules of the kubelet: CPU and memory of all containers."""
    seen, equal = False, True
    for container in everyone(pod):
        limits = (container.get("resources") or {}).get("limits") or {}
        requested = requests(container)
        for name in ("cpu", "memory"):
            seen |= name in requested
            equal &= name in limits and kubernetes_quantity(limits[name]) == requested[name]
    return ("Guaranteed" if equal else "Burstable") if seen else "BestEffort"


def regular_sum(pod: dict[str, Any], resource: str) -> Fraction:
    return sum((requests(container).get(resource, Fraction(0)) for container in pod["spec"]["containers"]), Fraction(0))


def test_there_are_converted_pods_in_both_modes_among_the_cases():
    assert {mode_of(case) for case in CONVERTED} == {"native", "container"}
    assert len(CONVERTED) >= 20


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_the_pod_is_valid_for_the_api_servers_that_run_it(case):
    kubernetes_schemas.validate(converted(case), "1.37")


def test_names_are_unique_and_every_mount_has_its_volume(case):
    pod = converted(case)
    names = [container["name"] for container in everyone(pod)]
    assert len(names) == len(set(names))
    volumes = [volume["name"] for volume in pod["spec"]["volumes"]]
    assert len(volumes) == len(set(volumes))
    for container in everyone(pod):
        paths = [mount["mountPath"] for mount in container.get("volumeMounts", [])]
        assert len(paths) == len(set(paths))
    ours = [
        mount["name"] for c in everyone(pod) for mount in c.get("volumeMounts", []) if "gracekeeper" in mount["name"]
    ]
    assert ours
    assert set(ours) <= set(volumes)


def test_the_quality_of_service_is_the_one_that_the_pod_had(case):
    assert quality_of_service(converted(case)) == quality_of_service(case.pod)


@pytest.mark.parametrize("case", SUMS_HOLD_OSMO_CTRL, ids=name_of)
@pytest.mark.parametrize(("resource", "allowed"), [("cpu", Fraction(10, 1000)), ("memory", Fraction(16 * 2**20))])
def test_schedulers_that_count_regular_containers_see_the_same_sum(case, resource, allowed):
    assert abs(regular_sum(converted(case), resource) - regular_sum(case.pod, resource)) <= allowed


def test_what_is_added_passes_restricted_pod_security(case):
    ours = [container for container in everyone(converted(case)) if container["name"] in OURS]
    assert ours
    for container in ours:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] > 0
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    volume = next(v for v in converted(case)["spec"]["volumes"] if v["name"] == "gracekeeper")
    assert list(volume) == ["name", "emptyDir"]


def test_only_osmo_ctrl_can_write_where_it_keeps_its_state_and_nobody_the_binary(case):
    pod = converted(case)
    writable = {
        (container["name"], mount["mountPath"])
        for container in everyone(pod)
        for mount in container.get("volumeMounts", [])
        if mount["name"] == "gracekeeper" and not mount.get("readOnly")
    }
    gate = {("gracekeeper-gate", "/gracekeeper/task")} if mode_of(case) == "native" else set()
    assert writable == gate | {
        ("gracekeeper-init", "/gracekeeper"),
        ("osmo-ctrl", "/gracekeeper/hold"),
        (pod["spec"]["containers"][0]["name"], "/gracekeeper/task"),
    }


def test_the_users_container_stays_the_first_and_osmo_ctrl_comes_after_what_it_needs(case):
    pod = converted(case)
    assert pod["spec"]["containers"][0]["name"] == case.pod["spec"]["containers"][0]["name"]
    assert "/osmo/bin/osmo_exec" in pod["spec"]["containers"][0]["command"]
    inits = [container["name"] for container in pod["spec"]["initContainers"]]
    assert inits.index("gracekeeper-init") > max(
        (inits.index(name) for name in ("osmo-init",) if name in inits), default=-1
    )
    if mode_of(case) == "native":
        assert inits[-1] == "osmo-ctrl"
        assert named(pod, "osmo-ctrl")["restartPolicy"] == "Always"
    else:
        assert "osmo-ctrl" in [container["name"] for container in pod["spec"]["containers"]]
        assert "restartPolicy" not in named(pod, "osmo-ctrl")


def test_a_container_keeps_all_that_is_not_wrapped(case):
    """Everything but command, mounts, the torch clock and osmo-ctrl's place is what OSMO built."""
    pod = converted(case)
    before, after = case.pod["spec"]["containers"][0], pod["spec"]["containers"][0]
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    assert changed == {"command", "volumeMounts", "env"}
    assert after["volumeMounts"][: len(before.get("volumeMounts", []))] == before.get("volumeMounts", [])
    was = next(c for c in everyone(case.pod) if c["name"] == "osmo-ctrl")
    now = named(pod, "osmo-ctrl")
    assert now["args"] == was["args"]
    assert now["image"] == was["image"]
    assert now["command"][-1] == "/osmo/bin/osmo_ctrl"
    assert (now.get("resources") or {}).get("limits") == (was.get("resources") or {}).get("limits")


def test_given_bounds_of_the_namespace_are_not_known_when_a_task_is_converted_then_osmo_ctrl_stays_regular():
    native = next(case for case in CONVERTED if case.name == "osmo-native")
    for facts in (replace(native.facts, limit_ranges=None), replace(native.facts, resource_quotas=None)):
        decision = decide_pod(native.pod, facts, native.config, native.namespace.name)
        assert decision.osmo == Treatment(
            OsmoMode.CONTAINER, "the namespace's LimitRanges and ResourceQuotas are not known"
        )


def test_given_an_osmo_ctrl_without_resources_when_it_becomes_a_sidecar_then_it_gets_none():
    assert resources_of_sidecar({"name": "osmo-ctrl"}) == {}


def test_given_no_image_of_supervise_when_a_task_comes_then_it_is_left_as_it_is_and_the_decision_says_why():
    native = next(case for case in CONVERTED if case.name == "osmo-native")
    decision = decide_pod(native.pod, native.facts, Config(observer=Observer(enabled=False)), native.namespace.name)
    assert decision.outcome == Outcome.UNSUPPORTED
    assert "no image of supervise is configured" in str(decision.annotation)
    assert [operation["path"] for operation in operations(native.pod, decision)] == ["/metadata/annotations"]
