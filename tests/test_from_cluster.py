"""`gracekeeper mutate --from-cluster` against an API server in memory: workloads, numbers, and what cannot be read."""

import json
import re
import shlex
from pathlib import Path

import pytest

from tests import fake_api
from webhook.cli import main

NAMESPACES = "/api/v1/namespaces"
PODS = f"{NAMESPACES}/team-a/pods"
CLAIMS = f"{NAMESPACES}/team-a/persistentvolumeclaims"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
APPS = "/apis/apps/v1/namespaces/team-a"
BATCH = "/apis/batch/v1/namespaces/team-a"
SIZE = {"gracekeeper.dev/checkpoint-size": "10GiB"}
"""(30 + 102.4) x 2 + 15 = 280 s at the default of 100 MiB/s."""


@pytest.fixture
def server(monkeypatch, tmp_path):
    with fake_api.running() as server:
        for collection in (
            NAMESPACES,
            CLASSES,
            "/apis/storage.k8s.io/v1/volumeattributesclasses",
            PODS,
            "/api/v1/pods",
            CLAIMS,
        ):
            server.serve_collection(collection)
        server.put(f"{NAMESPACES}/team-a", kind="Namespace")
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
        write_kubeconfig(tmp_path / "kubeconfig", server.address)
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        yield server


def write_kubeconfig(path, address):
    contexts = [
        {"name": "here", "context": {"cluster": "c", "user": "u"}},
        {"name": "gone", "context": {"cluster": "gone", "user": "u"}},
    ]
    clusters = [
        {"name": "c", "cluster": {"server": address}},
        {"name": "gone", "cluster": {"server": "http://127.0.0.1:1"}},
    ]
    config = {"apiVersion": "v1", "kind": "Config", "users": [{"name": "u", "user": {}}]}
    path.write_text(json.dumps({**config, "clusters": clusters, "contexts": contexts, "current-context": "here"}))


@pytest.fixture
def run(server, capsys):
    """Runs the command; the result is exit code, output, errors. Nothing may be written, whatever it is asked."""

    def run(*arguments):
        code = main(["mutate", "--from-cluster", "-n", "team-a", *arguments])
        captured = capsys.readouterr()
        assert {call.split()[0] for call in server.calls} <= {"GET", "WATCH"}
        return code, captured.out, captured.err

    return run


def owner(kind, name, version):
    return {"ownerReferences": [{"apiVersion": version, "kind": kind, "name": name, "controller": True}]}


def put_pod(server, name, grace=30, annotations=None, phase="Running", **more):
    metadata = {"namespace": "team-a", "annotations": annotations or {}, **more.pop("metadata", {})}
    spec = {"containers": [{"name": "trainer"}], "terminationGracePeriodSeconds": grace, **more}
    server.put(f"{PODS}/{name}", kind="Pod", metadata=metadata, spec=spec, status={"phase": phase})


def put_owner(server, path, above=None, **template):
    metadata = {} if above is None else owner(*above)
    server.put(path, metadata=metadata, spec={"template": {"spec": template}})


def workloads_in(out):
    return {
        f"{each['kind']} {each['name']}": (each["todaySeconds"], each["tomorrowSeconds"], len(each["pods"]))
        for each in json.loads(out)
    }


def test_grace_today_and_tomorrow_by_the_outermost_workload(server, run):
    put_owner(server, f"{APPS}/replicasets/online-5d", ("Deployment", "online", "apps/v1"))
    put_owner(server, f"{BATCH}/jobs/nightly-1", ("CronJob", "nightly", "batch/v1"))
    put_owner(server, f"{BATCH}/jobs/once")
    for index in range(2):
        put_pod(server, f"online-5d-{index}", annotations=SIZE, metadata=owner("ReplicaSet", "online-5d", "apps/v1"))
    put_pod(server, "nightly-1-a", annotations=SIZE, metadata=owner("Job", "nightly-1", "batch/v1"))
    put_pod(server, "once-a", annotations=SIZE, metadata=owner("Job", "once", "batch/v1"))
    put_pod(server, "ray-head", annotations=SIZE, metadata=owner("RayService", "chat", "ray.io/v1"))
    put_pod(server, "alone", annotations=SIZE)
    put_pod(server, "web")
    code, out, err = run("-o", "json")
    assert (code, err) == (0, "")
    assert workloads_in(out) == {
        "CronJob nightly": (30, 280, 1),
        "Deployment online": (30, 280, 2),
        "Job once": (30, 280, 1),
        "Pod alone": (30, 280, 1),
        "Pod web": (30, 30, 1),
        "RayService chat": (30, 280, 1),
    }
    assert server.count(f"GET {APPS}/replicasets/online-5d") == 1


def test_the_table_shows_what_trains_and_counts_the_rest(server, run):
    put_pod(server, "alone", annotations=SIZE)
    put_pod(server, "web")
    code, out, _ = run()
    assert code == 0
    header, line, rest = out.splitlines()
    columns = ["namespace", "workload", "pods", "today", "tomorrow", "outcome", "from", "since", "0.1.0"]
    assert header.split() == columns
    cells = ["team-a", "Pod", "alone", "1", "30", "s", "280", "s", "patched", "pod", "annotation", "changed:", "labels"]
    assert line.split() == cells
    assert rest == "workloads that train: 1, left alone: 1"


TRAINS_BY_ITSELF = {
    "containers": [
        {
            "name": "pytorch-trainer",
            "resources": {"limits": {"nvidia.com/gpu": "4"}},
            "volumeMounts": [{"name": "storage", "mountPath": "/checkpoints"}],
        }
    ],
    "volumes": [{"name": "storage", "persistentVolumeClaim": {"claimName": "data"}}],
}
"""A pod that 0.1.0 did not recognise."""
SERVES = {
    "containers": [{"name": "vllm", "command": ["vllm", "serve", "m"], "env": [{"name": "OUTPUT_DIR", "value": "/o"}]}]
}
"""A server in a JobSet, which 0.1.0 took for training."""
OF_A_JOB_SET = {"labels": {"jobset.sigs.k8s.io/jobset-name": "serves"}}


def lines_by_pod(out):
    """The last column of the table, by the pod that is its own workload."""
    rows = [line for line in out.splitlines() if line.startswith("  team-a")]
    return {line.split()[2]: line.rstrip().rsplit("  ", 1)[1].strip() for line in rows}


def test_what_this_version_changes_against_0_1_0_is_told_by_workload(server, run, tmp_path):
    put_pod(server, "same", annotations=SIZE)
    put_pod(server, "new", **TRAINS_BY_ITSELF)
    put_pod(server, "serves", metadata=OF_A_JOB_SET, **SERVES)
    put_pod(server, "web")
    config = tmp_path / "config.yaml"
    config.write_text("observer: {enabled: false}")
    out = run("--config", str(config))[1]
    assert out.splitlines()[-1] == "workloads that train: 2, left alone: 2"
    assert lines_by_pod(out) == {
        "same": "same",
        "new": "changed: grace 30 s -> 600 s",
        "serves": "changed: grace 600 s -> 30 s",
    }
    told = {each["name"]: each["since"] for each in json.loads(run("-o", "json", "--config", str(config))[1])}
    assert told == {
        "same": {"version": "0.1.0", "changes": [], "seconds": 280},
        "new": {"version": "0.1.0", "changes": ["grace"], "seconds": 30},
        "serves": {"version": "0.1.0", "changes": ["grace"], "seconds": 600},
        "web": {"version": "0.1.0", "changes": [], "seconds": 30},
    }


def test_labels_for_learning_are_a_change_and_one_value_of_the_configuration_keeps_0_1_0_s_behaviour(
    server, run, tmp_path
):
    put_pod(server, "same", annotations=SIZE)
    put_pod(server, "new", **TRAINS_BY_ITSELF)
    config = tmp_path / "config.yaml"
    config.write_text("{}")
    assert lines_by_pod(run("--config", str(config))[1]) == {
        "same": "changed: labels",
        "new": "changed: grace 30 s -> 600 s, labels",
    }
    config.write_text("compatibility: 0.1.0")
    assert lines_by_pod(run("--config", str(config))[1]) == {"same": "same"}


def test_an_empty_namespace_is_said_in_one_line(run):
    assert run() == (0, "workloads that train: 0, left alone: 0\n", "")


def test_pods_that_have_ended_are_passed_over(server, run):
    put_pod(server, "done", phase="Succeeded")
    put_pod(server, "failed", phase="Failed")
    assert workloads_in(run("-o", "json")[1]) == {}


def test_all_namespaces_in_pages(server, run):
    for number in range(600):
        server.put(
            f"/api/v1/pods/p{number}",
            metadata={"namespace": "team-a"},
            spec={"containers": [{"name": "a"}]},
            status={"phase": "Running"},
        )
    assert len(workloads_in(run("-A", "-o", "json")[1])) == 600
    assert server.count("GET /api/v1/pods") == 2


def test_a_new_configuration_shows_what_it_lowers_and_what_it_raises(server, run, tmp_path):
    decision = {"grace": 600, "mode": "enforce", "terms": {"need": "600 s"}}
    patched = {**SIZE, "gracekeeper.dev/decision": json.dumps(decision)}
    put_pod(server, "patched", 600, annotations=patched)
    annotations = {**SIZE, "gracekeeper.dev/decision": json.dumps({**decision, "terms": {"kept": "600 s"}})}
    put_pod(server, "kept", 600, annotations=annotations)
    put_pod(server, "own", 600, annotations=SIZE)
    put_pod(server, "odd", 600, annotations={**SIZE, "gracekeeper.dev/decision": "{"})
    put_owner(server, f"{BATCH}/jobs/template", terminationGracePeriodSeconds=90)
    put_pod(server, "template-a", 600, annotations=patched, metadata=owner("Job", "template", "batch/v1"))
    (tmp_path / "c.yaml").write_text("profiles: [{name: short, maximumGraceSeconds: 60}]")
    code, out, _ = run("-o", "json", "--config", str(tmp_path / "c.yaml"))
    assert code == 0
    assert workloads_in(out) == {
        "Job template": (600, 90, 1),
        "Pod kept": (600, 600, 1),
        "Pod odd": (600, 600, 1),
        "Pod own": (600, 600, 1),
        "Pod patched": (600, 60, 1),
    }
    assert json.loads(out)[0]["pods"][0]["profile"] == "short"
    assert "short" in run("--config", str(tmp_path / "c.yaml"))[1]


def test_the_facts_of_the_cluster_count(server, run):
    server.put(f"{CLASSES}/fast", metadata={"annotations": {"gracekeeper.dev/write-throughput": "200MiB/s"}})
    server.put(f"{CLAIMS}/ckpt", kind="PersistentVolumeClaim", spec={"storageClassName": "fast"})
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "ckpt"}}]
    put_pod(server, "alone", annotations=SIZE, volumes=volumes)
    assert workloads_in(run("-o", "json")[1]) == {"Pod alone": (30, 178, 1)}  # (30 + 51.2) x 2 + 15


def test_an_indexed_job_s_number_of_pods_counts(server, run):
    numbers = {"completionMode": "Indexed", "completions": 4, "parallelism": 4}
    server.put(f"{BATCH}/jobs/train", kind="Job", spec={**numbers, "template": {"spec": {}}})
    index = {"batch.kubernetes.io/job-completion-index": "0", "gracekeeper.dev/checkpoint-writers": "all"}
    put_pod(server, "train-0", annotations={**SIZE, **index}, metadata=owner("Job", "train", "batch/v1"))
    assert workloads_in(run("-o", "json")[1]) == {"Job train": (30, 127, 1)}  # (30 + 25.6) x 2 + 15 = 126.2


def test_pods_of_one_workload_that_differ_are_a_range(server, run):
    for name, annotations in (("a", SIZE), ("b", {})):
        put_pod(
            server,
            name,
            annotations={"gracekeeper.dev/enabled": "true", **annotations},
            metadata=owner("PyTorchJob", "llm", "kubeflow.org/v1"),
        )
    assert "280 to 600 s" in run()[1]


def test_an_owner_that_may_not_be_read_is_the_workload(server, run):
    server.refusals[f"{BATCH}/jobs"] = 403
    put_pod(server, "a", annotations=SIZE, metadata=owner("Job", "nightly-1", "batch/v1"))
    put_pod(server, "b", annotations=SIZE, metadata=owner("ReplicaSet", "gone", "apps/v1"))
    code, out, _ = run("-o", "json")
    assert (code, set(workloads_in(out))) == (0, {"Job nightly-1", "ReplicaSet gone"})


def test_what_was_ignored_and_what_may_not_be_read_is_told_and_the_exit_code_is_1(server, run):
    server.refusals[CLAIMS] = 403
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "ckpt"}}]
    put_pod(server, "a", annotations={**SIZE, "gracekeeper.dev/step-seconds": "soon"}, volumes=volumes)
    code, out, _ = run()
    assert code == 1
    assert "team-a Pod a: ignored pod annotation step-seconds=soon: not a number, e.g. 12.5" in out
    assert "team-a Pod a: without PersistentVolumeClaim team-a/ckpt: forbidden" in out


@pytest.mark.parametrize(
    ("refused", "line"),
    [
        (403, "gracekeeper: the API server refuses: /api/v1/namespaces/team-a/pods is refused\n"),
        (500, "gracekeeper: the API server refuses: /api/v1/namespaces/team-a/pods is refused\n"),
    ],
)
def test_pods_that_may_not_be_listed_are_one_clear_line(server, run, refused, line):
    server.refusals[PODS] = refused
    assert run() == (2, "", line)


def test_an_owner_that_cannot_be_read_for_another_reason_is_one_clear_line(server, run):
    server.refusals[f"{BATCH}/jobs"] = 500
    put_pod(server, "a", metadata=owner("Job", "j", "batch/v1"))
    code, _, err = run()
    assert (code, err.count("\n")) == (2, 1)


def test_a_context_is_chosen_by_name_and_an_unreachable_server_is_one_clear_line(run):
    assert run("--context", "here")[0] == 0
    code, out, err = run("--context", "gone")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("gracekeeper: the API server cannot be reached: ")


@pytest.mark.parametrize(("kubeconfig", "context"), [("/nowhere", None), (None, "none")])
def test_without_a_kubeconfig_or_its_context_it_is_one_clear_line(run, monkeypatch, kubeconfig, context):
    if kubeconfig:
        monkeypatch.setenv("KUBECONFIG", kubeconfig)
    code, out, err = run(*(["--context", context] if context else []))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("gracekeeper: no cluster: ")


def test_the_page_shows_what_is_printed(server, run, monkeypatch):
    """64 writers of 70e9 x 14 bytes at 10 GiB/s take 1.43 s; (30 + 1.43) x 2 + 15 = 78 s."""
    root = Path(__file__).parents[1]
    monkeypatch.chdir(root)
    (block,) = re.findall(
        r"```console\n\$ gracekeeper mutate --from-cluster (.*?)\n(.*?)```",
        (root / "docs/configuration.md").read_text(),
        re.DOTALL,
    )
    for collection in ("pods", "persistentvolumeclaims"):
        server.serve_collection(f"{NAMESPACES}/research/{collection}")
    for index in range(64):
        reference = owner("PyTorchJob", "llama", "kubeflow.org/v1")
        metadata = {"namespace": "research", "labels": {"team": "llm"}, **reference}
        server.put(
            f"{NAMESPACES}/research/pods/llama-{index}", metadata=metadata, spec={"containers": [{"name": "pytorch"}]}
        )
    server.put(
        f"{NAMESPACES}/research/pods/web", metadata={"namespace": "research"}, spec={"containers": [{"name": "web"}]}
    )
    code, out, err = run(*shlex.split(block[0]))
    assert (code, err) == (0, "")
    assert [line.rstrip() for line in out.splitlines()] == block[1].splitlines()


@pytest.mark.parametrize("text", ["a: [", "- 1", "hello", "", "clusters: 5"])
def test_a_kubeconfig_that_is_none_is_one_clear_line(run, monkeypatch, tmp_path, text):
    (tmp_path / "odd").write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "odd"))
    code, out, err = run()
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("gracekeeper: no cluster: ")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--from-cluster", "-o", "yaml"], "-o yaml is not for --from-cluster: use table or json"),
        (["-f", "x", "-o", "table"], "-o table is not for a file: use yaml or json or patch or explain"),
        (["--from-cluster", "--objects", "x"], "--objects is for files: --from-cluster asks the cluster"),
        (["-f", "x", "-A"], "--all-namespaces and --context need --from-cluster"),
        (["-f", "x", "--context", "c"], "--all-namespaces and --context need --from-cluster"),
    ],
)
def test_what_does_not_belong_together_is_one_clear_line(capsys, arguments, line):
    assert main(["mutate", *arguments]) == 2
    assert capsys.readouterr().err == f"gracekeeper: {line}\n"
