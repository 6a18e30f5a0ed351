"""`gracekeeper mutate` as an admin or a CI job runs it: files in; pods, patches, explanations and exit codes out."""

import io
import json
import subprocess
import sys

import pytest
import yaml

from tests import golden
from webhook import __version__
from webhook.cli import main

POD = """
apiVersion: v1
kind: Pod
metadata: {name: trainer, annotations: {gracekeeper.dev/checkpoint-size: 9.2GB}}
spec:
  volumes: [{name: ckpt, persistentVolumeClaim: {claimName: ckpt}}]
  containers: [{name: trainer, image: "pytorch/pytorch:2.12.0", command: [torchrun, train.py]}]
"""
OBJECTS = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: ckpt}
spec: {storageClassName: gp3}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: gp3}
provisioner: ebs.csi.aws.com
parameters: {throughput: "125"}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: ckpt, namespace: somewhere-else}
spec: {storageClassName: none}
---
apiVersion: v1
kind: Namespace
metadata: {name: default}
---
apiVersion: v1
kind: Node
metadata: {name: n}
"""


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Runs `gracekeeper mutate` over texts as files; the result is exit code, output, errors."""
    monkeypatch.chdir(tmp_path)

    def run(text, *arguments, **files):
        (tmp_path / "pod.yaml").write_text(text)
        for name, content in files.items():
            (tmp_path / f"{name}.yaml").write_text(content)
        code = main(["mutate", "-f", "pod.yaml", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_a_pod_is_printed_as_it_would_be_created(run):
    code, out, err = run(POD, "--objects", "objects.yaml", objects=OBJECTS)
    pod = yaml.safe_load(out)
    assert (code, err) == (0, "")
    assert pod["spec"]["terminationGracePeriodSeconds"] == 216
    assert pod["spec"]["containers"][0]["env"] == [{"name": "TORCH_ELASTIC_SHUTDOWN_TIMEOUT", "value": "211"}]
    assert json.loads(pod["metadata"]["annotations"]["gracekeeper.dev/decision"])["grace"] == 216


def test_the_patch_is_printed_as_json(run):
    code, out, _ = run(POD, "-o", "patch")
    assert code == 0
    assert json.loads(out)[0] == {"op": "add", "path": "/spec/terminationGracePeriodSeconds", "value": 251}


def test_the_pod_is_printed_as_json(run):
    _, out, _ = run(POD, "-o", "json")
    assert json.loads(out)["spec"]["terminationGracePeriodSeconds"] == 251


def test_the_explanation_names_every_term_and_its_source(run):
    code, out, _ = run(POD, "-o", "explain", "--objects", "objects.yaml", objects=OBJECTS)
    assert code == 0
    for words in (
        "9.2 GB",
        "pod annotation",
        "125 MiB/s",
        "StorageClass gp3",
        "70.19 s",
        "grace: 30 s -> 216 s",
        "sets TORCH_ELASTIC_SHUTDOWN_TIMEOUT=211 in container trainer",
    ):
        assert words in out


def test_an_explanation_tells_of_what_was_ignored_missing_and_worth_knowing(run):
    text = POD.replace("9.2GB", "911Gi, gracekeeper.dev/step-seconds: soon")
    config = "profiles: [{name: all, maximumGraceSeconds: 700}]"
    code, out, _ = run(text, "-o", "explain", "--objects", "none.yaml", "--config", "c.yaml", none="", c=config)
    assert code == 1
    assert "ignored: pod annotation step-seconds=soon: not a number, e.g. 12.5" in out
    assert "missing: PersistentVolumeClaim default/ckpt: not-found" in out
    assert "a save may be cut" in out
    assert "profile: all" in out


def test_what_is_converted_in_a_task_of_osmo_is_explained(run):
    task = golden.load("osmo-native").pod
    code, out, _ = run(yaml.safe_dump(task), "-o", "explain")
    assert code == 0
    assert "  osmo: native (default)" in out
    assert "  wraps container train and osmo-ctrl" in out
    assert "  adds gracekeeper-init, gracekeeper-gate" in out


def test_a_pod_that_is_left_alone_is_explained_too(run):
    code, out, _ = run("{kind: Pod, metadata: {name: web}, spec: {containers: [{name: web}]}}", "-o", "explain")
    assert code == 0
    assert "not-training" in out


def test_an_ignored_value_is_told_on_standard_error_and_by_the_exit_code(run):
    code, out, err = run(POD.replace("9.2GB", "10Gbps"))
    assert code == 1
    assert yaml.safe_load(out)["spec"]["terminationGracePeriodSeconds"] == 600
    assert "ignored checkpoint-size=10Gbps" in err


def test_a_patch_in_doubt_is_withheld_and_told(run):
    code, out, err = run(
        POD.replace(
            "name: trainer, image", f"lifecycle: {{preStop: {{sleep: {{seconds: {2**40}}}}}}}, name: trainer, image"
        )
    )
    assert code == 1
    assert "terminationGracePeriodSeconds" not in out
    assert f"no patch: a grace of {2**40} s is out of range" in err


def test_several_documents_and_lists_are_several_pods(run):
    _, out, _ = run(f"{POD}\n---\n---\nkind: List\nitems: [{{kind: Pod, spec: {{containers: [{{name: b}}]}}}}]")
    assert len(list(yaml.safe_load_all(out))) == 2


@pytest.mark.parametrize(
    ("manifest", "outcome"),
    [
        ("{apiVersion: batch/v1, kind: Job, spec: {template: TEMPLATE}}", "size-unknown"),
        ("{apiVersion: batch/v1, kind: CronJob, spec: {jobTemplate: {spec: {template: TEMPLATE}}}}", "size-unknown"),
        (
            (
                "{apiVersion: kubeflow.org/v1, kind: PyTorchJob,"
                " spec: {pytorchReplicaSpecs: {Master: {template: TEMPLATE}, Worker: {template: TEMPLATE}}}}"
            ),
            "size-unknown",
        ),
        (
            (
                "{apiVersion: jobset.x-k8s.io/v1alpha2, kind: JobSet, metadata: {name: js},"
                " spec: {replicatedJobs: [{template: {spec: {template: TEMPLATE}}}]}}"
            ),
            "size-unknown",
        ),
        (
            "{apiVersion: batch.volcano.sh/v1alpha1, kind: Job, spec: {tasks: [{template: TEMPLATE}]}}",
            "size-unknown",
        ),
        (
            (
                "{apiVersion: ray.io/v1, kind: RayJob, metadata: {name: r},"
                " spec: {rayClusterSpec: {headGroupSpec: {template: TEMPLATE}}}}"
            ),
            "size-unknown",
        ),
        (
            (
                "{apiVersion: ray.io/v1, kind: RayService, metadata: {name: r},"
                " spec: {rayClusterConfig: {headGroupSpec: {template: TEMPLATE}}}}"
            ),
            "not-training",
        ),
        ("{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, spec: {template: TEMPLATE}}", "not-training"),
    ],
)
def test_the_pod_template_inside_another_kind_is_decided_as_its_controller_would_create_it(run, manifest, outcome):
    template = "{spec: {containers: [{name: c, resources: {limits: {nvidia.com/gpu: 1}}}]}}"
    code, out, _ = run(manifest.replace("TEMPLATE", template), "-o", "explain")
    assert code == 0
    assert f"  {outcome}: " in out


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: [", "pod.yaml: line 2, column 1: not YAML: "),
        ("\x00", "pod.yaml: not YAML: "),
        *((text * 100_000, "pod.yaml: line 1, column ") for text in ("[", "{a: ", "- ", "? ")),
        ("[" * 101, "pod.yaml: line 1, column 101: nested more than 100 levels deep"),
        ("kind: List\nitems: &all [*all]", "pod.yaml: line 2, column 14: nested more than 100 levels deep"),
        ("- 1", "pod.yaml: a document is no Kubernetes object but a list"),
        ("hello", "pod.yaml: a document is no Kubernetes object but a text"),
        ("hello\n---\n5", "pod.yaml: a document is no Kubernetes object but a text"),
        ("{kind: Pod, metadata: 5, spec: {}}", "metadata is a number, not an object"),
        ("{kind: Pod, spec: []}", "spec is a list, not an object"),
        ("{kind: Pod, spec: {containers: []}}", "spec.containers is to be a list of containers"),
        ("{kind: Pod, spec: {containers: [5]}}", "spec.containers is to be a list of containers"),
        (POD.replace("9.2GB", "900"), "annotation gracekeeper.dev/checkpoint-size is a number, Kubernetes takes only"),
        (POD.replace("9.2GB", "true"), 'takes only strings: write "true"'),
        ("{kind: Pod, spec: {containers: [{name: a, env: [{name: X, value: 0}]}]}}", "environment variable X is a number"),
        ("{kind: Pod, spec: {containers: [{name: a, env: {X: 1}}]}}", "env of container a is to be a list"),
        (
            "{kind: Pod, spec: {containers: [{name: a}], terminationGracePeriodSeconds: 5m}}",
            "terminationGracePeriodSeconds is to be a whole number of seconds, not '5m'",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_printed_is_one_clear_line_and_exit_code_2(run, text, line):
    code, out, err = run(text)
    assert (code, out) == (2, "")
    assert line in err
    assert err.startswith("gracekeeper: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("text", ["", "{kind: ConfigMap}", "{kind: List, items: []}"])
def test_a_file_that_holds_no_pod_is_told_from_one_that_cannot_be_read(run, text):
    code, out, err = run(text)
    assert (code, out) == (3, "")
    assert err.startswith("gracekeeper: pod.yaml: no pod and no pod template in it")


@pytest.mark.parametrize(
    ("bad", "line"),
    [
        ("{kind: Job, spec: {template: {spec: {containers: [{args: [null]}]}}}}", "args[0] is null, not a text"),
        ("{kind: Job, spec: {template: {metadata: 5, spec: {containers: []}}}}", "metadata is a number, not an object"),
        ("{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: s}, spec: 5}", "StatefulSet s: an object is not"),
        ("hello", "pod.yaml: a document is no Kubernetes object but a text"),
        ("a: [\n", "pod.yaml: line "),
        ("metadata: {name: {{ .Release.Name }}}", "pod.yaml: "),
        ("[" * 200, "nested more than 100 levels deep"),
    ],
)
def test_one_bad_document_hides_no_other(run, bad, line):
    for text in (f"{bad}\n---\n{POD}", f"{POD}\n---\n{bad}\n", f"{POD}\n--- # the second\n{bad}\n---\n{POD}"):
        code, out, err = run(text, "-o", "patch")
        assert code == 1
        assert '"value": 251' in out
        assert line in err
        assert err.count("\n") == 1


def test_the_line_of_a_document_that_cannot_be_read_is_that_of_the_file(run):
    _, _, err = run(f"{POD}\n---\na: [\n")
    lines_before = len(POD.splitlines())
    assert f"pod.yaml: line {lines_before + 4}, column 1: not YAML" in err


def test_a_file_of_very_many_documents_is_read_whole_or_not(run):
    code, out, err = run("\n---\n".join([POD] * 101 + ["a: ["]), "-o", "patch")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1


UNEVEN = """
apiVersion: kubeflow.org/v1
kind: PyTorchJob
metadata: {name: gang}
spec:
  pytorchReplicaSpecs:
    Master:
      template:
        metadata: {annotations: {gracekeeper.dev/checkpoint-size: 9.2GB, gracekeeper.dev/decision: x}}
        spec: {containers: [{name: pytorch}]}
    Worker:
      template: {spec: {containers: [{name: pytorch, env: ENV}]}}
"""


def test_different_keys_in_the_templates_of_one_job_are_told(run):
    code, _, err = run(UNEVEN.replace("ENV", "[{name: A, value: b}]"))
    assert code == 0
    master, worker = (f"spec.pytorchReplicaSpecs.{role}.template has" for role in ("Master", "Worker"))
    line = f"templates carry different keys of gracekeeper: {master} checkpoint-size=9.2GB; {worker} none"
    assert f"pod.yaml: PyTorchJob gang: its {line}\n" in err
    _, _, err = run(UNEVEN.replace("ENV", "[{name: GRACEKEEPER_CHECKPOINT_SIZE, value: 9.2GB}]"))
    assert "different keys" not in err


@pytest.mark.parametrize("field", ["labels", "annotations"])
def test_given_a_key_on_the_job_itself_then_it_is_told_that_no_pod_gets_it(run, field):
    job = (
        f"{{apiVersion: batch/v1, kind: Job, metadata: {{name: j, {field}: {{gracekeeper.dev/checkpoint-size: 9Gi}}}}, "
    )
    code, _, err = run(job + "spec: {template: {spec: {containers: [{name: a}]}}}}")
    assert code == 1
    line = f"gracekeeper.dev/checkpoint-size in its own {field} reaches no pod: set it in the pod template"
    assert f"pod.yaml: Job j: {line}\n" in err


def test_given_a_key_on_a_pod_or_an_object_around_it_then_it_counts(run):
    claim = "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: c, annotations: {gracekeeper.dev/write-throughput: 1Gi/s}}}"
    namespace = "{apiVersion: v1, kind: Namespace, metadata: {name: a, labels: {gracekeeper.dev/enabled: 'true'}}}"
    pod = "{apiVersion: v1, kind: Pod, metadata: {name: p, annotations: {gracekeeper.dev/checkpoint-size: 9Gi}}, "
    code, out, err = run(f"{claim}\n---\n{namespace}\n---\n{pod}spec: {{containers: [{{name: a}}]}}}}")
    assert code == 0
    assert "reaches no pod" not in err
    assert "9 GiB" in out


def test_the_steps_of_a_workflow_may_carry_different_keys(run):
    gpu = "resources: {limits: {nvidia.com/gpu: 1}}"
    keys = "metadata: {annotations: {gracekeeper.dev/checkpoint-size: 1Gi}}"
    steps = f"[{{name: a, {keys}, container: {{{gpu}}}}}, {{name: b, container: {{{gpu}}}}}]"
    _, _, err = run(f"{{apiVersion: argoproj.io/v1alpha1, kind: Workflow, spec: {{templates: {steps}}}}}")
    assert "different keys" not in err


@pytest.mark.parametrize(
    ("config", "line"),
    [
        ("defaults: {safty: 3}", "c.yaml: defaults.safty: no such field"),
        ("defaults: {safety: 0}", "c.yaml: defaults.safety: Input should be greater than or equal to 1"),
        ("defaults: {writeThroughput: 10Gbps}", "defaults.writeThroughput: a lower-case b means bits"),
        ("defaults: {writeThroughput: 100}", "a rate is a text such as 100MiB/s"),
        ("mode: warn", "c.yaml: mode: Input should be 'enforce' or 'audit'"),
        ("unknownSize: guess", "unknownSize: Input should be"),
        ("profiles: [{match: {}}]", "c.yaml: profiles.0.name: is required"),
        (
            "profiles: [{name: a, values: {checkpoint-size: 10Gb}}]",
            "profiles.0.values.checkpoint-size: a lower-case b means bits",
        ),
        ("profiles: [{name: a, values: {maximum-grace-seconds: 5}}]", "no key that a profile can set"),
        ("profiles: [{name: a, values: {forward-sigterm: 5}}]", "neither true, false nor auto"),
        ("{}\n---\n{}", "c.yaml: a configuration is one document, this file has 2"),
    ],
)
def test_a_wrong_configuration_is_one_clear_line(run, config, line):
    code, out, err = run(POD, "--config", "c.yaml", c=config)
    assert (code, out) == (2, "")
    assert line in err
    assert err.count("\n") == 1


def test_a_profile_s_numbers_and_switches_need_no_quotes(run):
    config = "profiles: [{name: a, values: {checkpoint-writers: 8, forward-sigterm: true, step-seconds: 12.5}}]"
    code, _, _ = run(POD, "--config", "c.yaml", c=config)
    assert code == 0


def test_a_missing_file_a_folder_and_a_binary_file_are_each_one_clear_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe")
    for name, line in (("no.yaml", "no such file"), (".", "is a directory"), ("binary.yaml", "not UTF-8 text")):
        assert main(["mutate", "-f", name]) == 2
        assert line in capsys.readouterr().err


def test_standard_input_is_read(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO(POD))
    assert main(["mutate", "-f", "-", "-o", "patch"]) == 0
    assert "251" in capsys.readouterr().out


def test_python_m_webhook_is_the_command():
    result = subprocess.run([sys.executable, "-m", "webhook", "version"], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == __version__


def test_a_reader_that_goes_away_is_no_traceback(tmp_path):
    (tmp_path / "pods.yaml").write_text("\n---\n".join([POD] * 200))
    command = f"{sys.executable} -m webhook mutate -f {tmp_path}/pods.yaml | head -1"
    result = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert result.stdout == "apiVersion: v1\n"
    assert result.stderr == ""


def test_the_match_condition_is_printed(capsys):
    assert main(["match-condition"]) == 0
    assert "object.metadata.labels" in capsys.readouterr().out
