"""Files of `kubectl get ... -o json`, read without holding a list in memory as a whole."""

import io
import json

import pytest

from webhook.doctor.dump import BadDumpError, objects_of

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "ml"}, "spec": {"weight": 0.5}}
NODE = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}}
LIST = {"apiVersion": "v1", "kind": "List", "items": [POD, NODE, POD]}


def objects(*files):
    read = objects_of((name, io.BytesIO(text.encode())) for name, text in files)
    return {kind: [*of_kind] for kind, of_kind in read.items()}


@pytest.mark.parametrize("indent", [None, 4])
def test_given_a_list_of_several_kinds_then_each_is_in_the_list_of_its_kind(indent):
    assert objects(("all.json", json.dumps(LIST, indent=indent))) == {"Pod": [POD, POD], "Node": [NODE]}


def test_given_a_list_whose_objects_name_no_kind_then_the_list_names_it():
    raw = {"kind": "PodList", "items": [{"metadata": {"name": "a"}}], "apiVersion": "v1"}
    assert objects(("x.json", json.dumps(raw))) == {"Pod": [{"kind": "Pod", "metadata": {"name": "a"}}]}


def test_given_an_empty_list_then_the_file_names_the_kind():
    empty = json.dumps({"apiVersion": "v1", "kind": "List", "items": []})
    assert objects(("nodepools.karpenter.sh.json", empty), ("other.json", empty)) == {"NodePool": []}


def test_given_an_empty_file_then_its_kind_is_not_known():
    assert objects(("nodes.json", "\n")) == {}


def test_given_one_object_or_yaml_then_it_is_read_too():
    assert objects(("pod.json", json.dumps(POD)), ("node.yaml", "kind: Node\nmetadata: {name: n}\n")) == {
        "Pod": [POD],
        "Node": [{"kind": "Node", "metadata": {"name": "n"}}],
    }


def test_given_two_files_with_one_kind_then_no_object_is_lost():
    assert objects(("a.json", json.dumps(LIST)), ("b.json", json.dumps(LIST)))["Pod"] == [POD] * 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "x.json: holds no Kubernetes object: write it with `kubectl get KIND -A -o json`"),
        ('{"kind": "List", "items": [{"kind": "Pod", "n": 1e999}', "x.json: "),
        ("kind: Pod\nn: " + "9" * 30, "x.json: line 2, column 4: not YAML: a number of more than 64 bits"),
    ],
)
def test_given_what_no_api_server_writes_then_one_line_says_so(text, message):
    with pytest.raises(BadDumpError) as error:
        objects(("x.json", text))
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)
