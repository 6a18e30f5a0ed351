"""The fields of the configuration: what is wrong is refused at start, in one line that names the field."""

import pytest

from webhook.config.field_errors import ConfigError
from webhook.config.fields import load_config
from webhook.policy.configuration import Config, Mode, UnknownSize


def test_an_empty_configuration_is_the_built_in_one():
    assert load_config({}) == Config()


def test_a_configuration_is_read_with_its_units():
    config = load_config(
        {
            "mode": "audit",
            "unknownSize": "skip",
            "nodeThroughput": {"m5.large": "81MiB/s"},
            "defaults": {"writeThroughput": "1GiB/s", "maximumGraceSeconds": 7200},
            "profiles": [
                {
                    "name": "big",
                    "match": {"namespaces": ["team-a"], "labels": {"a": "b"}, "ownerKinds": ["RayJob"]},
                    "values": {"checkpoint-writers": 8},
                }
            ],
        }
    )
    assert (config.mode, config.unknown_size) == (Mode.AUDIT, UnknownSize.SKIP)
    assert (config.defaults.write_bytes_per_second, config.defaults.maximum_grace_seconds) == (2**30, 7200)
    assert config.profiles[0].values == {"checkpoint-writers": "8"}
    assert config.node_throughput == {"m5.large": 81 * 2**20}


@pytest.mark.parametrize(
    ("document", "line"),
    [
        ({"mod": "audit"}, "mod: no such field, did you mean mode?"),
        ({"mode": "dry"}, "mode: Input should be 'enforce' or 'audit' (it is 'dry')"),
        ({"mode": None}, "mode: "),
        ({"unknownSize": "guess"}, "unknownSize: Input should be 'evidence', 'default', 'estimate' or 'skip'"),
        ({"nodeThroughput": {"m5.large": "81"}}, "nodeThroughput.m5.large: "),
        ({"nodeThroughput": {"m5.large": 81}}, "nodeThroughput.m5.large: a rate is a text"),
        ({"defaults": []}, "defaults: "),
        ({"defaults": None}, "defaults: "),
        ({"defaults": {"step_second": 1}}, "defaults.step_second: no such field"),
        ({"defaults": {"stepSeconds": -1}}, "defaults.stepSeconds: "),
        ({"defaults": {"stepSeconds": "30s"}}, "defaults.stepSeconds: "),
        ({"defaults": {"safety": float("nan")}}, "defaults.safety: "),
        ({"defaults": {"safety": float("inf")}}, "defaults.safety: "),
        ({"defaults": {"safety": 0.5}}, "defaults.safety: "),
        ({"defaults": {"maximumGraceSeconds": 0}}, "defaults.maximumGraceSeconds: "),
        ({"defaults": {"maximumGraceSeconds": 1.5}}, "defaults.maximumGraceSeconds: "),
        ({"defaults": {"writeThroughput": 100}}, "defaults.writeThroughput: a rate is a text such as 100MiB/s"),
        ({"defaults": {"writeThroughput": "10Gbps"}}, "defaults.writeThroughput: "),
        ({"profiles": {}}, "profiles: "),
        ({"profiles": [{}]}, "profiles.0.name: is required"),
        ({"profiles": [{"name": ""}]}, "profiles.0.name: "),
        ({"profiles": [{"name": "a"}, {"name": "b", "modes": "audit"}]}, "profiles.1.modes: no such field"),
        ({"profiles": [{"name": "a", "match": {"namespace": "b"}}]}, "profiles.0.match.namespace: no such field"),
        ({"profiles": [{"name": "a", "match": {"labels": {"a": True}}}]}, "profiles.0.match.labels.a: "),
        (
            {"profiles": [{"name": "a", "values": {"size": "1GB"}}]},
            "profiles.0.values.size: no key that a profile can set",
        ),
        (
            {"profiles": [{"name": "a", "values": {"checkpoint-size": "1Gb"}}]},
            "profiles.0.values.checkpoint-size: a lower-case b means bits",
        ),
        ({"profiles": [{"name": "a", "values": {"maximum-grace-seconds": 1}}]}, "profiles.0.values."),
        ([], ""),
        ("mode: audit", ""),
    ],
)
def test_a_wrong_configuration_is_one_line_that_names_the_field(document, line):
    with pytest.raises(ConfigError) as refused:
        load_config(document)
    assert str(refused.value).startswith(line)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300
