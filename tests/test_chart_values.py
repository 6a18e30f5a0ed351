"""What an admin can set: each value takes effect, typos are refused, and the server understands what the chart tells it."""

import copy
import json
import re
from dataclasses import fields
from functools import reduce
from typing import Any

import pytest
import yaml
from pydantic.alias_generators import to_camel

from scripts import chart_docs
from tests import chart
from webhook.config.field_errors import ConfigError
from webhook.config.fields import load_config
from webhook.config.settings import ServerSettings
from webhook.policy.configuration import (
    Config,
    Defaults,
    InterruptedCode,
    Match,
    Mode,
    Osmo,
    OsmoMode,
    Profile,
    Supervise,
)

SCHEMA = json.loads((chart.FOLDER / "values.schema.json").read_text())
NOT_IN_VALUES = {"enabled": "a parent chart's condition: the chart itself does not read it"}
OPEN = {"resources", "nodeSelector", "podSecurityContext", "securityContext"}
"""Parts of Kubernetes objects, passed on as they are: the API server knows what may be in them."""
OPEN_TO_PARENTS = {"global"}
"""Shared with other charts, which have keys of their own in it."""


class Holding(str):
    """A text that must be within the rendered one."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and str(self) in other

    def __ne__(self, other: object) -> bool:  # or str's own would be asked
        return not self == other

    __hash__ = str.__hash__


POD = "Deployment: spec > template > spec"
SERVER = f"{POD} > containers > 0"
ENTRY = "MutatingWebhookConfiguration: webhooks > 1"
IMAGE = f"{SERVER} > image"
DIGEST = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
FULL = f"mirror.example.com/platform/gracekeeper@{DIGEST}"
SUPERVISE = f"{POD} > initContainers > supervise"
OBSERVER = "Deployment/-observer: spec > template > spec > containers > 0"
PRE_PULL = "DaemonSet: spec > template > spec"
SUPERVISE_DIGEST = "sha256:fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
FULL_SUPERVISE = f"mirror.example.com/platform/supervise@{SUPERVISE_DIGEST}"
CONFIG = "ConfigMap: data > config.yaml"
MONITOR = "ServiceMonitor: spec > endpoints > 0"
METRICS = "Service/-metrics"


def variable(name: str) -> str:
    return f"{SERVER} > env > GRACEKEEPER_SERVER_{name} > value"


EFFECTS: dict[str, tuple[str, str, Any]] = {
    "global.imageRegistry": ("everything", IMAGE, FULL),
    "global.imagePullSecrets": (
        "everything",
        f"{POD} > imagePullSecrets",
        [{"name": "shared"}, {"name": "own"}, {"name": "mirror"}],
    ),
    "nameOverride": ("everything", "Deployment: metadata > labels > app.kubernetes.io/name", "keeper"),
    "fullnameOverride": ("everything", "Deployment: metadata > name", "time-for-checkpoints"),
    "commonLabels": ("everything", "Deployment: metadata > labels > team", "platform"),
    "mode": ("everything", CONFIG, Holding("\nmode: audit\n")),
    "config": ("everything", CONFIG, Holding("stepSeconds: 45")),
    "restartOnConfigChange": (
        "everything",
        "Deployment: spec > template > metadata > annotations > checksum/config",
        None,
    ),
    "replicas": ("everything", "Deployment: spec > replicas", 3),
    "image.registry": ("image", IMAGE, "registry.example.com/gracekeeper/gracekeeper:0.1.0-1"),
    "image.repository": ("everything", IMAGE, FULL),
    "image.tag": ("image", IMAGE, "registry.example.com/gracekeeper/gracekeeper:0.1.0-1"),
    "image.digest": ("everything", IMAGE, FULL),
    "image.pullPolicy": ("everything", f"{SERVER} > imagePullPolicy", "Always"),
    "supervise.enabled": ("bare", f"{POD} > initContainers", None),
    "supervise.image.registry": (
        "registries",
        f"{SUPERVISE} > image",
        "second.example.com/gracekeeper/supervise:0.1.0",
    ),
    "supervise.image.repository": ("everything", f"{SUPERVISE} > image", FULL_SUPERVISE),
    "supervise.image.tag": ("image", f"{SUPERVISE} > image", "registry.example.com/gracekeeper/supervise:0.1.0-2"),
    "supervise.image.digest": ("everything", f"{SUPERVISE} > image", FULL_SUPERVISE),
    "supervise.image.pullPolicy": ("everything", f"{SUPERVISE} > imagePullPolicy", "Always"),
    "supervise.resources.requests.cpu": ("everything", f"{SUPERVISE} > resources > requests > cpu", "20m"),
    "supervise.resources.requests.memory": ("everything", f"{SUPERVISE} > resources > requests > memory", "24Mi"),
    "supervise.resources.limits.memory": ("everything", f"{SUPERVISE} > resources > limits > memory", "48Mi"),
    "supervise.prePull.enabled": ("everything", f"{PRE_PULL} > containers > pause > args", ["pause"]),
    "supervise.prePull.nodeSelector": ("everything", f"{PRE_PULL} > nodeSelector", {"pool": "training"}),
    "supervise.prePull.tolerations": ("everything", f"{PRE_PULL} > tolerations > 0 > key", "nvidia.com/gpu"),
    "observer.enabled": ("bare", CONFIG, Holding("enabled: false")),
    "observer.namespaces": ("everything", f"{OBSERVER} > env > GRACEKEEPER_OBSERVER_NAMESPACES > value", "default"),
    "observer.writeSeconds": ("everything", f"{OBSERVER} > env > GRACEKEEPER_OBSERVER_WRITE_SECONDS > value", "30"),
    "observer.resources.requests.cpu": ("everything", f"{OBSERVER} > resources > requests > cpu", "30m"),
    "observer.resources.requests.memory": ("everything", f"{OBSERVER} > resources > requests > memory", "100Mi"),
    "observer.resources.limits.memory": ("everything", f"{OBSERVER} > resources > limits > memory", "300Mi"),
    "imagePullSecrets": (
        "everything",
        f"{POD} > imagePullSecrets",
        [{"name": "shared"}, {"name": "own"}, {"name": "mirror"}],
    ),
    "server.host": ("everything", variable("HOST"), "::"),
    "server.port": ("everything", variable("PORT"), "8443"),
    "server.healthPort": ("everything", variable("HEALTH_PORT"), "9090"),
    "server.drainSeconds": ("everything", variable("DRAIN_SECONDS"), "20"),
    "server.deadlineSeconds": ("everything", variable("DEADLINE_SECONDS"), "1.5"),
    "server.logLevel": ("everything", variable("LOG_LEVEL"), "debug"),
    "server.logFormat": ("everything", variable("LOG_FORMAT"), "console"),
    "hostNetwork.enabled": ("host-network", f"{POD} > hostNetwork", True),
    "hostNetwork.port": ("host-network", f"{SERVER} > ports > webhook > containerPort", 19450),
    "hostNetwork.healthPort": ("host-network", f"{SERVER} > ports > health > containerPort", 19451),
    "hostNetwork.healthHost": ("host-network", f"{SERVER} > readinessProbe > httpGet > host", "::1"),
    "webhook.timeoutSeconds": ("everything", f"{ENTRY} > timeoutSeconds", 5),
    "webhook.excludedNamespaces": (
        "everything",
        f"{ENTRY} > namespaceSelector > matchExpressions > 1 > values",
        ["kube-system", "kube-public", "kube-node-lease", chart.NAMESPACE, "monitoring"],
    ),
    "webhook.namespaceSelector.matchLabels": (
        "everything",
        f"{ENTRY} > namespaceSelector > matchLabels",
        {"tier": "research"},
    ),
    "webhook.namespaceSelector.matchExpressions": (
        "everything",
        f"{ENTRY} > namespaceSelector > matchExpressions > 2",
        {"key": "owner", "operator": "Exists"},
    ),
    "webhook.objectSelector.matchLabels": ("everything", f"{ENTRY} > objectSelector > matchLabels", {"managed": "yes"}),
    "webhook.objectSelector.matchExpressions": (
        "everything",
        f"{ENTRY} > objectSelector > matchExpressions > 1",
        {"key": "canary", "operator": "DoesNotExist"},
    ),
    "webhook.matchConditions": ("everything", f"{ENTRY} > matchConditions > not-small > expression", Holding("small")),
    "webhook.alsoMatch": (
        "everything",
        "MutatingWebhookConfiguration: webhooks > 0 > matchConditions > could-be-training > expression",
        Holding("\n|| (has(object.metadata.labels) && 'app' in"),
    ),
    "webhook.annotations": ("everything", "MutatingWebhookConfiguration: metadata > annotations > note", "webhook"),
    "certificate.source": ("files", variable("CERTIFICATE_SOURCE"), "files"),
    "certificate.existingSecret": (
        "files",
        f"{POD} > volumes > certificate > secret > secretName",
        "webhook-certificate",
    ),
    "certificate.caBundle": ("files", f"{ENTRY} > clientConfig > caBundle", Holding("LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0")),
    "certificate.validityDays": ("everything", variable("CERTIFICATE_VALIDITY_DAYS"), "90"),
    "certificate.settleSeconds": ("everything", variable("CERTIFICATE_SETTLE_SECONDS"), "5"),
    "certManager.enabled": ("cert-manager", variable("CERTIFICATE_SOURCE"), "files"),
    "certManager.issuerRef.name": ("issuer", "Certificate: spec > issuerRef > name", "platform"),
    "certManager.issuerRef.kind": ("issuer", "Certificate: spec > issuerRef > kind", "ClusterIssuer"),
    "certManager.issuerRef.group": ("issuer", "Certificate: spec > issuerRef > group", "issuers.example.com"),
    "certManager.duration": ("issuer", "Certificate: spec > duration", "720h"),
    "certManager.renewBefore": ("issuer", "Certificate: spec > renewBefore", "240h"),
    "rbac.create": ("bare", "ClusterRole", None),
    "admissionPolicy.enabled": (
        "everything",
        "ValidatingAdmissionPolicy/-pods: spec > validations > 0 > message",
        "gracekeeper may create a pod as a dry run only",
    ),
    "installationCheck.enabled": ("bare", "Job", None),
    "serviceAccount.create": ("bare", "ServiceAccount", None),
    "serviceAccount.name": ("everything", f"{POD} > serviceAccountName", "keeper"),
    "serviceAccount.annotations": ("everything", "ServiceAccount/keeper: metadata > annotations > note", "account"),
    "deploymentAnnotations": ("everything", "Deployment: metadata > annotations > note", "deployment"),
    "podAnnotations": ("everything", "Deployment: spec > template > metadata > annotations > note", "pod"),
    "podLabels": ("everything", "Deployment: spec > template > metadata > labels > network", "internal"),
    "extraEnv": ("everything", f"{SERVER} > env > TZ > value", "UTC"),
    "resources.requests.cpu": ("everything", f"{SERVER} > resources > requests > cpu", "250m"),
    "resources.requests.memory": ("everything", f"{SERVER} > resources > requests > memory", "192Mi"),
    "resources.limits.memory": ("everything", f"{SERVER} > resources > limits > memory", "512Mi"),
    "nodeSelector.kubernetes.io/os": ("everything", f"{POD} > nodeSelector", {"pool": "system"}),
    "tolerations": ("everything", f"{POD} > tolerations > 0 > key", "CriticalAddonsOnly"),
    "affinity": ("everything", f"{POD} > affinity > podAntiAffinity", None),
    "topologySpreadConstraints": ("everything", f"{POD} > topologySpreadConstraints > 0 > topologyKey", "rack"),
    "priorityClassName": ("everything", f"{POD} > priorityClassName", "platform-critical"),
    "priorityQuota.enabled": (
        "everything",
        "ResourceQuota: spec > scopeSelector > matchExpressions > 0 > values",
        ["platform-critical"],
    ),
    "priorityQuota.pods": ("everything", "ResourceQuota: spec > hard > pods", "20"),
    "terminationGracePeriodSeconds": ("everything", f"{POD} > terminationGracePeriodSeconds", 60),
    "strategy": ("everything", "Deployment: spec > strategy", {"type": "Recreate"}),
    "minReadySeconds": ("everything", "Deployment: spec > minReadySeconds", 1),
    "revisionHistoryLimit": ("everything", "Deployment: spec > revisionHistoryLimit", 1),
    "podSecurityContext.runAsNonRoot": ("everything", f"{POD} > securityContext > runAsNonRoot", False),
    "podSecurityContext.runAsUser": ("everything", f"{POD} > securityContext > runAsUser", 10001),
    "podSecurityContext.runAsGroup": ("everything", f"{POD} > securityContext > runAsGroup", 10002),
    "podSecurityContext.fsGroup": ("everything", f"{POD} > securityContext > fsGroup", 10003),
    "podSecurityContext.seccompProfile.type": (
        "everything",
        f"{POD} > securityContext > seccompProfile > type",
        "Localhost",
    ),
    "securityContext.allowPrivilegeEscalation": (
        "everything",
        f"{SERVER} > securityContext > allowPrivilegeEscalation",
        True,
    ),
    "securityContext.readOnlyRootFilesystem": (
        "everything",
        f"{SERVER} > securityContext > readOnlyRootFilesystem",
        False,
    ),
    "securityContext.capabilities.drop": (
        "everything",
        f"{SERVER} > securityContext > capabilities > drop",
        ["NET_RAW"],
    ),
    "podDisruptionBudget.enabled": ("bare", "PodDisruptionBudget", None),
    "podDisruptionBudget.maxUnavailable": ("everything", "PodDisruptionBudget: spec > maxUnavailable", "50%"),
    "service.annotations": ("everything", "Service: metadata > annotations > note", "service"),
    "metrics.service.enabled": ("bare", METRICS, None),
    "metrics.service.port": ("everything", f"{METRICS}: spec > ports > 0 > port", 9100),
    "metrics.service.annotations": ("everything", f"{METRICS}: metadata > annotations > prometheus.io/scrape", "true"),
    "metrics.serviceMonitor.enabled": ("everything", f"{MONITOR} > path", "/metrics"),
    "metrics.serviceMonitor.labels": ("everything", "ServiceMonitor: metadata > labels > release", "prometheus"),
    "metrics.serviceMonitor.interval": ("everything", f"{MONITOR} > interval", "30s"),
    "metrics.serviceMonitor.scrapeTimeout": ("everything", f"{MONITOR} > scrapeTimeout", "10s"),
    "metrics.serviceMonitor.metricRelabelings": ("everything", f"{MONITOR} > metricRelabelings > 0 > action", "drop"),
    "metrics.serviceMonitor.relabelings": ("everything", f"{MONITOR} > relabelings > 0 > action", "labeldrop"),
    "networkPolicy.enabled": ("everything", "NetworkPolicy: spec > policyTypes", ["Ingress", "Egress"]),
    "networkPolicy.webhookFrom": (
        "everything",
        "NetworkPolicy: spec > ingress > 0 > from > 0 > ipBlock > cidr",
        "10.0.0.0/8",
    ),
    "networkPolicy.metricsFrom": (
        "everything",
        "NetworkPolicy: spec > ingress > 1 > from > 0 > namespaceSelector > matchLabels > kubernetes.io/metadata.name",
        "monitoring",
    ),
    "networkPolicy.egress": ("everything", "NetworkPolicy: spec > egress > 0 > ports > 0 > port", 6443),
    "extraObjects": ("everything", "ConfigMap/-extra: data > release", chart.RELEASE),
}
"""Each value of values.yaml: the file of ci/ that changes it, where that is seen, and what is seen there."""


def at(manifests, place: str) -> Any:
    """What is at a place such as `Service/-metrics: spec > ports > 0 > port`; None where nothing is."""
    kind, _, path = place.partition(": ")
    kind, _, ending = kind.partition("/")
    candidates = [each for each in chart.of_kind(manifests, kind) if each["metadata"]["name"].endswith(ending)]
    return reduce(step, path.split(" > ") if path else [], candidates[0] if candidates else None)


def step(value: Any, key: str) -> Any:
    if isinstance(value, list):
        named = [each for each in value if isinstance(each, dict) and each.get("name") == key]
        return named[0] if named else value[int(key)] if key.isdigit() and int(key) < len(value) else None
    return value.get(key) if isinstance(value, dict) else None


def without(values: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    values = copy.deepcopy(values)
    del reduce(lambda inner, key: inner[key], path[:-1], values)[path[-1]]
    return values


LEAVES = {".".join(path): (path, default) for path, default in chart.leaves(chart.default_values())}


def test_every_value_has_its_effect_in_the_table_and_no_other_has():
    assert EFFECTS.keys() == LEAVES.keys()


@pytest.mark.parametrize("helm", chart.HELMS)
@pytest.mark.parametrize("name", EFFECTS)
def test_a_value_has_its_effect(helm, name):
    file, place, expected = EFFECTS[name]
    assert expected == at(chart.rendered(helm, file), place)


@pytest.mark.parametrize("name", EFFECTS)
def test_the_effect_is_the_value_s_own(name, tmp_path):
    (file, place, expected), (path, default) = EFFECTS[name], LEAVES[name]
    values = chart.ci_values(file)
    assert reduce(lambda inner, key: inner[key], path, values) != default
    reset = tmp_path / "values.yaml"
    reset.write_text(yaml.dump(without(values, path), Dumper=yaml.CSafeDumper))
    done = chart.run("helm4", "template", chart.RELEASE, chart.FOLDER, "-n", chart.NAMESPACE, "--values", reset)
    if done.returncode:
        assert "need" in done.stderr  # one value of two that belong together
    else:
        assert expected != at(chart.parsed(done.stdout), place)


def test_common_labels_are_everywhere_and_replace_none_of_ours():
    for manifest in chart.rendered("helm4", "everything"):
        if not manifest["metadata"]["name"].endswith(("-extra", "-text")):
            assert manifest["metadata"]["labels"]["team"] == "platform"
            assert manifest["metadata"]["labels"]["app.kubernetes.io/name"] == "keeper"


def test_labels_of_the_pods_replace_none_of_the_selector():
    deployment = chart.the(chart.rendered("helm4", "everything"), "Deployment")["spec"]
    assert deployment["selector"]["matchLabels"].items() <= deployment["template"]["metadata"]["labels"].items()


def test_extra_objects_are_templates_as_maps_and_as_text():
    names = [each["metadata"]["name"] for each in chart.of_kind(chart.rendered("helm4", "everything"), "ConfigMap")]
    assert {"time-for-checkpoints-extra", "gk-text"} <= set(names)


@pytest.mark.parametrize("helm", chart.HELMS)
def test_values_may_come_as_json_on_the_command_line(helm):
    manifests = chart.objects(helm, "--set-json", 'tolerations=[{"operator":"Exists"}]')
    assert at(manifests, f"{POD} > tolerations") == [{"operator": "Exists"}]


def test_a_global_registry_goes_well_with_a_digest():
    manifests = chart.objects("helm4", "--set", f"global.imageRegistry=mirror.example.com:5000/,image.digest={DIGEST}")
    expected = f"mirror.example.com:5000/gracekeeper/gracekeeper@{DIGEST}"
    assert {pod["containers"][0]["image"] for pod in chart.pod_specs(manifests)} == {expected}


def groups(values: dict[str, Any], above: tuple[str, ...] = ()):
    yield above, values
    for key, value in values.items():
        if isinstance(value, dict) and value and key not in OPEN:
            yield from groups(value, (*above, key))


def schema_of(path: tuple[str, ...]) -> dict[str, Any]:
    node: dict[str, Any] = reduce(lambda inner, key: inner["properties"][key], path, SCHEMA)
    return SCHEMA["definitions"][node["$ref"].rsplit("/", 1)[1]] if "$ref" in node else node


@pytest.mark.parametrize(
    ("path", "values"), [pytest.param(*g, id=".".join(g[0]) or "-") for g in groups(chart.default_values())]
)
def test_the_schema_has_exactly_the_keys_of_the_values(path, values):
    known = schema_of(path)["properties"].keys() - (NOT_IN_VALUES.keys() if not path else set())
    assert known == values.keys()
    assert (schema_of(path).get("additionalProperties") is False) is (path != ("global",))


def complaint_about(path: tuple[str, ...]) -> str:
    escaped = "/".join(key.replace("~", "~0").replace("/", "~1") for key in path)
    return f"at '/{escaped}'" if path else "at ''"


@pytest.mark.parametrize("helm", chart.HELMS)
def test_a_misspelt_value_is_refused_at_every_level(helm, tmp_path):
    closed = [path for path, _ in groups(chart.default_values()) if set(path).isdisjoint(OPEN_TO_PARENTS)]
    values: dict[str, Any] = {}
    for path in closed:
        reduce(lambda inner, key: inner.setdefault(key, {}), path, values)["misspelt"] = True
    (tmp_path / "values.yaml").write_text(yaml.dump(values, Dumper=yaml.CSafeDumper))
    message = chart.refusal(helm, "--values", tmp_path / "values.yaml")
    for path in closed:
        assert f"{complaint_about(path)}: additional properties 'misspelt' not allowed" in message


@pytest.mark.parametrize("helm", chart.HELMS)
def test_a_value_of_the_wrong_type_is_refused_wherever_it_is(helm, tmp_path):
    typed = [path for path, _ in LEAVES.values() if (OPEN - {"nodeSelector"}).isdisjoint(path)]
    values: dict[str, Any] = {}
    for path in typed:
        wrong = 7 if not isinstance(LEAVES[".".join(path)][1], int) else [7]
        reduce(lambda inner, key: inner.setdefault(key, {}), path[:-1], values)[path[-1]] = wrong
    (tmp_path / "values.yaml").write_text(yaml.dump(values, Dumper=yaml.CSafeDumper))
    message = chart.refusal(helm, "--values", tmp_path / "values.yaml")
    assert [path for path in typed if complaint_about(path) not in message] == []


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("certificate.source=files", "needs certificate.existingSecret or certManager.enabled=true"),
        ("certificate.existingSecret=mine", "need certificate.source=files"),
        ("certManager.enabled=true,certificate.existingSecret=mine", "leave certificate.existingSecret"),
        ("server.drainSeconds=40", "terminationGracePeriodSeconds must be at least 50"),
        ("server.healthPort=10250", "two different ports"),
        ("metrics.service.enabled=false,metrics.serviceMonitor.enabled=true", "needs metrics.service.enabled=true"),
        ("hostNetwork.enabled=true,metrics.serviceMonitor.enabled=true", "hostNetwork.healthHost=0.0.0.0"),
        ("priorityQuota.enabled=true,priorityClassName=", "needs a priorityClassName"),
        ("extraEnv[0].name=GRACEKEEPER_SERVER_PORT", "/extraEnv/0/name"),
        ("fullnameOverride=Upper", "/fullnameOverride"),
        ("image.digest=sha256:0", "/image/digest"),
        ("config.unknownSize=guess", "/config/unknownSize"),
        ("config.defaults.writeThroughput=100MB", "/config/defaults/writeThroughput"),
        ("config.profiles[0].mode=audit", "missing property 'name'"),
        ("commonLabels.a=7", "/commonLabels/a"),
        ("supervise.image.digest=sha256:0", "/supervise/image/digest"),
        ("supervise.enabled=false,supervise.prePull.enabled=true", "needs supervise.enabled=true"),
        ("supervise.enabled=false,config.supervise.image=other", "config.supervise.image needs supervise.enabled=true"),
        ("config.osmo.mode=sidecar", "/config/osmo/mode"),
        ("config.osmo.interruptedCode=1", "/config/osmo/interruptedCode"),
        ("config.graceCaps.karpenter=0", "/config/graceCaps/karpenter"),
        ("config.nodeThroughput.p5=10Gbps", "/config/nodeThroughput/p5"),
    ],
)
def test_what_does_not_belong_together_is_refused_in_words(setting, message):
    assert message in chart.refusal("helm4", "--set", setting)


def test_a_parent_chart_may_have_its_condition_and_globals_of_its_own():
    with_both = ("--set", "enabled=true,global.somebodyElses=1")
    assert chart.objects("helm4", *with_both) == chart.rendered("helm4")


def server_settings(manifests) -> ServerSettings:
    """The settings that the server reads from the environment; a variable that it does not know is an error."""
    prefix = "GRACEKEEPER_SERVER_"
    environment = chart.environment_of(manifests).items()
    return ServerSettings.model_validate(
        {k.removeprefix(prefix).lower(): v for k, v in environment if k.startswith(prefix)}
    )


@pytest.mark.parametrize("file", chart.CI_FILES)
@pytest.mark.parametrize("helm", chart.HELMS)
def test_the_server_accepts_the_environment_and_the_configuration_of_the_chart(helm, file):
    manifests = chart.rendered(helm, file)
    settings = server_settings(manifests)
    names = {each["metadata"]["name"] for each in manifests}
    assert settings.namespace == chart.NAMESPACE
    assert settings.service_name in names
    configurations = chart.of_kind(manifests, "MutatingWebhookConfiguration")
    assert str(settings.webhook_configuration_names).split(",") == [each["metadata"]["name"] for each in configurations]
    assert settings.secret_name in (names if settings.certificate_source == "secret" else {None})
    config = load_config(yaml.load(at(manifests, CONFIG), yaml.CSafeLoader))
    assert config.mode is (Mode.AUDIT if file in {"audit", "everything"} else Mode.ENFORCE)
    mounts = {mount["mountPath"] for mount in chart.container(manifests)["volumeMounts"]}
    assert str(settings.config_file) == "/etc/gracekeeper/config.yaml"
    assert {"/etc/gracekeeper", "/tmp"} <= mounts
    assert settings.certificate_directory is None or str(settings.certificate_directory) in mounts


SETTINGS_OF = ("default", "files", "host-network", "everything")


def test_every_setting_of_the_server_comes_from_the_chart():
    by_hand = {"facts": "none is for demonstrations and benchmarks"}
    variables = set().union(*(server_settings(chart.rendered("helm4", f)).model_fields_set for f in SETTINGS_OF))
    assert ServerSettings.model_fields.keys() - variables == by_hand.keys()


def test_without_values_the_chart_says_what_the_server_would_do_anyway():
    settings = server_settings(chart.rendered("helm4"))
    built_in = ServerSettings.model_construct()
    names = {"service_name", "secret_name", "webhook_configuration_names", "memory_name"}
    placed = {"config_file", "replicas", "namespace", *names}
    for name in ServerSettings.model_fields.keys() - placed:
        assert getattr(settings, name) == getattr(built_in, name)
    supervise = Supervise(image="gracekeeper/supervise:0.1.0")
    assert load_config(yaml.safe_load(at(chart.rendered("helm4"), CONFIG))) == Config(supervise=supervise)


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("server.port", "port"),
        ("server.healthPort", "health_port"),
        ("server.drainSeconds", "drain_seconds"),
        ("server.deadlineSeconds", "deadline_seconds"),
        ("certificate.validityDays", "certificate_validity_days"),
        ("certificate.settleSeconds", "certificate_settle_seconds"),
        ("hostNetwork.port", "port"),
        ("hostNetwork.healthPort", "health_port"),
    ],
)
def test_what_the_schema_allows_the_server_accepts(path, field):
    settings = server_settings(chart.rendered("helm4")).model_dump(exclude_none=True)
    for limit in limits(schema_of(tuple(path.split(".")))):
        ServerSettings.model_validate({**settings, field: str(limit)})


def limits(schema: dict[str, Any]) -> tuple[float, float]:
    """The least and the most that a schema allows; both must be there."""
    return schema["minimum"] if "minimum" in schema else schema["exclusiveMinimum"] + 0.001, schema["maximum"]


DEFAULTS = SCHEMA["properties"]["config"]["properties"]["defaults"]["properties"]
SUPERVISE_SECTION = SCHEMA["properties"]["config"]["properties"]["supervise"]["properties"]
OSMO = SCHEMA["properties"]["config"]["properties"]["osmo"]["properties"]
PROFILE = SCHEMA["properties"]["config"]["properties"]["profiles"]["items"]["properties"]


@pytest.mark.parametrize("name", [name for name, schema in DEFAULTS.items() if schema["type"] != "string"])
def test_schema_and_server_agree_on_the_limits_of_the_configuration(name):
    least, most = limits(DEFAULTS[name])
    load_config({"defaults": {name: least}})
    load_config({"defaults": {name: most}})
    for beyond in (most + 1, 0 if "exclusiveMinimum" in DEFAULTS[name] else least - 1):
        with pytest.raises(ConfigError):
            load_config({"defaults": {name: beyond}})


def test_schema_and_server_know_the_same_keys_of_the_configuration():
    def camel(kind):
        return {to_camel(f.name).replace("BytesPerSecond", "Throughput") for f in fields(kind)}

    assert SCHEMA["properties"]["config"]["properties"].keys() == camel(Config)
    assert DEFAULTS.keys() == camel(Defaults)
    assert PROFILE.keys() == camel(Profile)
    assert PROFILE["match"]["properties"].keys() == camel(Match)
    assert SUPERVISE_SECTION.keys() == camel(Supervise)
    assert OSMO.keys() == camel(Osmo)
    assert OSMO["mode"]["enum"] == list(OsmoMode)
    assert OSMO["interruptedCode"]["enum"] == list(InterruptedCode)


@pytest.mark.parametrize(
    ("rate", "good"),
    [
        ("100MiB/s", True),
        ("1.5GiBps", True),
        ("250M/s", True),
        ("104857600/s", True),
        ("1e9/s", True),
        ("100MiB", False),
        ("1Gb/s", False),
        ("100m/s", False),
        ("-1GB/s", False),
        ("1.GB/s", False),
        ("100kiB/s", False),
    ],
)
def test_schema_and_server_agree_on_what_a_rate_is(rate, good):
    pattern = DEFAULTS["writeThroughput"]["pattern"]
    assert bool(re.search(pattern, rate)) is good
    if good:
        load_config({"defaults": {"writeThroughput": rate}})
    else:
        with pytest.raises(ConfigError):
            load_config({"defaults": {"writeThroughput": rate}})


def test_the_reference_of_the_values_is_up_to_date():
    text = chart_docs.reference((chart.FOLDER / "values.yaml").read_text(encoding="utf-8"))
    assert chart_docs.REFERENCE.read_text(encoding="utf-8") == text, "run python -m scripts.chart_docs"


def test_a_value_that_nothing_explains_stops_the_reference():
    with pytest.raises(chart_docs.UncommentedValueError, match=r"a\.b has no comment"):
        list(chart_docs.values("# Explained.\na:\n  b: 1\n"))
