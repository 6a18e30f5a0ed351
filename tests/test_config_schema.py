"""The JSON Schema of the configuration: written from the code, and of one mind with the server wherever it can be."""

import copy
import json
import re

import jsonschema
import pytest
import yaml

from scripts import config_schema
from tests import golden
from webhook.config.field_errors import ConfigError
from webhook.config.fields import PROFILE_KEYS, load_config
from webhook.policy.statements.keys import KEYS

SCHEMA = json.loads(config_schema.SCHEMA.read_text(encoding="utf-8"))
CHECK = jsonschema.Draft7Validator(SCHEMA)


def server_takes(document) -> bool:
    try:
        load_config(document)
    except ConfigError:
        return False
    return True


def schema_takes(document) -> bool:
    return bool(CHECK.is_valid(document))


def of_profile(**fields):
    return {"profiles": [{"name": "a", **fields}]}


def with_value(key, value):
    return of_profile(values={key: value})


def fields_below(schema):
    for name, field in schema.get("properties", {}).items():
        yield name, field
        yield from fields_below(field)
        yield from fields_below(field.get("items", {}))


@pytest.mark.parametrize(("path", "text"), config_schema.files(), ids=lambda value: getattr(value, "name", ""))
def test_both_files_are_up_to_date(path, text):
    assert path.read_text(encoding="utf-8") == text, "run python -m scripts.config_schema"


def test_it_is_a_schema_in_itself_and_describes_every_field():
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert "$ref" not in json.dumps(SCHEMA)
    for name, field in fields_below(SCHEMA):
        assert re.fullmatch(r"[^`\[\]|]{7,}", field["description"]), name


def test_the_chart_takes_the_same():
    values = json.loads(config_schema.VALUES_SCHEMA.read_text(encoding="utf-8"))
    own = copy.deepcopy(SCHEMA)
    assert own.pop("$schema")
    assert own.pop("title")
    assert values["properties"]["config"] == own


def test_the_defaults_that_it_tells_are_the_built_in_ones():
    defaults = {
        name: {inner: field["default"] for inner, field in section["properties"].items() if "default" in field}
        for name, section in SCHEMA["properties"].items()
        if name in {"defaults", "supervise", "osmo"}
    }
    assert defaults["defaults"]["writeThroughput"] == "100MiB/s"
    assert load_config(defaults) == load_config({})


def test_the_example_points_at_it_and_every_configuration_of_a_case_fits():
    example = config_schema.ROOT / "docs" / "examples" / "config.yaml"
    hint = re.match(r"# yaml-language-server: \$schema=(\S+)\n", example.read_text(encoding="utf-8"))
    assert hint
    assert (example.parent / hint[1]).resolve() == config_schema.SCHEMA
    configs = [golden.document(name).get("config") for name in golden.names()]
    for document in (yaml.safe_load(example.read_text(encoding="utf-8")), *filter(None, configs)):
        CHECK.validate(document)


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"mod": "audit"},
        {"mode": "dry"},
        {"mode": None},
        {"defaults": []},
        {"defaults": {"stepSeconds": -1}},
        {"defaults": {"stepSeconds": "30s"}},
        {"defaults": {"safety": 0.5}},
        {"defaults": {"safety": 11}},
        {"defaults": {"maximumGraceSeconds": 0}},
        {"defaults": {"maximumGraceSeconds": 1.5}},
        {"defaults": {"bytesPerParameter": 0}},
        {"defaults": {"writeThroughput": 100}},
        {"profiles": {}},
        {"profiles": [{}]},
        of_profile(match={"namespace": "b"}),
        of_profile(match={"labels": {"a": True}}),
        of_profile(match={"namespaces": "a"}),
        of_profile(enabled="maybe"),
        of_profile(maximumGraceSeconds=0),
        of_profile(unknownSize="never"),
        with_value("size", "1GB"),
        with_value("enabled", "true"),
        with_value("maximum-grace-seconds", 5),
        {"osmo": {"mode": "sidecar"}},
        {"supervise": {"image": ""}},
        {"osmo": {"interruptedCode": 1}},
        {"supervise": {"architectures": []}},
        {"graceCaps": {"a": 0}},
        {"graceCaps": {"a": {"seconds": 0}}},
        {"graceCaps": {"a": {"nodeSelector": {"a": "b"}}}},
        {"graceCaps": {"a": {"seconds": 25, "bound": "maybe"}}},
        {"graceCaps": ["a"]},
    ],
    ids=str,
)
def test_what_the_server_refuses_the_schema_refuses(document):
    assert not server_takes(document)
    assert not schema_takes(document)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"graceCaps": {"a": {"seconds": 25, "bound": True}}},
        {"graceCaps": {"a": 600, "b": {"seconds": 25}, "c": {"seconds": 25, "nodeSelector": {"spot": "true"}}}},
        {"supervise": {"image": "a", "imagePullSecret": "b", "architectures": ["amd64", "arm64"]}},
        of_profile(
            match={"namespaces": ["a"], "labels": {"a": "b"}, "ownerKinds": ["Job"]}, enabled=False, mode="audit"
        ),
    ],
    ids=str,
)
def test_what_the_server_takes_the_schema_takes(document):
    assert server_takes(document)
    assert schema_takes(document)


GOOD = (
    "105Gi",
    "9.2GB",
    "1 GiB",
    "112742891520",
    "1e9",
    "2.5E10B",
    "1k",
    "0.5Gi",
    "1e-9",
    "8.03B",
    "70b",
    "405e9",
    "900",
)
BAD = (
    "",
    "0",
    "0Gi",
    "0.0GB",
    "100",
    "1Gb",
    "10m",
    "-1GB",
    "1.GB",
    "1kiB",
    "GB",
    "nan",
    "soon",
    "1,5GB",
    " 1GB",
    "1GB ",
)
NUMBERS = (0, 1, 8, 12.5, 14, 65, 900, 2**20, 10**9, 112742891520, 86401, 2592001, -1, True, False)
WORDS = ("true", "false", "auto", "yes", "native", "container", "grace-only", "off", "checkpoints", "/checkpoints")


@pytest.mark.parametrize("key", PROFILE_KEYS)
def test_schema_and_server_agree_on_what_a_profile_may_say(key):
    rates = [f"{size}/s" for size in (*GOOD, *BAD)]
    documents = [with_value(key, value) for value in (*GOOD, *BAD, *NUMBERS, *WORDS, *rates, "1GiBps")]
    assert [each for each in documents if schema_takes(each) != server_takes(each)] == []


@pytest.mark.parametrize("key", PROFILE_KEYS)
def test_the_example_of_every_key_fits(key):
    assert schema_takes(with_value(key, KEYS[key].example))
