"""`gracekeeper doctor` against an API server in memory: rights, kinds that are not there, timeouts, pages, configuration."""

import copy
import io
import json
import shlex

import pytest
import yaml

from tests import chart, fake_api
from tests.doctor.objects import Json, node, trainer
from tests.doctor.test_karpenter_termination import LABEL, claim, pool
from tests.test_from_cluster import write_kubeconfig
from webhook import __version__
from webhook.api import Api
from webhook.cli import main
from webhook.cli.doctor_progress import ProgressLine
from webhook.doctor.gatherer import Reader, gathered
from webhook.doctor.kinds import FOR_TRAINERS, KINDS

CONFIG_MAPS = "/api/v1/namespaces/gracekeeper/configmaps"
NODE_POOLS = "/apis/karpenter.sh/v1/nodepools"


@pytest.fixture
def server(monkeypatch, tmp_path):
    with fake_api.running() as server:
        for kind in KINDS.values():
            if not kind.names:
                server.serve_collection(kind.paths()[0])
        server.put("/version", gitVersion="v1.37.2")
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
        write_kubeconfig(tmp_path / "kubeconfig", server.address)
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        yield server


@pytest.fixture
def run(server, capsys):
    """Runs the command; the result is exit code, output, errors. It reads only, and no kind twice."""

    def run(*arguments):
        del server.calls[:]
        code = main(["doctor", *arguments])
        captured = capsys.readouterr()
        assert {call.split()[0] for call in server.calls} <= {"GET"}
        return code, captured.out, captured.err

    return run


def put(server, *objects: Json) -> None:
    for each in objects:
        kind, metadata = KINDS[each["kind"]], each["metadata"]
        content = {key: value for key, value in each.items() if key != "kind"}  # as lists of the API have it
        server.put(f"{kind.paths()[0]}/{metadata['name']}", **content)


def install(server, config="", version=__version__) -> None:
    """Put what the chart renders, with another version and configuration."""
    for each in copy.deepcopy(chart.objects("helm4", release="gracekeeper", namespace="gracekeeper")):
        if each["kind"] == "Deployment":
            each["metadata"]["labels"]["app.kubernetes.io/version"] = version
            put(server, each)
    server.put(f"{CONFIG_MAPS}/gracekeeper", data={"config.yaml": config})


def unseen_in(out):
    return {(each["id"], each["what"]): each["reason"] for each in json.loads(out)["unseen"]}


def test_a_cluster_gives_the_answer_of_its_dump(server, run):
    put(server, pool("5m"), claim("5m"), node(**LABEL), trainer("long"))
    install(server)
    code, out, err = run()
    assert (code, err) == (1, "")
    assert "ml/long loses 482 s of 782 s" in out
    assert "note    The numbers are those of the configuration that runs (ConfigMap gracekeeper/gracekeeper)." in out
    assert run("--fail-on", "never")[0] == 0


def test_each_kind_is_read_once_and_in_pages(server, run):
    for number in range(1100):
        put(server, trainer(f"p{number}", on=None))
    code, out, _ = run("-o", "json", "--only", "GK117")
    assert code == 0
    assert json.loads(out)["cluster"]["trainingPods"] == 1100
    assert server.count("GET /api/v1/pods") == 3
    assert [call for call in server.calls if "karpenter" in call] == []
    assert server.count("GET /api/v1/nodes") == 1


def test_only_the_namespaces_that_are_named_are_read(server, run):
    for namespace in ("ml", "other"):
        for kind in ("pods", "persistentvolumeclaims"):
            server.serve_collection(f"/api/v1/namespaces/{namespace}/{kind}")
        server.serve_collection(f"/apis/batch/v1/namespaces/{namespace}/jobs")
        server.put(f"/api/v1/namespaces/{namespace}/pods/a", **trainer("a", metadata={"namespace": namespace}))
    code, out, _ = run("-n", "ml", "-n", "other", "-o", "json", "--only", "GK117")
    assert (code, json.loads(out)["cluster"]["trainingPods"]) == (0, 2)
    assert server.count("GET /api/v1/pods") == 0
    assert server.count("GET /apis/apps/v1/deployments") == 1


def test_forbidden_not_served_and_too_slow_are_three_results(server, run):
    # given a user who may not list nodes, a cluster without Karpenter, and a server that is slow with claims
    put(server, trainer("a"))
    server.refusals["/api/v1/nodes"] = 403
    server.served.discard(NODE_POOLS)
    code, out, _ = run("-o", "json")
    # then nothing of it is fine, and none looks like the other
    reasons = unseen_in(out)
    assert code == 0
    assert reasons["GK105", "nodes"] == "forbidden"
    assert reasons["GK105", "nodepools.karpenter.sh"] == "not-served"
    assert run("--fail-on", "unseen")[0] == 1
    table = run()[1]
    assert "GK105  nodepools.karpenter.sh: this API server does not serve them: Karpenter is not installed" in table
    assert "nodes: you may not list them (/api/v1/nodes is refused). Run: gracekeeper doctor --rbac" in table


def test_a_slow_answer_is_a_timeout(server):
    server.delays["/api/v1/persistentvolumes"] = 1.0
    everything = gathered(Reader(Api.from_address(server.address), call_seconds=0.2), FOR_TRAINERS)
    assert {kind: unseen.reason for kind, unseen in everything.unseen.items()} == {"PersistentVolume": "timeout"}
    assert "Pod" in everything.objects


def test_an_older_version_of_a_kind_is_read_where_the_newest_is_not_served(server):
    newest, older = KINDS["VolumeAttributesClass"].paths()
    server.served.discard(newest)
    server.put(f"{older}/fast", parameters={})
    everything = gathered(Reader(Api.from_address(server.address)), ("VolumeAttributesClass",))
    [found] = everything.objects["VolumeAttributesClass"]
    assert (found["kind"], found["metadata"]["name"]) == ("VolumeAttributesClass", "fast")


def test_a_list_that_expired_between_two_pages_is_read_again(server):
    for number in range(600):
        put(server, trainer(f"p{number}"))
    expired = iter([True])

    def progress(_kind, count):
        if count == 500 and next(expired, False):
            server.forget_history()

    everything = gathered(Reader(Api.from_address(server.address), progress=progress), ("Pod",))
    assert len(everything.objects["Pod"]) == 600


def test_configmaps_are_read_by_known_names_and_never_listed(server):
    server.put("/api/v1/namespaces/kube-system/configmaps/kubelet-config", data={"kubelet": "a"})
    everything = gathered(Reader(Api.from_address(server.address)), ("ConfigMap",))
    assert [each["metadata"]["name"] for each in everything.objects["ConfigMap"]] == ["kubelet-config"]
    assert server.count("GET /api/v1/configmaps") == 0


def test_a_server_that_cannot_be_reached_ends_with_2(run):
    code, out, err = run("--context", "gone")
    assert (code, out) == (2, "")
    assert err.startswith("gracekeeper: the API server cannot be reached: ")


def test_the_configuration_that_runs_decides(server, run):
    # given a pod of a size, and an installation that raises the safety factor
    put(server, trainer("a", grace=30, metadata={"annotations": {"gracekeeper.dev/checkpoint-size": "10GiB"}}))
    put(server, pool("5m"), node(**LABEL))
    install(server, "defaults: {safety: 4}")
    # then 544 s are asked for, where the built-in configuration asks for 280 s
    out = run()[1]
    assert "ml/a loses 244 s of 544 s" not in run("--config", "/dev/null")[1]
    assert "ml/a loses 245 s of 545 s" in out


@pytest.mark.parametrize(
    ("config", "version", "note"),
    [
        ("", "0.0.9", f"gracekeeper/gracekeeper runs version 0.0.9, this command is {__version__}"),
        ("typo: 1", __version__, "ConfigMap gracekeeper/gracekeeper cannot be used by this version: typo"),
    ],
)
def test_an_installation_that_decides_otherwise_is_told(server, run, config, version, note):
    install(server, config, version)
    assert note in run()[1]


@pytest.mark.parametrize(
    ("config", "note"),
    [("", "which differs from the one that runs"), ("defaults: {safety: 3}", "which is the one that runs")],
)
def test_a_file_is_compared_with_what_runs(server, run, tmp_path, config, note):
    install(server, config)
    file = tmp_path / "config.yaml"
    file.write_text("defaults: {safety: 3}")
    assert f"note    The numbers are those of {file}, {note}" in run("--config", str(file))[1]


def test_a_cluster_without_gracekeeper_is_told(run):
    assert "note    gracekeeper does not run here. The numbers are those of the built-in configuration." in run()[1]


@pytest.mark.parametrize("refused", ["/apis/apps/v1/deployments", CONFIG_MAPS])
def test_a_configuration_that_cannot_be_read_is_told(server, run, refused):
    install(server)
    server.refusals[refused] = 403
    assert "The numbers are those of the built-in configuration" in run()[1]


def test_commands_name_the_context_they_were_made_in(server, run):
    put(server, pool("5m"), node(**LABEL), trainer("a"))
    report = json.loads(run("--context", "here", "-o", "json")[1])
    [finding] = report["findings"]
    assert shlex.split(finding["fix"])[:4] == ["kubectl", "--context", "here", "patch"]
    assert shlex.split(finding["evidence"][0]["get"])[:4] == ["kubectl", "--context", "here", "get"]
    assert report["cluster"]["server"] == server.address


def test_rbac_prints_a_role_that_may_read_all_that_is_asked_for(run):
    code, out, _ = run("--rbac")
    role = yaml.safe_load(out)
    assert (code, role["kind"], role["metadata"]["name"]) == (0, "ClusterRole", "gracekeeper-doctor")
    allowed = {(group, each) for rule in role["rules"] for group in rule["apiGroups"] for each in rule["resources"]}
    assert allowed == {(kind.group, kind.resource) for kind in KINDS.values()}
    assert {verb for rule in role["rules"] for verb in rule["verbs"]} == {"get", "list"}
    [of_names] = [rule for rule in role["rules"] if rule["resources"] == ["configmaps"]]
    assert of_names["verbs"] == ["get"]
    assert "kubelet-config" in of_names["resourceNames"]
    assert not any("secrets" in rule["resources"] for rule in role["rules"])


def test_a_probe_shows_a_pod_stores_nothing_and_tells_what_becomes_of_it(server, capsys):
    # given a policy that sets the grace to 50 s after gracekeeper
    put(server, trainer("a"))

    def created(pod):
        pod["metadata"].setdefault("annotations", {})["gracekeeper.dev/decision"] = "{}"
        pod["spec"]["terminationGracePeriodSeconds"] = 50
        return pod

    server.as_created = created
    before = copy.deepcopy(server.objects)
    # when ml is probed, named twice
    code = main(["doctor", "--probe", "ml", "--probe", "ml", "--only", "GK204"])
    # then the pod that loses is named, and no pod was made
    assert code == 1
    assert "asks for 902 s in namespace ml is created with 50 s" in capsys.readouterr().out
    assert server.objects == before
    assert server.count("POST") == len(server.shown) == 2


def test_calls_that_failed_open_are_read_from_the_api_servers_metrics(server, run):
    install(server)
    name = 'apiserver_admission_webhook_fail_open_count{name="pods.gracekeeper.dev",type="admit"}'
    server.texts["/metrics"] = "# HELP other\n" * 9000 + f"{name} 7"
    assert "The API server failed open 7 times" in run("--only", "GK206")[1]
    server.refusals["/metrics"] = 403
    assert "GK206  how often the API server failed open: you may not read" in run("--only", "GK206")[1]
    assert run("--only", "GK105")[0] == 0
    assert server.count("GET /metrics") == 0


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stream", "seconds", "shown"),
    [(Terminal(), 1.9, ""), (Terminal(), 2.0, "reading pods: 1,500"), (io.StringIO(), 9.0, "")],
    ids=["soon", "late", "no terminal"],
)
def test_a_line_tells_how_far_it_is_on_a_terminal_after_two_seconds(stream, seconds, shown):
    now = iter([0.0, seconds])
    line = ProgressLine(stream, lambda: next(now))
    line.tell("pods", 1500)
    assert stream.getvalue().removeprefix("\r\033[K") == shown
    line.clear()
    assert stream.getvalue().endswith("\r\033[K" if shown else "")


def test_kubelets_are_asked_only_where_that_is_wanted_and_one_of_each_pool(server, run):
    # given two nodes of one pool and one of another, whose kubelet may not be asked
    put(server, node("n1", **LABEL), node("n2", **LABEL), node("n3"), trainer("a"), trainer("b", on="n2"))
    soft = {"evictionSoft": {"memory.available": "5%"}, "evictionMaxPodGracePeriod": 60}
    server.put("/api/v1/nodes/n1/proxy/configz", kubeletconfig=soft)
    server.refusals["/api/v1/nodes/n3/proxy"] = 403
    # when they are not asked, then that is told
    code, out, _ = run("--only", "GK101")
    assert code == 0
    assert "GK101  kubelet settings of 3 nodes: not asked for." in out
    assert server.count("GET /api/v1/nodes/") == 0
    # when they are asked, then one of each pool is
    code, out, _ = run("--only", "GK101", "--kubelet", "--fail-on", "warning")
    assert code == 1
    assert "2 pods ask for more, up to 782 s: ml/a loses 722 s of 782 s, ml/b loses 722 s of 782 s." in out
    assert "GK101  kubelet settings of 1 node: forbidden (node n3: " in out
    assert server.count("GET /api/v1/nodes/") == 2


@pytest.mark.parametrize("arguments", [("--kubelet",), ("--context", "here")])
def test_a_dump_has_no_kubelet_and_no_context(run, tmp_path, arguments):
    code, _, err = run("-f", str(tmp_path), *arguments)
    assert (code, err) == (2, "gracekeeper: --context and --kubelet are for a cluster, -f is for a dump\n")
