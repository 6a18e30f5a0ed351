"""Names: no two releases meet, and an API server takes every one."""

import re
from itertools import combinations

import pytest
from cryptography import x509

from tests import chart

LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
"""Of a Service: RFC 1035, until Kubernetes 1.35 relaxes it."""
SUBDOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
LONG = "a-release-whose-name-is-as-long-as-helm-lets-it-be-53"
RELEASES = [
    ("gk", "gk-system"),
    ("gk", "other"),
    ("other", "gk-system"),
    ("c", "a-b"),
    ("b-c", "a"),
    ("a.b", "gk-system"),
    ("a-b", "gk-system"),
    ("1a", "gk-system"),
    ("r1a", "gk-system"),
    ("7", "7"),
    (LONG, "gk-system"),
    (LONG[:-1] + "4", "gk-system"),
    (LONG, "n" * 63),
]
"""Pairs of release and namespace: equal halves, dashes and dots that shift, digits first, longest names."""
FILES = ("default", "cert-manager")


def identities(release: str, namespace: str, file: str) -> set[tuple[str, ...]]:
    manifests = chart.objects("helm4", *chart.ci(file), release=release, namespace=namespace)
    return {(each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"]) for each in manifests}


@pytest.mark.parametrize("file", FILES)
def test_no_two_releases_have_an_object_in_common(file):
    assert len(LONG) == 53
    for one, other in combinations(RELEASES, 2):
        assert not identities(*one, file) & identities(*other, file), (one, other)


@pytest.mark.parametrize("helm", chart.HELMS)
@pytest.mark.parametrize(("release", "namespace"), RELEASES)
def test_every_api_server_takes_the_names(helm, release, namespace):
    for file in FILES:
        manifests = chart.objects(helm, *chart.ci(file), release=release, namespace=namespace)
        for each in manifests:
            rule = LABEL if each["kind"] == "Service" else SUBDOMAIN
            assert rule.fullmatch(each["metadata"]["name"]), each["metadata"]["name"]
            assert all(len(value) <= 63 for value in each["metadata"]["labels"].values())
        for certificate in chart.of_kind(manifests, "Certificate"):
            assert len(certificate["spec"].get("commonName", "")) <= 64
            x509.SubjectAlternativeName([x509.DNSName(name) for name in certificate["spec"].get("dnsNames", ())])


def test_one_release_in_two_namespaces_selects_and_is_called_by_itself_only():
    manifests_by_namespace = {n: chart.objects("helm4", namespace=n) for n in ("gk-system", "other")}
    for namespace, objects in manifests_by_namespace.items():
        entries = chart.the(objects, "MutatingWebhookConfiguration")["webhooks"]
        assert {entry["clientConfig"]["service"]["namespace"] for entry in entries} == {namespace}


def test_two_releases_in_one_namespace_select_different_pods():
    selectors = [
        chart.the(chart.objects("helm4", release=release), "Deployment")["spec"]["selector"]["matchLabels"]
        for release in ("one", "two")
    ]
    assert selectors[0] != selectors[1]


@pytest.mark.parametrize("name", ["on", "null", "true", "e3", "keeper"])
def test_a_name_that_yaml_would_misread_stays_a_text(name):
    manifests = chart.objects("helm4", "--set-string", f"fullnameOverride={name},nameOverride={name}")
    assert chart.the(manifests, "Deployment")["metadata"]["name"] == name
    assert chart.the(manifests, "Deployment")["metadata"]["labels"]["app.kubernetes.io/name"] == name
    assert chart.the(manifests, "MutatingWebhookConfiguration")["metadata"]["name"] == f"gk-system.{name}"


def test_a_release_named_as_the_chart_is_not_named_twice():
    manifests = chart.objects("helm4", release="gracekeeper", namespace="gracekeeper")
    assert chart.the(manifests, "Deployment")["metadata"]["name"] == "gracekeeper"
    assert chart.the(manifests, "MutatingWebhookConfiguration")["metadata"]["name"] == "gracekeeper.gracekeeper"
