"""Manifests whose fields are not what Kubernetes has there: one line each, whatever stands where, and never a traceback."""

import copy
import random
from pathlib import Path

import pytest
import yaml

from tests import golden
from webhook.cli import main

ROUNDS = 500
SEED = 20
ODD: tuple[object, ...] = (
    "abc",
    "",
    5,
    -1,
    2.5,
    True,
    None,
    [],
    {},
    [5],
    [None],
    [[]],
    [{}],
    {"a": "b"},
    float("nan"),
    2**70,
)
EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"
JOB = "{apiVersion: batch/v1, kind: Job, spec: {completionMode: Indexed, completions: 8, template: TEMPLATE}}"
JOB_SET = (
    "{apiVersion: jobset.x-k8s.io/v1alpha2, kind: JobSet,"
    " spec: {replicatedJobs: [{template: {spec: {template: TEMPLATE}}}]}}"
)
SPEC = "spec: {containers: [{name: a}]}"


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Runs `gracekeeper mutate` over texts as files; the result is exit code, output, errors."""
    monkeypatch.chdir(tmp_path)

    def run(text, *arguments, objects=None):
        (tmp_path / "pod.yaml").write_text(text)
        if objects is not None:
            (tmp_path / "o.yaml").write_text(objects)
            arguments = (*arguments, "--objects", "o.yaml")
        code = main(["mutate", "-f", "pod.yaml", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            JOB.replace("TEMPLATE", f"{{metadata: {{annotations: [a]}}, {SPEC}}}"),
            "Job spec.template: metadata.annotations is a list, not an object",
        ),
        (JOB.replace("TEMPLATE", f"{{metadata: abc, {SPEC}}}"), "Job spec.template: metadata is a text, not an object"),
        (
            JOB.replace("completions: 8", "completions: many").replace("TEMPLATE", f"{{{SPEC}}}"),
            "Job spec.template: spec.completions is a text, not a number",
        ),
        (
            JOB_SET.replace("TEMPLATE", f"{{metadata: {{labels: 5}}, {SPEC}}}"),
            "JobSet spec.replicatedJobs.0.template.spec.template: metadata.labels is a number, not an object",
        ),
        (
            f"{{kind: Pod, metadata: {{ownerReferences: [5]}}, {SPEC}}}",
            "Pod: metadata.ownerReferences[0] is a number, not an object",
        ),
        (
            f"{{kind: Pod, metadata: {{ownerReferences: [{{apiVersion: v1}}]}}, {SPEC}}}",
            "Pod: metadata.ownerReferences[0].kind is missing",
        ),
        (
            "{kind: Pod, spec: {volumes: [5], containers: [{name: a}]}}",
            "Pod: spec.volumes[0] is a number, not an object",
        ),
        (
            "{kind: Pod, spec: {volumes: [null], containers: [{name: a}]}}",
            "Pod: spec.volumes[0] is null, not an object",
        ),
        (
            "{kind: Pod, spec: {nodeSelector: {a: null}, containers: [{name: a}]}}",
            "Pod: spec.nodeSelector.a is null, not a text",
        ),
        (
            "{kind: Pod, spec: {containers: [{name: a, command: run}]}}",
            "Pod: spec.containers[0].command is a text, not a list",
        ),
        (
            "{kind: Pod, spec: {initContainers: [5], containers: [{name: a}]}}",
            "Pod: spec.initContainers[0] is a number, not an object",
        ),
        (
            "{kind: Pod, metadata: {labels: {a: null}}, spec: {containers: [{name: a}]}}",
            'Pod: label a is null, Kubernetes takes only strings: write ""',
        ),
        (
            "{apiVersion: apps/v1, kind: StatefulSet, spec: {volumeClaimTemplates: [5], template: {spec: {containers: []}}}}",
            "an object is not shaped as its kind is",
        ),
        ("{apiVersion: argoproj.io/v1alpha1, kind: Workflow, spec: 5}", "an object is not shaped as its kind is"),
    ],
)
def test_a_field_that_is_something_else_is_named_in_one_line(run, text, line):
    assert run(text) == (2, "", f"gracekeeper: pod.yaml: {line}\n")


@pytest.mark.parametrize(
    ("objects", "line"),
    [
        ("{kind: Node, metadata: {name: n, labels: 5}}", "Node n: metadata.labels is a number, not an object"),
        ("{kind: LimitRange, spec: {limits: {}}}", "LimitRange: spec.limits is an object, not a list"),
        (
            "{kind: PersistentVolumeClaim, metadata: {name: [a]}}",
            "PersistentVolumeClaim ['a']: metadata.name is a list, not a text",
        ),
        ("{kind: [a]}", "['a']: kind is a list, not a text"),
    ],
)
def test_so_is_one_of_the_objects_around_a_pod(run, objects, line):
    assert run(f"{{kind: Pod, {SPEC}}}", objects=objects) == (2, "", f"gracekeeper: o.yaml: {line}\n")


def test_whatever_stands_anywhere_in_a_file_no_traceback_comes_of_it(run):
    chosen = random.Random(SEED)
    sources = _sources()
    codes = set()
    for _ in range(ROUNDS):
        documents, objects = copy.deepcopy(chosen.choice(sources))
        _make_odd(chosen, documents if not objects or chosen.random() < 0.6 else objects)
        texts = text_of(documents), text_of(objects) if objects else None
        output = chosen.choice(["yaml", "json", "patch", "explain"])
        code, _, err = run(texts[0], "-o", output, objects=texts[1])
        codes.add(code)
        assert code < 2 or err.count("\n") == 1
    assert codes == {0, 1, 2, 3}


def text_of(documents):
    return yaml.dump_all(documents, Dumper=yaml.CSafeDumper)


def _sources():
    """Documents of a file, and the objects around them: the golden cases and the documents' examples."""
    texts = map(golden.document, golden.names())
    cases = [(text.get("manifest") or [{"kind": "Pod", **text["pod"]}], text.get("objects")) for text in texts]
    examples = [
        (list(filter(None, yaml.load_all(file.read_text(), yaml.CSafeLoader))), None)
        for file in sorted(EXAMPLES.glob("*.yaml"))
    ]
    return [*cases, *examples]


def _make_odd(chosen, value):
    """Put something odd into a node of it, or take the node away."""
    holder, key = chosen.choice(list(_places(value)))
    if isinstance(holder, dict) and chosen.random() < 0.2:
        del holder[key]
    else:
        holder[key] = copy.deepcopy(chosen.choice(ODD))


def _places(value):
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])
