"""What the environment says about the e2e cluster, and what follows from it before anything is run."""

import json
from pathlib import Path

import pytest

from tools.cluster import config, creation, kind_cluster, kubernetes, world
from tools.cluster.settings import BUILD, Settings
from tools.cluster.steps import StepError
from tools.cluster.world import World


def test_an_empty_environment_gives_the_tested_versions_and_names():
    settings = Settings.from_environment({})
    assert settings.cluster == "gracekeeper-e2e"
    assert settings.kubeconfig == BUILD / "kubeconfig-gracekeeper-e2e"
    assert settings.cache == Path.home() / ".cache" / "gracekeeper"
    assert settings.world == ""


def test_variables_choose_name_cache_and_world():
    settings = Settings.from_environment(
        {"GRACEKEEPER_CLUSTER": "lab", "GRACEKEEPER_CACHE": "~/kept", "GRACEKEEPER_WORLD": "offline"}
    )
    assert settings.kubeconfig.name == "kubeconfig-lab"
    assert settings.cache == Path.home() / "kept"
    assert world.find(settings) is World.OFFLINE


def test_an_unknown_world_is_named_with_the_known_ones():
    with pytest.raises(StepError, match=r"'moon'.*registry or offline"):
        world.find(Settings.from_environment({"GRACEKEEPER_WORLD": "moon"}))


def test_a_registry_s_cluster_has_the_version_of_its_node_image():
    settings = Settings.from_environment({"GRACEKEEPER_NODE_IMAGE": "kindest/node:v1.34.4@sha256:abc"})
    assert kind_cluster.server_version(settings, World.REGISTRY) == "1.34.4"
    assert kind_cluster.server_version(settings, World.OFFLINE) == settings.kubernetes_version


@pytest.mark.parametrize(
    ("described", "is_close"),
    [
        ("Client Version: v1.37.2", True),
        ("Client Version: v1.36.0-dispatcher\nKustomize Version: v5.5.0", True),
        ("Client Version: v1.38.1", True),
        ("Client Version: v1.35.9", False),
        ("Client Version: v1.32.4-dispatcher", False),
        ("kubectl: not found", False),
    ],
)
def test_kubectl_may_be_one_minor_version_away(described, is_close):
    assert kubernetes.close(described, "1.37.2") is is_close


@pytest.mark.parametrize("where", list(World))
def test_a_cluster_has_two_nodes_that_both_take_pods_and_mounts_nothing_of_the_host(where):
    written = json.loads(config.kind_config(where, {}))
    assert [node for node in written["nodes"] if node.keys() != {"role"}] == []
    assert [node["role"] for node in written["nodes"]] == ["control-plane", "worker"]
    first = json.loads(written["kubeadmConfigPatches"][0])
    assert first["nodeRegistration"]["taints"] == []


def test_kind_s_own_pod_network_and_dns_are_left_out_only_where_nothing_can_be_pulled():
    pulled, built = (json.loads(config.kind_config(where, {})) for where in (World.REGISTRY, World.OFFLINE))
    assert (pulled["networking"]["disableDefaultCNI"], built["networking"]["disableDefaultCNI"]) == (False, True)
    assert "coredns" not in json.dumps(pulled)
    assert "addon/coredns" in json.dumps(built)


def test_of_kind_s_output_a_person_is_told_the_error_and_not_the_stack():
    output = (
        "Creating cluster ...\n ✗ Preparing nodes\nERROR: failed to create cluster: no\nwhy\nStack Trace: \nmain.go:1\n"
    )
    assert creation.reason(output) == "ERROR: failed to create cluster: no\nwhy"


def test_a_long_reason_keeps_its_first_line_and_its_end():
    lines = creation.reason("ERROR: first\n" + "\n".join(f"line {number}" for number in range(100))).splitlines()
    assert len(lines) == 12
    assert (lines[0], lines[1], lines[-1]) == ("ERROR: first", "...", "line 99")


def test_nodes_without_inotify_instances_are_told_apart_from_other_failures():
    assert "max_user_instances=512" in creation.advice("Failed to allocate manager object: Too many open files")
    assert "disk" in creation.advice("something else")


def test_feature_gates_are_those_of_every_component_and_make_another_cluster():
    settings = Settings.from_environment({"GRACEKEEPER_FEATURE_GATES": "SidecarContainers=false,Other=true"})
    written = json.loads(config.kind_config(World.OFFLINE, settings.feature_gates))
    assert written["featureGates"] == {"SidecarContainers": False, "Other": True}
    assert "featureGates" not in json.loads(
        config.kind_config(World.OFFLINE, Settings.from_environment({}).feature_gates)
    )
