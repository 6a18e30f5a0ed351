"""Texts as they come: small uses of anchors, aliases and merge keys are read, and what grows without end costs nothing."""

import time

import pytest

from webhook import yaml_text
from webhook.cli import main
from webhook.config.configuration_file import parsed
from webhook.config.field_errors import ConfigError
from webhook.manifests import documents
from webhook.yaml_text import NotYamlError

MOST_SECONDS = 20.0
"""Each takes milliseconds, a second on a machine that is busy; built, it would take minutes."""


def doubling(first, line, levels=40):
    """A text of lines, each of which stands for twice the former one."""
    return "\n".join(
        [f"a0: &a0 {first}", *(f"a{n}: &a{n} {line.replace('X', f'*a{n - 1}')}" for n in range(1, levels))]
    )


BOMBS = {
    "of maps": doubling("{k: v}", "{k: X, l: X}"),
    "of lists": doubling("[a]", "[X, X]"),
    "of merges": doubling("{k: v}", "{<<: [X, X]}"),
    "of Lists": doubling("{kind: ConfigMap}", "{kind: List, items: [X, X]}"),
    "of one long text": f"a: &a {'x' * 100_000}\nb: [{'*a, ' * 1000}]",
    "in several documents": "\n---\n".join([f"a: &a [{'b, ' * 1000}]\nc: [{'*a, ' * 50}]"] * 3),
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_aliases_that_stand_for_very_much_are_refused_at_once(text):
    begun = time.monotonic()
    with pytest.raises(NotYamlError, match=r"line \d+, column \d+: aliases stand for more than 100,000 values$"):
        yaml_text.documents(text)
    with pytest.raises(ConfigError, match="aliases stand for"):
        parsed(text)
    assert time.monotonic() - begun < MOST_SECONDS


@pytest.mark.parametrize("text", ["a: &a [*a]", "a: &a {b: *a}", "a: &a {<<: *a}"])
def test_what_holds_itself_is_refused(text):
    with pytest.raises(NotYamlError, match=r"line 1, column \d+: nested more than 100 levels deep"):
        yaml_text.documents(text)


def test_a_long_text_without_aliases_is_no_bomb():
    (document,) = yaml_text.documents("a:\n" + "- {b: c}\n" * 60_000)
    assert len(document["a"]) == 60_000


def test_manifests_may_use_anchors_aliases_and_merge_keys():
    text = """
kind: Pod
x-all: &all {image: x, env: &env [{name: A, value: b}]}
spec:
  containers: [{name: a, <<: *all}, {name: b, env: *env}]
"""
    (pod,) = documents(text, "pod.yaml")
    env = [{"name": "A", "value": "b"}]
    assert pod["spec"]["containers"] == [{"name": "a", "image": "x", "env": env}, {"name": "b", "env": env}]


def test_a_configuration_may_use_anchors_aliases_and_merge_keys():
    text = """
profiles:
  - {name: a, values: &values {checkpoint-size: 10GiB}, match: &match {namespaces: [a]}}
  - {name: b, values: {<<: *values, step-seconds: 5}, match: *match}
"""
    profiles = parsed(text).profiles
    assert [dict(each.values) for each in profiles] == [
        {"checkpoint-size": "10GiB"},
        {"checkpoint-size": "10GiB", "step-seconds": "5"},
    ]
    assert [each.match.namespaces for each in profiles] == [("a",), ("a",)]


def test_a_date_is_a_text_as_in_kubernetes():
    assert yaml_text.documents("{a: 2024-01-02, b: 2024-99-99}") == [{"a": "2024-01-02", "b": "2024-99-99"}]


@pytest.mark.parametrize(
    "value",
    [
        "!!int abc",
        "!!float abc",
        "!!bool abc",
        "!!timestamp 2024-01-02",
        "!!binary YQ==",
        "!!set {a}",
        "!!omap [a: b]",
        "!!pairs [a: b]",
        "!!python/none x",
        "1" * 5000,
        "0x" + "f" * 5000,
        "*nowhere",
        "{[a]: b}",
        "{{a: b}: c}",
    ],
)
def test_a_value_that_json_cannot_hold_is_one_line(value):
    with pytest.raises(NotYamlError, match=r"^[^\n]*not YAML: [^\n]+$"):
        yaml_text.documents(f"a: {value}")


def test_check_config_shows_no_list_that_is_wrong(tmp_path, capsys):
    file = tmp_path / "c.yaml"
    file.write_text("profiles: &p [[a, b], [a, b]]\nmode: *p")
    assert main(["check-config", str(file)]) == 2
    out = capsys.readouterr().out
    assert f"{file}:2: mode: Input should be 'enforce' or 'audit'\n" in out
    assert "[" not in out
