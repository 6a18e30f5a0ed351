"""The structure that docs/architecture.md promises: a pod is read once, and every room stays small."""

import ast
import asyncio
import json
import re
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests import golden, webhook_server
from webhook.admission import Refusal
from webhook.evaluation import NoFacts
from webhook.metrics import Metrics
from webhook.policy.patch import operations
from webhook.policy.pod import read_pod
from webhook.server import Mutation

ROOT = Path(__file__).parents[1]
WEBHOOK = ROOT / "webhook"
MODULES = sorted(WEBHOOK.rglob("*.py"))
MAY_READ_RAW_PODS = ("webhook.policy.pod", "webhook.policy.patch")
ONCE = ("read_pod", "read_osmo_task", "_trainer", "recognition_of")
MOST_LINES = 300
MOST_LOOSE_MODULES = 10


class Calls:
    """Counts the calls of the policy's functions, and notes those that are handed the raw pod, while it is entered."""

    def __init__(self, pod):
        self.raw_parts = {id(part) for part in (pod, pod.get("metadata"), pod.get("spec")) if part is not None}
        self.counts: Counter[str] = Counter()
        self.handed_the_raw_pod: set[str] = set()

    def __enter__(self):
        sys.setprofile(self._called)
        return self

    def __exit__(self, *_error):
        sys.setprofile(None)

    def _called(self, frame, event, _argument):
        module, name = frame.f_globals.get("__name__", ""), frame.f_code.co_name
        if event != "call" or not module.startswith("webhook.policy"):
            return
        self.counts[name] += 1
        arguments = frame.f_code.co_varnames[: frame.f_code.co_argcount + frame.f_code.co_kwonlyargcount]
        is_raw = any(id(frame.f_locals.get(argument)) in self.raw_parts for argument in arguments)
        if is_raw and not module.startswith(MAY_READ_RAW_PODS):
            self.handed_the_raw_pod.add(f"{module}.{name}")


@pytest.fixture(params=golden.names())
def case(request):
    return golden.load(request.param)


def test_no_rule_is_handed_the_raw_pod(case):
    with Calls(case.pod) as calls:
        operations(case.pod, case.decide())
    assert calls.counts["read_pod"] == 1
    assert calls.handed_the_raw_pod == set()


class Fixed(NoFacts):
    """Knows what the case says."""

    def __init__(self, case):
        self.case = case

    async def namespace(self, _name, _seconds):
        return self.case.namespace

    async def facts(self, _namespace, _lookups, _seconds):
        return self.case.facts


def test_given_a_review_when_the_server_answers_it_then_pod_trainer_and_task_are_read_once(case):
    body = json.dumps(webhook_server.review(case.pod, namespace=case.namespace.name)).encode()
    logger: Any = webhook_server.Lines()
    mutation = Mutation(Fixed(case), lambda: case.config, Metrics(Refusal), logger)
    with Calls({}) as calls:
        asyncio.run(mutation.answer(body, None, time.monotonic()))
    assert {function: calls.counts[function] for function in ONCE} == dict.fromkeys(ONCE, 1)


def test_the_pod_is_frozen():
    pod = read_pod({"spec": {"containers": [{"name": "a"}]}})
    with pytest.raises(AttributeError):
        pod.name = "b"  # type: ignore[misc]  # the point


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_is_long(module):
    assert len(module.read_text().splitlines()) <= MOST_LINES


def test_the_policy_has_few_loose_modules():
    loose = [path.name for path in (WEBHOOK / "policy").glob("*.py") if path.name != "__init__.py"]
    assert 0 < len(loose) <= MOST_LOOSE_MODULES


def test_each_module_has_a_name_of_its_own():
    names = Counter(path.name for path in MODULES if path.name not in {"__init__.py", "__main__.py"})
    assert [name for name, count in names.items() if count > 1] == []


def test_each_public_class_has_a_name_of_its_own():
    names: Counter[str] = Counter()
    for path in MODULES:
        tree = ast.parse(path.read_text())
        names.update(node.name for node in tree.body if isinstance(node, ast.ClassDef) and node.name[0] != "_")
    assert [name for name, count in names.items() if count > 1] == []


def test_the_table_where_to_change_what_names_files_and_names_that_exist():
    text = (ROOT / "docs" / "architecture.md").read_text()
    table = text.split("## Where to change what", 1)[1].split("\n## ", 1)[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 20
    for row in rows:
        paths = [ROOT / word for word in re.findall(r"`([\w./-]+/[\w./-]*|[\w-]+\.\w+)`", row)]
        assert [path for path in paths if not path.exists()] == [], row
        code = "".join(path.read_text() for path in paths if path.is_file())
        for name in re.findall(r"`([A-Z_]{3,}|[a-z_]+)`(?= in `)", row):
            assert re.search(rf"\b{name}\b", code), (name, row)
