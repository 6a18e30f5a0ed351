"""Pods with wrong types, sent straight to the port: refused by shape with the field's name, and not a bug of ours."""

import copy
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import golden, webhook_server
from tests.webhook_server import review
from webhook import shapes
from webhook.admission import Refusal
from webhook.policy.patch import operations
from webhook.shapes import MisshapenError

PODS = json.loads((Path(__file__).parent / "recorded" / "wrong-type-pods.json").read_text())
STEP = 10
"""Every tenth of the 9,876 fields of all cases is tried in each run."""
WRONG: tuple[Any, ...] = (7, True, 1.5, "x", [1, "a"], {"a": 1}, [{}], [[]])
Path_ = tuple[Any, ...]


@pytest.fixture(scope="module")
def server():
    with webhook_server.running() as server:
        yield server


def test_the_pods_of_a_fuzzer_are_refused_with_a_reason_of_their_own_or_decided(server):
    answers = [server.post(review(pod)) for pod in PODS]
    refused = [answer for answer in answers if answer.status != 200]
    assert len(refused) > 5
    assert {answer.status for answer in refused} == {422}
    assert server.value("gracekeeper_refused_total", reason=Refusal.MISSHAPEN) == len(refused)
    assert server.value("gracekeeper_bugs_total") == 0
    assert not [event for _, event, _ in server.logger.lines if event == "bug"]


LINES = {
    "spec.containers is a number, not a list": {"metadata": {}, "spec": {"containers": 7}},
    "metadata.annotations is a list, not an object": {"metadata": {"annotations": ["a"]}, "spec": {}},
}


@pytest.mark.parametrize("line", LINES)
def test_the_line_names_the_field(server, line):
    assert server.post(review(LINES[line])).body.decode() == f"request.object is no Pod: {line}\n"


def places(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, (*path, index))


def changed(pod: dict[str, Any], path: Path_, value: Any) -> dict[str, Any]:
    other = copy.deepcopy(pod)
    holder: Any = other
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    return other


def decide(case: golden.Case, pod: dict[str, Any]) -> None:
    json.dumps(operations(pod, case.decide(pod)))


def test_whatever_no_decision_can_be_made_of_is_no_pod_of_an_api_server():
    """Each tenth field of each case in turn holds something else. Some thousand of these pods cannot be decided on."""
    explained = 0
    for case in map(golden.load, golden.names()):
        for number, path in itertools.islice(enumerate(places(case.pod)), len(case.name) % STEP, None, STEP):
            pod = changed(case.pod, path, WRONG[number % len(WRONG)])
            try:
                decide(case, pod)
            except Exception:  # noqa: BLE001  # any error is one that the shape has to explain
                with pytest.raises(MisshapenError):
                    shapes.check_pod(pod)
                explained += 1
    assert explained > 300


@pytest.mark.parametrize("name", golden.names())
def test_the_pods_of_the_cases_have_the_shape_of_a_pod(name):
    shapes.check_pod(golden.load(name).pod)
