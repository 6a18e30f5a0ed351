"""`gracekeeper observed` against an API server in memory: what was learned, told to people, and forgotten."""

import json
import time

import pytest

from tests import fake_api
from tests.test_from_cluster import write_kubeconfig
from webhook.cli import main
from webhook.policy.observed.memory import DATA_KEY, Entry, Lesson, Memory, Sample, memory_in, text_of
from webhook.policy.observed.wrapping_stops import STOPS_KEY, StopCause, WrappingStop, stops_in, text_of_stops

COLLECTION = "/api/v1/configmaps"
MEMORY = "/api/v1/namespaces/gk/configmaps/gk-terminations"
LABELS = {"app.kubernetes.io/part-of": "gracekeeper", "app.kubernetes.io/component": "observer"}
RUNS = (Sample(1_780_000_000, 30, 30, Lesson.CUT), Sample(1_780_600_000, 45, 60, Lesson.STOPPED))
ENTRIES = {
    ("ml", "0123456789abcdef"): Entry(RUNS, "llama-x7f2k"),
    ("ml", "fedcba9876543210"): Entry(RUNS[1:], "llama-x7f2k"),
    ("other", "0123456789abcdef"): Entry(RUNS[:1], "[red]resnet"),
}


@pytest.fixture
def server(monkeypatch, tmp_path):
    with fake_api.running() as server:
        server.serve_collection(COLLECTION)
        server.put(MEMORY, kind="ConfigMap", data={DATA_KEY: text_of(Memory(ENTRIES))})
        server.put(f"{COLLECTION}/gk-terminations", metadata={"namespace": "gk", "labels": LABELS})
        server.put(f"{COLLECTION}/of-somebody-else", metadata={"namespace": "gk", "labels": {}})
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
        write_kubeconfig(tmp_path / "kubeconfig", server.address)
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        yield server


@pytest.fixture
def run(server, capsys):
    """Runs the command; the result is exit code, output, errors. It may only read and replace."""

    def run(*arguments):
        code = main(["observed", *arguments])
        assert {call.split()[0] for call in server.calls} <= {"GET", "PUT"}
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def remembered(server):
    return memory_in(server.get(MEMORY)["data"][DATA_KEY]).entries


def test_given_no_name_then_each_workload_is_one_line_with_its_newest_run(run, server):
    code, out, _ = run()
    assert code == 0
    assert len(out.splitlines()) == 1 + len(ENTRIES)
    assert "2026-06-04 19:06Z" in out
    assert "[red]resnet" in out
    assert not any(call.startswith("PUT") for call in server.calls)


@pytest.mark.parametrize("name", ["0123456789abcdef", "llama-x7f2k"])
def test_given_a_name_then_all_its_runs_are_shown_the_newest_first(run, name):
    code, out, _ = run(name, "-n", "ml", "-o", "json")
    workloads = json.loads(out)
    assert code == 0
    assert {each["namespace"] for each in workloads} == {"ml"}
    assert len(workloads[0]["runs"]) == 2
    _, table, _ = run("0123456789abcdef", "-n", "ml")
    assert [line.split()[-1] for line in table.splitlines()[1:]] == ["stopped", "cut"]


def test_given_a_name_that_nobody_has_then_it_says_so(run):
    assert run("nobody") == (1, "no workload is remembered\n", "")


def test_when_a_workload_is_forgotten_then_the_others_stay(run, server):
    code, out, _ = run("forget", "0123456789abcdef", "-n", "ml")
    assert code == 0
    assert "forgotten: 1" in out
    assert remembered(server).keys() == ENTRIES.keys() - {("ml", "0123456789abcdef")}


def test_forget_needs_a_name_and_no_more_than_one(run):
    for words in (["forget"], ["forget", "a", "b"], ["a", "b"]):
        code, _, error = run(*words)
        assert code == 2
        assert "observed takes one NAME" in error


def test_given_no_observer_then_one_line_says_how_to_get_it(run, server):
    server.remove(f"{COLLECTION}/gk-terminations")
    assert run() == (2, "", "gracekeeper: no observer is installed: observer.enabled is false\n")


def test_given_a_cluster_that_refuses_then_one_line_says_it(run, server):
    server.refusals[COLLECTION] = 403
    code, _, error = run()
    assert code == 2
    assert error.startswith("gracekeeper: the API server refuses")
    assert error.count("\n") == 1


@pytest.fixture
def stopped(server):
    """Wrapping is stopped in `ml`; a stop in `other` is over."""
    now = int(time.time())
    stop = WrappingStop(now - 10, now + 3590, 3600, StopCause.REFUSED, "Job/[red]train")
    over = WrappingStop(now - 7200, now - 3600, 3600, StopCause.IMAGE, "Job/train")
    data = {DATA_KEY: text_of(Memory(ENTRIES)), STOPS_KEY: text_of_stops({"ml": stop, "other": over}, now)}
    server.put(MEMORY, kind="ConfigMap", data=data)
    return {"ml": stop, "other": over}


@pytest.mark.usefixtures("stopped")
def test_given_a_namespace_without_wrapping_then_it_is_shown_with_the_reason(run):
    _, out, _ = run()
    line = out.splitlines()[-1].split()
    assert (line[0], line[-2:]) == ("ml", ["refused", "Job/[red]train"])
    assert len(out.splitlines()) == 1 + len(ENTRIES) + 2
    assert "wrapping stopped" not in run("-n", "other")[1]
    assert "wrapping stopped" not in run("llama-x7f2k")[1]


def test_when_wrapping_is_resumed_then_it_is_stopped_there_no_more_and_everything_else_stays(run, server, stopped):
    assert run("resume", "-n", "ml") == (0, "pods of namespace ml are wrapped again\n", "")
    held = stops_in(server.get(MEMORY)["data"][STOPS_KEY])
    assert not held["ml"].lasts(int(time.time()))
    assert held["other"] == stopped["other"]
    assert remembered(server) == ENTRIES
    assert run("resume", "-n", "ml") == (1, "wrapping is not stopped in namespace ml\n", "")


@pytest.mark.usefixtures("stopped")
@pytest.mark.parametrize("arguments", [["resume"], ["resume", "ml"], ["resume", "x", "-n", "ml"]])
def test_resume_needs_a_namespace(run, arguments):
    code, _, error = run(*arguments)
    assert code == 2
    assert "observed resume takes -n NAMESPACE" in error
