"""`gracekeeper check-config` as a CI job runs it: every error and every doubt in a line of its own, and the exit codes."""

import io
import re
import sys
from pathlib import Path

import pytest

from webhook.cli import main
from webhook.config.doubts import doubts
from webhook.config.fields import load_config


@pytest.fixture
def check(capsys, tmp_path, monkeypatch):
    """Runs the command on a text; the result is exit code, output lines, errors."""
    monkeypatch.chdir(tmp_path)

    def check(text, *arguments):
        (tmp_path / "c.yaml").write_text(text)
        code = main(["check-config", "c.yaml", *arguments])
        captured = capsys.readouterr()
        return code, captured.out.splitlines(), captured.err

    return check


def test_what_is_right_is_said_in_one_line(check):
    assert check("mode: audit\nprofiles: [{name: a}]") == (0, ["c.yaml: ok, mode audit, profiles: 1"], "")


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}", "null"])
def test_an_empty_file_is_the_built_in_configuration(check, text):
    assert check(text)[:2] == (0, ["c.yaml: ok, mode enforce, profiles: 0"])


def test_every_error_is_told_with_line_and_path(check):
    text = """\
mod: audit
defaults:
  safty: 3
  safety: 0
profiles:
  - name: a
    values:
      checkpoint-size: 10Gb
      size: 5
  - match:
      namespaces: team-a
"""
    assert check(text) == (
        2,
        [
            "c.yaml:4: defaults.safety: Input should be greater than or equal to 1 (it is '0')",
            "c.yaml:3: defaults.safty: no such field, did you mean safety? (it is '3')",
            (
                "c.yaml:8: profiles.0.values.checkpoint-size: a lower-case b means bits; bytes are written B, e.g. 105Gi (it is '10Gb')"
            ),
            "c.yaml:9: profiles.0.values.size: no key that a profile can set (it is '5')",
            "c.yaml:10: profiles.1.name: is required",
            "c.yaml:11: profiles.1.match.namespaces: Input should be a valid tuple (it is 'team-a')",
            "c.yaml:1: mod: no such field, did you mean mode? (it is 'audit')",
        ],
        "",
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: [", "c.yaml: line 2, column 1: not YAML: "),
        ("a: b: c", "c.yaml: line 1, column 5: not YAML: "),
        ("\0", "c.yaml: not YAML: "),
        ("? [a]\n: b", "c.yaml: line 1, column 3: not YAML: "),
        ("[" * 5000, "c.yaml: line 1, column 101: nested more than 100 levels deep"),
        ("[]", "c.yaml: is to hold fields and their values"),
        ("mode: audit\n---\nmode: audit", "c.yaml: a configuration is one document, this file has 2"),
    ],
)
def test_what_is_no_configuration_at_all_is_one_line(check, text, line):
    code, out, _ = check(text)
    assert (code, len(out)) == (2, 1)
    assert out[0].startswith(line)


def test_what_was_hardly_meant_is_a_warning(check):
    text = """\
mode: audit
mode: enforce
defaults: {unknownSizeGraceSeconds: 6000}
profiles:
  - name: all
  - name: late
    match: {namespaces: [team-a]}
  - name: all
    match: {labels: {a: b}}
"""
    assert check(text) == (
        1,
        [
            "c.yaml:2: warning: mode: stands twice, the last counts",
            "c.yaml:3: warning: defaults.unknownSizeGraceSeconds: 6000 s are cut to maximumGraceSeconds, 3600 s",
            "c.yaml:6: warning: profiles.1: profile late never counts: profiles.0 (all) matches all its pods",
            "c.yaml:8: warning: profiles.2.name: profiles.0 is called all too: decisions tell only the name",
            "c.yaml:8: warning: profiles.2: profile all never counts: profiles.0 (all) matches all its pods",
        ],
        "",
    )


def test_a_values_file_of_the_chart_is_checked_below_its_config(check):
    assert check("replicas: 2\nconfig:\n  mode: none", "--values") == (
        2,
        ["c.yaml:3: mode: Input should be 'enforce' or 'audit' (it is 'none')"],
        "",
    )
    assert check("replicas: 2", "--values")[0] == 0
    assert check("", "--values")[0] == 0
    assert check("[]", "--values") == (2, [], "gracekeeper: a values file is to hold fields and their values\n")


def test_standard_input_and_a_missing_file(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("mode: audit"))
    assert main(["check-config", "-"]) == 0
    assert capsys.readouterr().out.startswith("standard input: ok")
    assert main(["check-config", "/nowhere.yaml"]) == 2
    assert capsys.readouterr().err == "gracekeeper: /nowhere.yaml: no such file or directory\n"


def test_the_page_shows_what_is_printed(check):
    page = (Path(__file__).parents[1] / "docs/configuration.md").read_text()
    (block,) = re.findall(r"```console\n\$ gracekeeper check-config config.yaml\n(.*?)```", page, re.DOTALL)
    text = """\
mode: audit
unknownSize: default
defaults:
  safty: 3
profiles:
  - name: a
    match: {namespaces: [a]}
    values:
      checkpoint-size: 10Gb
"""
    assert check(text)[1] == [line.replace("config.yaml:", "c.yaml:") for line in block.splitlines()]


def doubts_in(**document):
    return [(".".join(map(str, doubt.place)), doubt.why) for doubt in doubts(load_config(document))]


def hides(wide, narrow):
    """Whether a profile with the one match keeps one with the other from ever counting."""
    profiles = [{"name": "wide", "match": wide}, {"name": "narrow", "match": narrow}]
    return bool(doubts_in(profiles=profiles))


@pytest.mark.parametrize(
    ("wide", "narrow", "hidden"),
    [
        ({}, {}, True),
        ({}, {"namespaces": ["a"], "labels": {"x": "y"}, "ownerKinds": ["Job"]}, True),
        ({"namespaces": ["*"]}, {}, True),
        ({"namespaces": ["a"]}, {}, False),
        ({"namespaces": ["a", "b"]}, {"namespaces": ["b"]}, True),
        ({"namespaces": ["a"]}, {"namespaces": ["a", "b"]}, False),
        ({"namespaces": ["team-*"]}, {"namespaces": ["team-a"]}, True),
        ({"namespaces": ["team-*"]}, {"namespaces": ["team-a*"]}, True),
        ({"namespaces": ["team-a*"]}, {"namespaces": ["team-*"]}, False),
        ({"namespaces": ["team-?"]}, {"namespaces": ["team-*"]}, False),
        ({"namespaces": ["team-*"]}, {"namespaces": ["team-?"]}, True),
        ({"namespaces": ["team-?"]}, {"namespaces": ["team-?"]}, True),
        ({"namespaces": ["*-?*"]}, {"namespaces": ["a-*"]}, False),
        ({"namespaces": ["team-[ab]"]}, {"namespaces": ["team-a"]}, False),
        ({"labels": {"x": "y"}}, {"labels": {"x": "y", "z": "1"}}, True),
        ({"labels": {"x": "y"}}, {"labels": {"x": "n"}}, False),
        ({"labels": {"x": "y"}}, {}, False),
        ({"ownerKinds": ["Job", "RayJob"]}, {"ownerKinds": ["Job"]}, True),
        ({"ownerKinds": ["Job"]}, {"ownerKinds": ["Job", "RayJob"]}, False),
        ({"ownerKinds": ["Job"]}, {}, False),
    ],
)
def test_a_profile_that_an_earlier_one_hides(wide, narrow, hidden):
    assert hides(wide, narrow) is hidden


def test_numbers_that_are_cut_to_a_maximum():
    # 70e9 x 14 bytes at 1 GiB/s: 912.7 s; (30 + 912.7) x 2 + 15 = 1901 s
    assert doubts_in(
        defaults={"maximumGraceSeconds": 1000},
        profiles=[
            {"name": "a", "match": {"namespaces": ["a"]}, "values": {"grace-seconds": 1001}},
            {"name": "b", "match": {"namespaces": ["b"]}, "values": {"grace-seconds": 1000}},
            {"name": "c", "match": {"namespaces": ["c"]}, "maximumGraceSeconds": 900, "values": {"grace-seconds": 950}},
            {
                "name": "d",
                "match": {"namespaces": ["d"]},
                "values": {"model-parameters": "70B", "write-throughput": "1GiB/s"},
            },
            {"name": "e", "match": {"namespaces": ["e"]}, "values": {"checkpoint-size": "100GiB"}},
            {"name": "f", "match": {"namespaces": ["f"]}, "maximumGraceSeconds": 500, "values": {"step-seconds": 1}},
        ],
    ) == [
        ("profiles.0.values.grace-seconds", "needs 1001 s, cut to maximumGraceSeconds, 1000 s"),
        ("profiles.2.values.grace-seconds", "needs 950 s, cut to maximumGraceSeconds, 900 s"),
        ("profiles.3.values.model-parameters", "needs 1901 s, cut to maximumGraceSeconds, 1000 s"),
        (
            "profiles.4.values.checkpoint-size",
            "needs 2123 s on a volume that states nothing, cut to maximumGraceSeconds, 1000 s",
        ),
    ]
