"""`gracekeeper doctor -f DUMP` as a user runs it: what it prints, its exit codes, what it could not look at."""

import copy
import json
import random
from collections import Counter
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.doctor.objects import configz, lists_of, node, trainer
from tests.doctor.test_autoscaler_maximum import autoscaler
from tests.doctor.test_job_replacement import job, writer
from tests.doctor.test_karpenter_termination import LABEL, claim, pool
from tests.doctor.test_soft_eviction import node_class as of_class
from webhook.cli import main
from webhook.config.fields import load_config
from webhook.doctor.finding import UnseenReason
from webhook.doctor.kinds import KINDS
from webhook.doctor.table import CHECKS
from webhook.policy.configuration import GraceCap

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/doctor.schema.json").read_text(encoding="utf-8"))


@pytest.fixture
def dump(tmp_path):
    """Writes a folder as the loop of docs/doctor.md does: a file for each resource, as kubectl prints it."""

    def write(*objects, without=()):
        by_kind = {kind.lower(): of_kind for kind, of_kind in lists_of(*objects).items()}
        for kind in KINDS.values():
            if kind.resource in without:
                continue
            items = by_kind.get(kind.name.lower(), [])
            (tmp_path / f"{kind.kubectl_name}.json").write_text(json.dumps({"kind": "List", "items": items}))
        (tmp_path / "n1.configz.json").write_text(json.dumps({"kubeletconfig": configz()["kubeletconfig"]}))
        return str(tmp_path)

    return write


@pytest.fixture
def run(capsys):
    def run(*arguments):
        code = main(["doctor", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def asking_for(kind):
    return [check.id for check in CHECKS if kind in check.kinds]


CAPS = ("--only", "GK104,GK105,GK108")
CUT = (pool("5m"), claim("5m"), node(**LABEL), trainer("long"))
FINE = (pool("1h"), claim("1h"), node(**LABEL), trainer("long"))


def test_the_pool_table_comes_first_then_findings_with_pods_seconds_and_a_command(run, dump):
    code, out, err = run("-f", dump(*CUT))
    lines = out.splitlines()
    assert (code, err) == (1, "")
    assert lines[0].split() == ["POOL", "NODES", "KUBELET", "SHORTEST", "BY", "PODS", "CUT"]
    assert "300 s" in lines[1]
    assert "Karpenter NodePool h100 (GK105)" in lines[1]
    assert "1 of 1, longest needs 782 s" in lines[1]
    assert lines[3].startswith("error   GK105  Karpenter ends the nodes of NodePool h100 5m after")
    assert lines[4].strip() == "1 pod asks for more: ml/long loses 482 s of 782 s."
    assert lines[5].strip().startswith("Fix: kubectl patch nodepools.karpenter.sh h100 ")


def test_a_cure_that_restarts_something_is_never_shown_without_saying_so(run, dump):
    out = run("-f", dump(*CUT))[1]
    fix = out[out.index("Fix: kubectl patch nodepools") :]
    assert "The change makes every node of the pool Drifted" in fix


def test_given_pods_that_have_to_be_created_anew_then_the_table_says_what_that_loses(run, dump):
    older = trainer("anew", grace=30, metadata={"annotations": {"gracekeeper.dev/grace-seconds": "600"}})
    out = run("-f", dump(older, node()), "--only", "GK311")[1]
    fix = out[out.index("Fix: kubectl delete pod -n ml anew") :].splitlines()
    assert "Wait for the next checkpoint: a pod that is deleted now has 30 s to save." in fix[1]
    assert fix[2].strip() == "It restarts these pods."


def test_a_cluster_without_findings_ends_with_0(run, dump):
    code, out, _ = run("-f", dump(*FINE), "--fail-on", "unseen", "--skip", "GK204")
    assert code == 0
    assert "errors: 0, warnings: 0, not looked at: 0" in out


def test_what_the_dump_does_not_hold_is_not_ok(run, dump):
    folder = dump(*FINE, without=("nodepools", "nodes"))
    code, out, _ = run("-f", folder)
    assert code == 0
    [pools] = [line for line in out.splitlines() if "nodepools.karpenter.sh" in line]
    assert pools.startswith("unseen  GK105  nodepools.karpenter.sh: the dump has no list of them.")
    assert pools.endswith("kubectl get nodepools.karpenter.sh -o json > nodepools.json")
    [nodes] = [line for line in out.splitlines() if " nodes:" in line]
    assert nodes.startswith(
        f"unseen  {','.join(asking_for('Node')[:3])} and {len(asking_for('Node')) - 3} more  nodes:"
    )
    assert run("-f", folder, "--fail-on", "unseen")[0] == 1
    assert run("-f", folder, "--fail-on", "unseen", "--only", "GK117", "--skip", "GK1")[0] == 2


@pytest.mark.parametrize(("level", "code"), [("error", 1), ("warning", 1), ("unseen", 1), ("never", 0)])
def test_fail_on_chooses_what_ends_with_1(run, dump, level, code):
    assert run("-f", dump(*CUT), "--fail-on", level)[0] == code


def test_wide_adds_what_shows_it_and_what_the_cure_restarts(run, dump):
    out = run("-f", dump(*CUT), "-o", "wide")[1]
    assert (
        "See: kubectl get nodepools.karpenter.sh h100 -o jsonpath='{.spec.template.spec.terminationGracePeriod}'" in out
    )
    assert ".spec.template.spec.terminationGracePeriod is 5m" in out
    assert "makes every node of the pool Drifted" in out
    assert "docs/doctor.md#gk105" in out


def test_json_holds_the_same(run, dump):
    code, out, _ = run("-f", dump(*CUT, without=("jobs",)), "-o", "json", "--skip", "GK103")
    report = json.loads(out)
    jsonschema.Draft7Validator(SCHEMA).validate(report)
    assert code == 1
    [finding] = report["findings"]
    assert (finding["id"], finding["severity"], finding["object"], finding["seconds"], finding["asked"]) == (
        "GK105",
        "error",
        "NodePool h100",
        300,
        782,
    )
    assert finding["pods"] == [{"name": "ml/long", "asked": 782, "given": 300}]
    assert report["cluster"]["pools"][0]["smallestCap"] == {
        "seconds": 300,
        "by": "Karpenter NodePool h100",
        "id": "GK105",
    }
    assert {
        (each["id"], each["what"], each["reason"]) for each in report["unseen"] if each["reason"] != "not-asked"
    } == {(check, "jobs.batch", "not-in-dump") for check in asking_for("Job") if check != "GK103"}


def test_the_schema_knows_every_reason_and_refuses_what_is_not_there():
    of_unseen = SCHEMA["properties"]["unseen"]["items"]["properties"]
    assert of_unseen["reason"]["enum"] == list(UnseenReason)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(SCHEMA).validate({"version": "1", "findings": [], "unseen": []})


def test_a_list_as_kubectl_indents_it_gives_the_same(run, dump, tmp_path_factory):
    # given the same objects as kubectl prints them, and as an API server answers
    compact = run("-f", dump(*CUT), "-o", "json")[1]
    folder = tmp_path_factory.mktemp("indented")
    for kind, items in lists_of(*CUT).items():
        untyped = [{key: value for key, value in each.items() if key != "kind"} for each in items]
        text = json.dumps({"apiVersion": "v1", "items": untyped, "kind": f"{kind}List"}, indent=4)
        (folder / f"{kind}.json").write_text(text + "\n")
    mixed = {"apiVersion": "v1", "kind": "List", "items": [configz()]}
    (folder / "mixed.json").write_text(json.dumps(mixed, indent=4) + "\n")
    indented = run("-f", str(folder), "-o", "json")[1]
    assert json.loads(indented)["findings"] == json.loads(compact)["findings"]


def test_a_list_that_was_cut_off_is_refused(run, tmp_path):
    text = json.dumps({"apiVersion": "v1", "items": list(CUT), "kind": "List"}, indent=4)
    (tmp_path / "a.json").write_text(text[: len(text) // 2])
    code, _, err = run("-f", str(tmp_path))
    assert (code, err) == (2, f"gracekeeper: {tmp_path}/a.json: ends in the middle of a list\n")


def test_one_file_of_many_kinds_and_a_typed_list_are_read(run, tmp_path):
    mixed, typed = tmp_path / "a.json", tmp_path / "b.json"
    mixed.write_text(json.dumps({"kind": "List", "items": CUT[1:]}))
    untyped = {key: value for key, value in CUT[0].items() if key != "kind"}
    typed.write_text(json.dumps({"kind": "NodePoolList", "items": [untyped]}))
    code, out, _ = run("-f", str(mixed), "-f", str(typed))
    assert code == 1
    assert "GK105" in out


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["-f", "gone.json"], "gone.json: no such file"),
        (["-f", "gone.json", "--only", "GK9"], "no check is called GK9"),
        (["-f", "gone.json", "--probe", "ml"], "use -f or --probe"),
        (["-f", "gone.json", "--skip", "GK"], "--only and --skip leave no check"),
    ],
)
def test_what_cannot_run_ends_with_2_and_one_line(run, arguments, error):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert error in err


@pytest.mark.parametrize("text", ["[1]", "{", '{"items": []}', '"a"'])
def test_a_file_that_is_no_dump_is_refused(run, tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    code, _, err = run("-f", str(tmp_path))
    assert code == 2
    assert err.startswith("gracekeeper: ")
    assert "a.json" in err


def test_config_prints_caps_that_the_chart_takes(run, dump):
    # given a pool of Karpenter whose pods keep their nodes from disruption, and spot nodes
    kept = trainer(
        "long", metadata={"annotations": {"karpenter.sh/do-not-disrupt": "true"}}, spec={"nodeSelector": LABEL}
    )
    spot = node("n2", **{"cloud.google.com/gke-spot": "true"})
    # when the caps are asked for
    out = run("-f", dump(pool("5m"), claim("5m"), node(**LABEL), kept, spot, without=("jobs",)), "-o", "config", *CAPS)[
        1
    ]
    # then they are values of the chart, and say what was not looked at
    caps = load_config(yaml.safe_load(out)["config"]).grace_caps
    assert caps == {
        "Karpenter NodePool h100": GraceCap(300, LABEL, bound=True),
        "spot notice of Google (cloud.google.com/gke-spot)": GraceCap(15, {"cloud.google.com/gke-spot": "true"}),
    }
    assert "# Not looked at, so perhaps not all: jobs.batch" in out


def test_with_these_caps_the_grace_is_bound_and_the_finding_is_gone(run, dump, tmp_path_factory):
    kept = trainer(
        "new",
        grace=30,
        on=None,
        metadata={"annotations": {"karpenter.sh/do-not-disrupt": "true", "gracekeeper.dev/checkpoint-size": "30GiB"}},
        spec={"nodeSelector": LABEL},
    )
    folder = dump(pool("5m"), node(**LABEL), kept)
    code, out, _ = run("-f", folder, "-o", "config")
    assert code == 1
    file = tmp_path_factory.mktemp("config") / "config.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(out)["config"]))
    assert run("-f", folder, "--config", str(file))[0] == 0


def test_a_cap_that_leaves_nodes_out_becomes_one_for_each_other_pool(run, dump):
    nodes = [node("n1", **LABEL), node("n2", **{"eks.amazonaws.com/nodegroup": "g"}), node("n3")]
    out = run("-f", dump(autoscaler(), *nodes), "-o", "config", *CAPS)[1]
    assert load_config(yaml.safe_load(out)["config"]).grace_caps == {
        "cluster-autoscaler, pool g": GraceCap(600, {"eks.amazonaws.com/nodegroup": "g"})
    }
    out = run("-f", dump(autoscaler(), nodes[1]), "-o", "config", *CAPS)[1]
    assert load_config(yaml.safe_load(out)["config"]).grace_caps == {"cluster-autoscaler": GraceCap(600)}


ODD: tuple[object, ...] = ("abc", "", 5, -1, True, None, [], {}, [5], [None], {"a": "b"}, [{}])


def places_in(value, path=()):
    """The path of every value inside."""
    yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield from places_in(inner, (*path, key))


def test_an_object_that_is_not_what_its_kind_says_ends_in_one_line_or_a_report(run, tmp_path):
    # given a dump in which one value of one object is something odd
    kinds = random.Random(16)  # the same every time
    objects = [*CUT, autoscaler(), configz(evictionSoft={"memory.available": "5%"}), job(), writer(), of_class()]
    ends: Counter[int] = Counter()
    for _ in range(300):
        changed = copy.deepcopy(objects)
        *above, last = kinds.choice([path for path in places_in(changed) if len(path) > 1])
        holder = changed
        for key in above:
            holder = holder[key]
        holder[last] = kinds.choice(ODD)
        (tmp_path / "dump.json").write_text(json.dumps({"kind": "List", "items": changed}))
        # when the doctor reads it
        code, out, err = run("-f", str(tmp_path))
        # then it says in one line what is wrong, or reports
        ends[code] += 1
        assert bool(out) != bool(err)
        assert err.count("\n") == (code == 2)
    assert ends[2] > 10 < ends[1]
