"""The observer in the chart: its own account and rights, a memory without data, and nothing of it where it is not wanted."""

import pytest
import yaml

from tests import chart
from tests.test_chart_values import server_settings
from webhook.config.fields import load_config
from webhook.config.settings import ObserverSettings

OFF = ("--set", "observer.enabled=false")


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


def configuration(manifests):
    return yaml.safe_load(chart.the(manifests, "ConfigMap", "gk-gracekeeper")["data"]["config.yaml"])


def test_given_one_value_then_nothing_of_it_is_rendered_and_no_pod_is_labelled(helm):
    manifests = chart.objects(helm, *OFF)
    assert of_observer(manifests) == []
    (config_file,) = [each for each in chart.template(helm, *OFF).split("---\n") if "config.yaml: |" in each]
    assert "observe" not in chart.template(helm, *OFF).replace(config_file, "").lower()
    assert server_settings(manifests).memory_name is None
    assert not load_config(configuration(manifests)).observer.enabled


def test_given_the_default_then_pods_are_labelled_and_the_configuration_may_set_the_rest(helm):
    manifests = chart.objects(helm, "--set", "config.observer.minimumRunSeconds=60")
    assert configuration(manifests)["observer"] == {"enabled": True, "minimumRunSeconds": 60}


def test_given_restart_on_config_change_is_off_then_a_changed_or_broken_configuration_replaces_no_observer(helm):
    def template(mode, restart):
        values = f"restartOnConfigChange={restart},mode={mode}"
        return chart.the(chart.objects(helm, "--set", values), "Deployment", "-observer")["spec"]["template"]

    assert template("audit", "false") == template("enforce", "false")
    assert template("audit", "true") != template("enforce", "true")


@pytest.mark.parametrize("value", ["true", "false"])
def test_given_a_configuration_that_differs_then_the_chart_refuses_it_and_says_why(helm, value):
    differs = {"true": "false", "false": "true"}[value]
    refusal = chart.refusal(helm, "--set", f"observer.enabled={value},config.observer.enabled={differs}")
    assert "leave config.observer.enabled out" in refusal


def test_given_the_default_then_it_has_an_account_of_its_own_and_the_server_gets_no_right_on_pods(helm):
    manifests = chart.rendered(helm)
    pod = chart.the(manifests, "Deployment", "-observer")["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "gk-gracekeeper-observer"
    assert pod["automountServiceAccountToken"] is False
    assert rules(manifests, "ClusterRole") == [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
        {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "list", "watch"]},
    ]
    own = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["gk-gracekeeper-terminations"]}
    assert rules(manifests, "Role") == [
        {**own, "verbs": ["get", "update"]},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]},
    ]
    server = chart.the(manifests, "ClusterRole", ".gk-gracekeeper")["rules"]
    assert not [rule for rule in server if {"pods", "events"} & {*rule["resources"]}]
    assert {**own, "verbs": ["list", "watch"]} in chart.the(manifests, "Role", "-gracekeeper")["rules"]


def test_given_namespaces_then_it_has_a_role_in_each_and_no_cluster_role(helm):
    manifests = chart.objects(helm, "--set", "observer.namespaces={ml,research}")
    assert rules(manifests, "ClusterRole") == []
    places = {
        each["metadata"]["namespace"]
        for each in of_observer(manifests)
        if each["kind"] == "RoleBinding" and each["metadata"]["name"].startswith("gk-system.")
    }
    assert places == {"ml", "research"}
    assert environment(manifests)["GRACEKEEPER_OBSERVER_NAMESPACES"] == "ml,research"


def test_no_variable_is_empty_so_that_two_that_apply_the_chart_on_the_server_never_conflict(helm):
    """The API server leaves an empty value out, and the next field manager then differs from the first."""
    assert "" not in environment(chart.rendered(helm)).values()
    assert "GRACEKEEPER_OBSERVER_NAMESPACES" not in environment(chart.rendered(helm))


def test_the_memory_is_rendered_without_data_so_that_nobody_takes_away_what_was_learned(helm):
    memory = chart.the(chart.rendered(helm), "ConfigMap", "-terminations")
    assert memory.keys() == {"apiVersion", "kind", "metadata"}


def test_server_and_observer_name_the_same_memory_and_share_the_configuration(helm):
    manifests = chart.rendered(helm)
    prefix = "GRACEKEEPER_OBSERVER_"
    values = {name.removeprefix(prefix).lower(): value for name, value in environment(manifests).items() if value}
    settings = ObserverSettings.model_validate(values)
    memory = chart.the(manifests, "ConfigMap", "-terminations")["metadata"]
    assert (settings.namespace, settings.memory_name) == (memory["namespace"], memory["name"])
    assert server_settings(manifests).memory_name == memory["name"]
    assert load_config(configuration(manifests)).observer.enabled


def test_there_is_one_observer_and_never_two(helm):
    spec = chart.the(chart.rendered(helm), "Deployment", "-observer")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    webhook = chart.the(chart.rendered(helm), "Deployment", "gk-gracekeeper")["spec"]["selector"]["matchLabels"]
    assert not webhook.items() <= spec["template"]["metadata"]["labels"].items()
