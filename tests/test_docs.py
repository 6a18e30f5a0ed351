"""What README and docs say is compared with the code: keys, fields, settings, metrics, log lines, commands, pictures, links."""

import re
import shlex
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from scripts import pictures
from tests.policy_calls import facts_in_files
from webhook import cli, manifests
from webhook.admission import Refusal
from webhook.config.fields import load_config
from webhook.config.settings import ServerSettings
from webhook.metrics import Metrics, Overload
from webhook.observer.observer_metrics import ObserverMetrics
from webhook.policy.configuration import Config, Defaults, Match, Mode, Osmo, OsmoMode, Profile, Supervise, UnknownSize
from webhook.policy.decision import Outcome
from webhook.policy.facts import MissingReason
from webhook.policy.prefix import SERVER_ENVIRONMENT_PREFIX
from webhook.policy.statements.keys import KEYS
from webhook.policy.storage.drivers import FAMILIES, silent

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md"), *ROOT.glob(".github/**/*.md")])
EXAMPLES = sorted((DOCS / "examples").glob("*.yaml"))
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
LINK_TO_A_HEADING = re.compile(r"\[[^\]]*\]\(([^)#\s:]*)#([^)]+)\)")
NOT_ON_A_POD = {"maximum-grace-seconds"}
NAMES_IN_THE_FILE = {
    "write_bytes_per_second": "writeThroughput",
    "upload_bytes_per_second": "uploadThroughput",
}


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """From a heading to the next of any level."""
    match = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", text, re.DOTALL | re.MULTILINE)
    assert match, heading
    return match[1]


def rows(text: str) -> list[list[str]]:
    """The cells of all tables in a text, their first rows left out."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [
        row for row, above in zip(cells, [None, *lines], strict=False) if above and not row[0].startswith(("---", "|"))
    ]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def in_camel_case(name: str) -> str:
    first, *others = NAMES_IN_THE_FILE.get(name, name).split("_")
    return first + "".join(word.capitalize() for word in others)


def names_of(kind) -> list[str]:
    return [in_camel_case(field.name) for field in fields(kind)]


def first_cells(text: str) -> list[str]:
    return [quoted(row[0])[0] for row in rows(text) if quoted(row[0])]


def test_the_readme_shows_what_the_program_prints(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    block = re.search(r"```console\n\$ \S*?gracekeeper (.*?)\n(.*?)```", page("README.md"), re.DOTALL)
    assert block
    assert cli.main(shlex.split(block[1])) == 0
    printed = [line.rstrip() for line in capsys.readouterr().out.strip().splitlines()]
    assert block[2].splitlines() == printed


@pytest.mark.parametrize("heading", ["EKS", "GKE", "AKS", "EFS, Ceph, NFS and others"])
def test_the_worked_examples_of_sizing_show_lines_that_the_program_prints(heading, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    block = re.search(
        r"```console\n\$ gracekeeper (.*?)\n(.*?)```", section(page("docs/sizing.md"), heading), re.DOTALL
    )
    assert block
    assert cli.main(shlex.split(block[1])) == 0
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    shown = block[2].splitlines()
    assert [line for line in printed if line in shown] == shown


def test_every_storage_driver_is_documented():
    named = set(quoted(section(page("docs/sizing.md"), "What is read of each driver")))
    assert named >= {*FAMILIES, *silent.NAMES, *silent.OBJECT_STORES}


def test_every_key_is_documented_with_its_variable_and_a_right_example():
    documented = {quoted(row[0])[0]: row for row in rows(section(page("docs/configuration.md"), "Keys"))}
    assert list(documented) == list(KEYS)
    for name, row in documented.items():
        key = KEYS[name]
        assert row[1] == ("none" if key.namespace_only else f"`{key.variable}`")
        assert quoted(row[2]) == [key.example]
        key.read(key.example)


def test_the_readme_names_every_key_that_a_pod_can_carry_with_an_example_that_is_right():
    documented = rows(section(page("README.md"), "What a pod's owner can say"))
    assert {quoted(row[0])[0] for row in documented} == set(KEYS) - NOT_ON_A_POD
    for row in documented:
        for example in quoted(row[1]):
            KEYS[quoted(row[0])[0]].read(example.strip('"'))
    for name in NOT_ON_A_POD:
        assert f"`{name}`" in page("README.md")


def test_every_osmo_mode_is_documented():
    row = next(row for row in rows(page("docs/configuration.md")) if row[0] == "`osmo-mode`")
    assert quoted(row[3]) == list(OsmoMode)


def test_every_field_of_the_configuration_is_documented():
    text = page("docs/configuration.md")
    assert first_cells(section(text, "At the top")) == names_of(Config)
    assert first_cells(section(text, "`defaults`")) == names_of(Defaults)
    assert first_cells(section(text, "`supervise`")) == names_of(Supervise)
    assert first_cells(section(text, "`osmo`")) == names_of(Osmo)
    expected = {f"match.{name}" for name in names_of(Match)} | set(names_of(Profile)) - {"match"}
    assert set(first_cells(section(text, "`profiles`"))) == expected


def test_the_documented_defaults_are_the_built_in_ones():
    text = page("docs/configuration.md")
    top = {quoted(row[0])[0]: yaml.safe_load(quoted(row[1])[0]) for row in rows(section(text, "At the top"))}
    top["defaults"] = {
        quoted(row[0])[0]: yaml.safe_load(quoted(row[1])[0]) for row in rows(section(text, "`defaults`"))
    }
    cells = {quoted(row[0])[0]: quoted(row[1]) for row in rows(section(text, "`supervise`"))}
    assert [name for name, values in cells.items() if not values] == ["image", "imagePullSecret"]
    top["supervise"] = {name: yaml.safe_load(values[0]) for name, values in cells.items() if values}
    top["osmo"] = {quoted(row[0])[0]: yaml.safe_load(quoted(row[1])[0]) for row in rows(section(text, "`osmo`"))}
    assert load_config(top) == Config()


@pytest.mark.parametrize(("field", "values"), [("mode", Mode), ("unknownSize", UnknownSize)])
def test_every_value_of_a_closed_field_is_documented(field, values):
    for heading in ("At the top", "`profiles`"):
        table_rows = rows(section(page("docs/configuration.md"), heading))
        row = next(row for row in table_rows if row[0] == f"`{field}`")
        assert quoted(row[2]) == list(values)


def test_the_configuration_that_is_shown_is_the_example_and_loads():
    text = (DOCS / "examples" / "config.yaml").read_text()
    assert f"```yaml\n{text}```" in page("docs/configuration.md")
    assert len(load_config(yaml.safe_load(text)).profiles) == 3


def test_the_server_s_settings_are_documented_with_their_defaults():
    documented = {quoted(row[0])[0]: row[1] for row in rows(page("docs/server.md"))}
    expected = {
        SERVER_ENVIRONMENT_PREFIX + name.upper(): "none" if field.default is None else f"`{field.default}`"
        for name, field in ServerSettings.model_fields.items()
    }
    assert documented == expected


@pytest.fixture
def metrics() -> dict[str, set[str]]:
    """Every family, by the name that is scraped, with the names of its labels."""
    registry = Metrics(Refusal)
    registry.watch(lambda: {"Namespace": 1.0})
    registry.facts_out_of_date(lambda: 0)
    return families_of(registry.text())


def families_of(text: bytes) -> dict[str, set[str]]:
    families = text_string_to_metric_families(text.decode())
    return {
        family.name + ("_total" if family.type == "counter" else ""): {
            label for sample in family.samples for label in sample.labels
        }
        - {"le"}
        for family in families
        if family.name.startswith("gracekeeper_") and not family.name.endswith("_created")
    }


def test_every_metric_is_documented_with_its_labels(metrics):
    table_rows = [row for row in rows(section(page("docs/operations.md"), "Metrics")) if quoted(row[0])]
    of_observer = families_of(ObserverMetrics().text())
    assert {quoted(row[0])[0]: set(quoted(row[1])) for row in table_rows} == metrics | of_observer


def test_the_values_of_labels_are_documented():
    text = section(page("docs/operations.md"), "Metrics")
    for line, values in (
        ("Outcomes", Outcome),
        ("Reasons of missing", MissingReason),
        ("Reasons of refusal", Refusal),
        ("Stages of overload", Overload),
    ):
        sentence = next(paragraph for paragraph in text.splitlines() if paragraph.startswith(line))
        assert quoted(sentence) == list(values)


def test_every_alert_asks_for_metrics_that_exist_and_has_a_line_in_the_runbook(metrics):
    rules = [rule for group in yaml.safe_load(page("docs/alerts.yaml"))["groups"] for rule in group["rules"]]
    assert first_cells(section(page("docs/operations.md"), "Alerts")) == [rule["alert"] for rule in rules]
    for rule in rules:
        for name in re.findall(r"gracekeeper_\w+", rule["expr"]):
            assert re.sub(r"_(bucket|sum|count)$", "", name) in metrics | families_of(ObserverMetrics().text())


def test_every_log_line_is_documented():
    sources = "\n".join(path.read_text() for path in (ROOT / "webhook").rglob("*.py"))
    written = set(re.findall(r"logger\.(?:info|warning|error)\(\s*\"([^\"]+)\"", sources))
    written |= set(re.findall(r"(?:_complain|say)\(\s*\"([^\"]+)\"", sources))
    documented = first_cells(section(page("docs/operations.md"), "Log lines"))
    assert written <= set(documented)
    for event in documented:
        assert f'"{event}"' in sources


@pytest.mark.parametrize(
    "path", [path for path in EXAMPLES if path.stem not in {"objects", "config"}], ids=lambda p: p.stem
)
def test_every_example_pod_can_be_decided_on(path, capsys):
    assert cli.main(["mutate", "-f", str(path), "-o", "explain"]) in {0, 1}
    assert capsys.readouterr().out


def test_the_example_s_objects_are_those_that_its_pod_asks_for():
    pod = manifests.pods_in(manifests.documents((DOCS / "examples/pod.yaml").read_text(), "pod"), "pod", "default")[0]
    objects = manifests.documents((DOCS / "examples/objects.yaml").read_text(), "objects")
    assert facts_in_files(pod, objects).missing == ()


def test_the_pictures_are_what_the_policy_decides_now():
    for name, text in pictures.pictures():
        assert (pictures.FOLDER / name).read_text(encoding="utf-8") == text, "run python -m scripts.pictures"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_to_a_file_leads_to_one(path):
    for target in LINK.findall(path.read_text(encoding="utf-8")):
        if not re.match(r"[a-z]+:", target):
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_to_a_heading_leads_to_one(path):
    for target, anchor in LINK_TO_A_HEADING.findall(path.read_text(encoding="utf-8")):
        text = (path.parent / target if target else path).read_text(encoding="utf-8")
        assert anchor in anchors(text), f"{target}#{anchor}"


def anchors(text: str) -> set[str]:
    """As GitHub makes them of headings, and those that a page names itself."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    named = set(re.findall(r'<a id="([\w-]+)"></a>', text))
    return named | {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_name_targets_of_the_makefile_and_values_of_the_chart(path):
    text = path.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z0-9./-]+):", page("Makefile"), re.MULTILINE))
    for target in re.findall(r"(?:^|`)make ([a-z.][a-z0-9./-]*)", text, re.MULTILINE):
        assert target in targets, target
    values = yaml.safe_load(page("charts/gracekeeper/values.yaml"))
    for option in re.findall(r"--set(?:-string)? ([\w.]+)=", text):
        value = values
        for part in option.split("."):
            assert part in value, option
            value = value[part]


def test_the_readme_has_two_set_up_commands_for_the_version_of_the_checkout():
    block = re.search(r"```sh\n(.*?)```", section(page("README.md"), "Install"), re.DOTALL)
    assert block
    commands = block[1].replace("\\\n", " ").splitlines()
    assert [shlex.split(command)[:2] for command in commands] == [["make", "image"], ["helm", "upgrade"]]
    version = subprocess.run(
        [sys.executable, "-m", "webhook", "version"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert f":{version} " in commands[0]
    assert f"image.tag={version}" in commands[1]
