"""What the chart creates: the objects and their promises, under both Helms and for every file of ci/."""

import json
import re
import shutil

import pytest
import yaml

from tests import chart, kubernetes_schemas

SCHEMALESS = {
    "Certificate": "cert-manager.io/v1",
    "Issuer": "cert-manager.io/v1",
    "ServiceMonitor": "monitoring.coreos.com/v1",
}
"""Kinds that are not Kubernetes' own: they have no schema, everything else is checked."""
NOT_RESTRICTED = {
    "everything": "changes every value, the security contexts too",
    "host-network": "the host's network is what it is for",
}
FOREIGN = {"everything": {"ConfigMap"}}
"""Kinds of extraObjects, which carry the labels and namespaces that the admin gives them."""


@pytest.fixture(params=chart.HELMS)
def helm(request):
    return request.param


@pytest.fixture(params=chart.CI_FILES)
def file(request):
    return request.param


@pytest.fixture
def default():
    return chart.rendered("helm4")


def test_lint_finds_nothing(helm, file):
    done = chart.run(helm, "lint", "--strict", "--quiet", chart.FOLDER, *chart.ci(file))
    assert done.returncode == 0, done.stdout + done.stderr


def test_both_helms_render_the_same_objects(file):
    by_helm = [sorted(map(json.dumps, chart.rendered(name, file))) for name in chart.HELMS]
    assert by_helm[0] == by_helm[1]


@pytest.mark.parametrize("version", ["1.30", "1.34", "1.37"])
def test_every_object_is_valid_for_kubernetes(helm, file, version):
    for manifest in chart.rendered(helm, file):
        if SCHEMALESS.get(manifest["kind"]) != manifest["apiVersion"]:
            kubernetes_schemas.validate(manifest, version)


def test_only_the_known_kinds_have_no_schema():
    everything = [manifest for file in chart.CI_FILES for manifest in chart.rendered("helm4", file)]
    without = set()
    for manifest in everything:
        try:
            kubernetes_schemas.validate(manifest, "1.37")
        except kubernetes_schemas.NoSchemaError:
            without.add(manifest["kind"])
    assert without == SCHEMALESS.keys()


def with_pre_pull(file: str) -> tuple[str, ...]:
    enabled = chart.ci_values(file).get("supervise", {}).get("enabled", True)
    return ("--set", "supervise.prePull.enabled=true") if enabled else ()


def test_the_pods_meet_the_pod_security_standard_restricted(file):
    if file in NOT_RESTRICTED:
        return
    for pod in chart.pod_specs(chart.objects("helm4", *chart.ci(file), *with_pre_pull(file))):
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        volumes = pod.get("volumes", ())
        assert all(volume.keys() & {"configMap", "secret", "emptyDir", "projected"} for volume in volumes)
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"].get("runAsUser") != 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in chart.containers(pod):
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert not context.get("privileged")
            assert not {"runAsUser", "runAsNonRoot", "procMount", "seccompProfile"} & context.keys()
            assert not any("hostPort" in port for port in container.get("ports", ()))


def test_every_container_has_a_read_only_root_file_system_and_resources():
    for pod in chart.pod_specs(chart.objects("helm4", *with_pre_pull("default"))):
        for container in chart.containers(pod):
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}
            assert container["resources"]["limits"].keys() == {"memory"}


def test_openshift_may_choose_user_and_groups(helm):
    for pod in chart.pod_specs(chart.rendered(helm, "openshift")):
        assert not {"runAsUser", "runAsGroup", "fsGroup"} & pod["securityContext"].keys()


def test_two_replicas_are_spread_and_one_at_a_time_may_go(default):
    deployment = chart.the(default, "Deployment")["spec"]
    pod = deployment["template"]["spec"]
    selector = deployment["selector"]
    assert deployment["replicas"] == 2
    assert deployment["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    spread = pod["topologySpreadConstraints"]
    assert [each["topologyKey"] for each in spread] == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    assert all(each["whenUnsatisfiable"] == "ScheduleAnyway" and each["labelSelector"] == selector for each in spread)
    (term,) = pod["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert term["podAffinityTerm"] == {"topologyKey": "kubernetes.io/hostname", "labelSelector": selector}
    budget = chart.the(default, "PodDisruptionBudget")["spec"]
    assert budget == {"maxUnavailable": 1, "unhealthyPodEvictionPolicy": "AlwaysAllow", "selector": selector}
    assert pod["priorityClassName"] == "system-cluster-critical"


def test_in_the_host_s_network_a_rollout_frees_the_port_first(helm):
    deployment = chart.the(chart.rendered(helm, "host-network"), "Deployment")["spec"]
    assert deployment["strategy"]["rollingUpdate"] == {"maxUnavailable": 1, "maxSurge": 0}
    assert deployment["template"]["spec"]["dnsPolicy"] == "ClusterFirstWithHostNet"


def test_in_the_host_s_network_health_and_metrics_are_on_loopback_unless_a_value_says_otherwise(helm):
    default = chart.objects(helm, "--set", "hostNetwork.enabled=true")
    assert chart.environment_of(default)["GRACEKEEPER_SERVER_HEALTH_HOST"] == "127.0.0.1"
    assert chart.container(default)["livenessProbe"]["httpGet"]["host"] == "127.0.0.1"
    test = chart.the(default, "Pod", "-test")["spec"]["containers"][0]["env"]
    assert "METRICS_SERVICE" not in [variable["name"] for variable in test]
    for address in ("0.0.0.0", "::"):
        opened = chart.objects(helm, "--set", f"hostNetwork.enabled=true,hostNetwork.healthHost={address}")
        assert chart.environment_of(opened)["GRACEKEEPER_SERVER_HEALTH_HOST"] == address
        assert "host" not in chart.container(opened)["livenessProbe"]["httpGet"]
        test = chart.the(opened, "Pod", "-test")["spec"]["containers"][0]["env"]
        assert "METRICS_SERVICE" in [variable["name"] for variable in test]


def test_in_the_pod_s_own_network_the_health_port_listens_where_the_webhook_does(helm):
    assert "GRACEKEEPER_SERVER_HEALTH_HOST" not in chart.environment_of(chart.rendered(helm))


def test_the_probes_ask_the_health_port(file):
    container = chart.container(chart.rendered("helm4", file))
    requests = {name: container[name]["httpGet"] for name in ("startupProbe", "readinessProbe", "livenessProbe")}
    host = {"host": "::1"} if file == "host-network" else {}
    assert requests == {
        "startupProbe": {"path": "/healthz", "port": "health", **host},
        "readinessProbe": {"path": "/readyz", "port": "health", **host},
        "livenessProbe": {"path": "/healthz", "port": "health", **host},
    }
    ports = {port["name"]: str(port["containerPort"]) for port in container["ports"]}
    environment = chart.environment_of(chart.rendered("helm4", file))
    assert ports == {
        "webhook": environment["GRACEKEEPER_SERVER_PORT"],
        "health": environment["GRACEKEEPER_SERVER_HEALTH_PORT"],
    }


def test_a_stopping_pod_has_time_to_drain(file):
    manifests = chart.rendered("helm4", file)
    grace = chart.the(manifests, "Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace >= float(chart.environment_of(manifests)["GRACEKEEPER_SERVER_DRAIN_SECONDS"]) + 10


def test_the_server_may_do_this_and_nothing_else(default):
    name = f"{chart.NAMESPACE}.gk-gracekeeper"
    assert chart.the(default, "ClusterRole", ".gk-gracekeeper")["rules"] == [
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["list", "watch"]},
        {
            "apiGroups": ["storage.k8s.io"],
            "resources": ["storageclasses", "volumeattributesclasses"],
            "verbs": ["get", "list", "watch"],
        },
        {"apiGroups": [""], "resources": ["persistentvolumeclaims", "persistentvolumes"], "verbs": ["get"]},
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["limitranges", "resourcequotas"], "verbs": ["list", "watch"]},
        {
            "apiGroups": ["admissionregistration.k8s.io"],
            "resources": ["mutatingwebhookconfigurations"],
            "resourceNames": [name, f"zzz.{name}"],
            "verbs": ["get", "update", "watch"],
        },
    ]
    assert chart.the(default, "Role", "-gracekeeper")["rules"] == [
        {
            "apiGroups": [""],
            "resources": ["secrets"],
            "resourceNames": ["gk-gracekeeper-tls"],
            "verbs": ["get", "update"],
        },
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]},
        {
            "apiGroups": [""],
            "resources": ["configmaps"],
            "resourceNames": ["gk-gracekeeper-terminations"],
            "verbs": ["list", "watch"],
        },
    ]
    assert chart.the(default, "MutatingWebhookConfiguration")["metadata"]["name"] == name
    assert chart.the(default, "Secret")["metadata"]["name"] == "gk-gracekeeper-tls"


def test_the_roles_are_bound_to_the_server_s_account_alone(default):
    account = {"kind": "ServiceAccount", "namespace": chart.NAMESPACE, "name": "gk-gracekeeper"}
    for kind in ("RoleBinding", "ClusterRoleBinding"):
        binding = chart.the(default, kind, "-gracekeeper")
        assert binding["subjects"] == [account]
        assert binding["roleRef"]["kind"] == kind.removesuffix("Binding")
        assert binding["roleRef"]["name"] == binding["metadata"]["name"]
    assert chart.the(default, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"] == account["name"]
    assert chart.the(default, "ServiceAccount", "-gracekeeper")["metadata"]["name"] == account["name"]


@pytest.mark.parametrize("source", ["files", "cert-manager", "issuer"])
def test_a_certificate_from_elsewhere_needs_no_rights_to_write(helm, source):
    manifests = chart.rendered(helm, source)
    ours = of_the_server(manifests)
    assert all(verbs <= {"get", "list", "watch"} for verbs in verbs_by_resource(ours, "ClusterRole").values())
    assert verbs_by_resource(ours, "Role") == {"pods": {"create"}, "configmaps": {"list", "watch"}}
    assert not chart.of_kind(manifests, "Secret")


def test_where_no_pod_is_converted_nothing_more_may_be_read_or_created(helm):
    off = ("--set", "supervise.enabled=false,observer.enabled=false")
    manifests = chart.objects(helm, *off)
    allowed = verbs_by_resource(manifests, "ClusterRole")
    assert allowed["nodes"] == {"list", "watch"}
    assert not {"limitranges", "resourcequotas"} & allowed.keys()
    assert verbs_by_resource(of_the_server(manifests), "Role").keys() == {"secrets"}
    with_files = chart.objects(helm, *off, *chart.ci("files"))
    assert not chart.of_kind(of_the_server(with_files), "Role")


def of_the_server(manifests):
    """Without what the check of the installation and the observer have for themselves."""
    of_others = {"check", "observer"}
    return [each for each in manifests if each["metadata"]["labels"]["app.kubernetes.io/component"] not in of_others]


def verbs_by_resource(manifests, kind: str) -> dict[str, set[str]]:
    rules = [rule for role in chart.of_kind(manifests, kind) for rule in role["rules"]]
    return {resource: set(rule["verbs"]) for rule in rules for resource in rule["resources"]}


def test_no_certificate_is_rendered_where_gracekeeper_keeps_it_itself(helm, file):
    manifests = chart.rendered(helm, file)
    if chart.environment_of(manifests)["GRACEKEEPER_SERVER_CERTIFICATE_SOURCE"] != "secret":
        return
    assert chart.the(manifests, "Secret").keys() == {"apiVersion", "kind", "metadata", "type"}
    assert "annotations" not in chart.the(manifests, "Secret")["metadata"]
    for configuration in chart.of_kind(manifests, "MutatingWebhookConfiguration"):
        assert {tuple(entry["clientConfig"]) for entry in configuration["webhooks"]} == {("service",)}


def test_cert_manager_s_certificate_is_for_the_names_that_api_servers_use(helm):
    manifests = chart.rendered(helm, "cert-manager")
    service = chart.the(manifests, "Service", "gracekeeper")["metadata"]["name"]
    certificate = chart.the(manifests, "Certificate", "gracekeeper")
    names = [service, f"{service}.{chart.NAMESPACE}", f"{service}.{chart.NAMESPACE}.svc"]
    assert certificate["spec"]["dnsNames"] == names
    reference = f"{chart.NAMESPACE}/{certificate['metadata']['name']}"
    for configuration in chart.of_kind(manifests, "MutatingWebhookConfiguration"):
        assert configuration["metadata"]["annotations"] == {"cert-manager.io/inject-ca-from": reference}
    volumes = chart.the(manifests, "Deployment")["spec"]["template"]["spec"]["volumes"]
    mounted = next(volume["secret"]["secretName"] for volume in volumes if volume["name"] == "certificate")
    assert mounted == certificate["spec"]["secretName"]


def test_who_changes_the_source_of_the_certificate_never_has_two_owners_of_one_secret():
    own = chart.the(chart.rendered("helm4"), "Secret")["metadata"]["name"]
    theirs = {
        each["spec"]["secretName"] for each in chart.of_kind(chart.rendered("helm4", "cert-manager"), "Certificate")
    }
    assert own not in theirs


def test_every_object_has_the_labels_that_tell_whose_it_is(file):
    for manifest in chart.rendered("helm4", file):
        if manifest["kind"] in FOREIGN.get(file, ()) and "labels" not in manifest["metadata"]:
            continue
        labels = manifest["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == chart.RELEASE
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert labels["helm.sh/chart"].startswith("gracekeeper-")
        assert all(re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", value) for value in labels.values())


def test_the_services_find_the_server_and_not_the_test_s_pod(file):
    manifests = chart.rendered("helm4", file)
    server = chart.the(manifests, "Deployment")["spec"]["template"]["metadata"]["labels"]
    test = chart.the(manifests, "Pod")["metadata"]["labels"]
    for service in chart.of_kind(manifests, "Service"):
        selector = service["spec"]["selector"].items()
        assert selector <= server.items()
        assert not selector <= test.items()


def test_a_new_version_of_the_chart_keeps_selectors_and_pods(tmp_path):
    newer = tmp_path / "gracekeeper"
    shutil.copytree(chart.FOLDER, newer)
    file = newer / "Chart.yaml"
    file.write_text(file.read_text().replace("\nversion: 0.1.0", "\nversion: 9.9.9"))
    done = chart.run("helm4", "template", chart.RELEASE, newer, "--namespace", chart.NAMESPACE)
    before, after = chart.rendered("helm4"), chart.parsed(done.stdout)
    assert chart.the(after, "Deployment")["metadata"]["labels"]["helm.sh/chart"] == "gracekeeper-9.9.9"
    assert chart.the(after, "Deployment")["spec"] == chart.the(before, "Deployment")["spec"]


def test_another_configuration_makes_other_pods_unless_they_are_to_take_it_up_themselves():
    def annotations(file):
        return chart.the(chart.rendered("helm4", file), "Deployment")["spec"]["template"]["metadata"]["annotations"]

    assert annotations("default")["checksum/config"] != annotations("audit")["checksum/config"]
    templates = [
        chart.the(chart.objects("helm4", "--set", f"restartOnConfigChange=false,mode={mode}"), "Deployment")["spec"][
            "template"
        ]
        for mode in ("audit", "enforce")
    ]
    assert templates[0] == templates[1]


def test_each_pod_of_the_server_first_runs_what_tasks_will_run(file):
    manifests = chart.rendered("helm4", file)
    configured_image = (
        yaml.safe_load(chart.the(manifests, "ConfigMap")["data"]["config.yaml"]).get("supervise", {}).get("image")
    )
    pod = chart.the(manifests, "Deployment")["spec"]["template"]["spec"]
    ran = [(each["image"], each["args"]) for each in pod.get("initContainers", ())]
    assert ran == ([(configured_image, ["--version"])] if configured_image else [])


def test_an_image_that_the_configuration_names_is_the_one_that_is_tried(helm):
    manifests = chart.objects(helm, "--set", "config.supervise.image=elsewhere:1,supervise.prePull.enabled=true")
    server = chart.the(manifests, "Deployment")["spec"]["template"]["spec"]
    pre_pull = chart.the(manifests, "DaemonSet")["spec"]["template"]["spec"]
    assert "image: elsewhere:1\n" in chart.the(manifests, "ConfigMap")["data"]["config.yaml"]
    assert {each["image"] for each in (*server["initContainers"], *chart.containers(pre_pull))} == {"elsewhere:1"}


def test_the_image_is_kept_on_linux_nodes_of_its_architectures_whatever_their_taints(helm):
    options = "supervise.prePull.enabled=true,config.supervise.architectures={amd64,arm64}"
    pod = chart.the(chart.objects(helm, "--set", options), "DaemonSet")["spec"]["template"]["spec"]
    (term,) = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert term["matchExpressions"] == [
        {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]},
        {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64", "arm64"]},
    ]
    assert pod["tolerations"] == [{"operator": "Exists"}]
    assert pod["automountServiceAccountToken"] is False


def test_the_server_reads_the_daemon_set_only_where_it_is_installed(helm, default):
    found = chart.objects(helm, "--set", "supervise.prePull.enabled=true")
    rule = {"apiGroups": ["apps"], "resources": ["daemonsets"], "verbs": ["list", "watch"]}
    assert rule in chart.the(found, "Role", "-gracekeeper")["rules"]
    assert rule not in chart.the(default, "Role", "-gracekeeper")["rules"]
    variable = "GRACEKEEPER_SERVER_PRE_PULL_DAEMON_SET"
    assert chart.environment_of(found)[variable] == chart.the(found, "DaemonSet")["metadata"]["name"]
    assert variable not in chart.environment_of(default)


def test_the_pods_that_keep_the_image_are_none_of_the_server_s(helm):
    manifests = chart.objects(helm, "--set", "supervise.prePull.enabled=true")
    labels = chart.the(manifests, "DaemonSet")["spec"]["template"]["metadata"]["labels"].items()
    selector = chart.the(manifests, "DaemonSet")["spec"]["selector"]["matchLabels"].items()
    server = chart.the(manifests, "Deployment")["spec"]
    assert selector <= labels
    assert not server["selector"]["matchLabels"].items() <= labels
    assert not selector <= server["template"]["metadata"]["labels"].items()


def test_helm_test_runs_the_server_s_own_image_and_sees_the_ca_but_no_key(file):
    manifests = chart.rendered("helm4", file)
    pod = chart.the(manifests, "Pod")
    (container,) = pod["spec"]["containers"]
    assert container["image"] == chart.container(manifests)["image"]
    assert container["command"] == ["python3", "-c"]
    compile(container["args"][0], "connection_test.py", "exec")
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert pod["spec"]["automountServiceAccountToken"] is False
    (volume,) = [volume for volume in pod["spec"]["volumes"] if "secret" in volume]
    assert [item["key"] for item in volume["secret"]["items"]] == ["ca.crt"]


def test_helm_test_asks_the_services_that_there_are(file):
    manifests = chart.rendered("helm4", file)
    variables = {v["name"]: v["value"] for v in chart.the(manifests, "Pod")["spec"]["containers"][0]["env"]}
    services = {
        each["metadata"]["name"]: each["spec"]["ports"][0]["port"] for each in chart.of_kind(manifests, "Service")
    }
    expected = {variables["SERVICE"]: 443}
    if "METRICS_SERVICE" in variables:
        expected[variables["METRICS_SERVICE"]] = int(variables["METRICS_PORT"])
    assert services == expected
    assert variables["NAMESPACE"] == chart.NAMESPACE


def notes(helm: str, *arguments, namespace: str = chart.NAMESPACE) -> str:
    """NOTES.txt as `helm install` would print it, by way of an extra object, because that command asks a cluster."""
    text = '{{ include (print .Template.BasePath "/NOTES.txt") . | toJson }}'
    extra = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "notes"}, "data": {"text": "NOTES"}}
    value = json.dumps([json.dumps(extra).replace('"NOTES"', text)])
    manifests = chart.objects(helm, *arguments, "--set-json", f"extraObjects={value}", namespace=namespace)
    printed: str = chart.the(manifests, "ConfigMap", "notes")["data"]["text"]
    return printed


def test_the_notes_name_the_objects_that_there_are(helm, file):
    printed = notes(helm, *chart.ci(file))
    manifests = chart.rendered(helm, file)
    names = [each["metadata"]["name"] for each in chart.of_kind(manifests, "MutatingWebhookConfiguration")]
    assert f"deployment/{chart.the(manifests, 'Deployment')['metadata']['name']}\n" in printed
    assert f"mutatingwebhookconfiguration {' '.join(names)} " in printed
    (selector,) = re.findall(r" -l (\S+)", printed)
    assert (
        dict(pair.split("=", 1) for pair in selector.split(","))
        == chart.the(manifests, "Deployment")["spec"]["selector"]["matchLabels"]
    )
    assert "{{.spec.terminationGracePeriodSeconds}}" in printed
    assert all(f"-n {chart.NAMESPACE}" in line for line in printed.splitlines() if line.startswith("  helm "))


def test_the_notes_say_the_mode_and_how_to_change_it(helm):
    assert "mode enforce." in notes(helm)
    assert "--set mode=audit" in notes(helm)
    assert "mode audit." in notes(helm, *chart.ci("audit"))
    assert "--set mode=enforce" in notes(helm, *chart.ci("audit"))


def test_the_notes_name_the_image_that_osmo_s_tasks_run_where_they_run_one(helm):
    assert "OSMO task pods run gracekeeper/supervise:0.1.0 " in notes(helm)
    assert "OSMO" not in notes(helm, *chart.ci("bare"))


def test_the_notes_say_which_pods_the_observer_may_list_and_how_to_switch_it_off(helm):
    assert "gk-gracekeeper-observer\nmay list and watch all pods of the cluster." in notes(helm)
    assert "--set observer.enabled=false" in notes(helm)
    assert "may list and watch the pods of ml, research." in notes(helm, "--set", "observer.namespaces={ml,research}")
    assert "observer" not in notes(helm, "--set", "observer.enabled=false")


def test_the_notes_warn_where_there_is_something_to_warn_of(helm):
    assert "--set priorityQuota.enabled=true" in notes(helm)
    assert "ResourceQuota" not in notes(helm, *chart.ci("bare"))
    assert "port 19450 of the nodes" in notes(helm, *chart.ci("host-network"))
    without_secret = "They pull it without a pull secret."
    assert without_secret in notes(helm, "--set", "imagePullSecrets={registry}")
    assert without_secret not in notes(helm)
    assert without_secret not in notes(helm, *chart.ci("everything"))
    assert "training in default neither" in notes(helm, namespace="default")
    assert "training in default neither" not in notes(helm)
