"""The observer in the chart: nothing of it unless it is wanted, its own account and rights, and a memory without data."""

import pytest

from tests import chart
from tests.test_chart_values import server_settings
from webhook.config.settings import ObserverSettings

ON = ("--set", "observer.enabled=true")


@pytest.fixture(params=chart.HELMS)
def helm(request):
    return request.param


def of_observer(manifests):
    return [each for each in manifests if each["metadata"]["labels"].get("app.kubernetes.io/component") == "observer"]


def rules(manifests, kind):
    return [rule for each in of_observer(manifests) if each["kind"] == kind for rule in each["rules"]]


def environment(manifests):
    pod = chart.the(manifests, "Deployment", "-observer")["spec"]["template"]["spec"]
    return {each["name"]: each["value"] for each in pod["containers"][0]["env"]}


def test_given_the_default_then_nothing_of_it_is_rendered(helm):
    assert of_observer(chart.rendered(helm)) == []
    assert server_settings(chart.rendered(helm)).memory_name is None


def test_given_it_is_enabled_then_it_has_an_account_of_its_own_and_the_server_gets_no_right_on_pods(helm):
    manifests = chart.objects(helm, *ON)
    pod = chart.the(manifests, "Deployment", "-observer")["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "gk-gracekeeper-observer"
    assert pod["automountServiceAccountToken"] is False
    assert rules(manifests, "ClusterRole") == [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
        {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "list", "watch"]},
    ]
    own = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["gk-gracekeeper-terminations"]}
    assert rules(manifests, "Role") == [{**own, "verbs": ["get", "update"]}]
    server = chart.the(manifests, "ClusterRole", ".gk-gracekeeper")["rules"]
    assert not [rule for rule in server if {"pods", "events"} & {*rule["resources"]}]
    assert {**own, "verbs": ["list", "watch"]} in chart.the(manifests, "Role", "-gracekeeper")["rules"]


def test_given_namespaces_then_it_has_a_role_in_each_and_no_cluster_role(helm):
    manifests = chart.objects(helm, *ON, "--set", "observer.namespaces={ml,research}")
    assert rules(manifests, "ClusterRole") == []
    places = {
        each["metadata"]["namespace"]
        for each in of_observer(manifests)
        if each["kind"] == "RoleBinding" and each["metadata"]["name"].startswith("gk-system.")
    }
    assert places == {"ml", "research"}
    assert environment(manifests)["GRACEKEEPER_OBSERVER_NAMESPACES"] == "ml,research"


def test_the_memory_is_rendered_without_data_so_that_nobody_takes_away_what_was_learned(helm):
    memory = chart.the(chart.objects(helm, *ON), "ConfigMap", "-terminations")
    assert memory.keys() == {"apiVersion", "kind", "metadata"}


def test_server_and_observer_name_the_same_memory_and_share_the_configuration(helm):
    manifests = chart.objects(helm, *ON)
    prefix = "GRACEKEEPER_OBSERVER_"
    values = {name.removeprefix(prefix).lower(): value for name, value in environment(manifests).items() if value}
    settings = ObserverSettings.model_validate(values)
    memory = chart.the(manifests, "ConfigMap", "-terminations")["metadata"]
    assert (settings.namespace, settings.memory_name) == (memory["namespace"], memory["name"])
    assert server_settings(manifests).memory_name == memory["name"]
    assert "observer:\n  enabled: true" in chart.the(manifests, "ConfigMap", "gk-gracekeeper")["data"]["config.yaml"]


def test_there_is_one_observer_and_never_two(helm):
    spec = chart.the(chart.objects(helm, *ON), "Deployment", "-observer")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    webhook = chart.the(chart.objects(helm, *ON), "Deployment", "gk-gracekeeper")["spec"]["selector"]["matchLabels"]
    assert not webhook.items() <= spec["template"]["metadata"]["labels"].items()
