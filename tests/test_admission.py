"""The AdmissionReview on the wire: what gets a patch, what is let through as it is, and what is no review at all."""

import json

import pytest

from tests import webhook_server
from tests.webhook_server import TRAINING_POD, review
from webhook import admission
from webhook.admission import AdmissionResponse, Refusal, RefusedError

UID = review()["request"]["uid"]


@pytest.fixture(scope="module")
def server():
    with webhook_server.running() as server:
        yield server


def body(**changes):
    return json.dumps({**review(), **changes}).encode()


def with_pod(text):
    """A review whose pod is JSON text, which json.dumps would not write."""
    return json.dumps(review("POD")).replace('"POD"', text).encode()


@pytest.mark.parametrize(
    "of",
    [
        review(),
        review(name="train-x7k2p"),
        review({**TRAINING_POD, "metadata": {**TRAINING_POD["metadata"], "name": "train", "namespace": "team-a"}}),
        review(dryRun=True),
        review(dryRun=None),
        review(subResource=""),
        review(kind={"version": "v1", "kind": "Pod"}),
        review(aFieldOfTomorrow={"a": [1]}),
    ],
    ids=["generateName", "name-in-request", "name-in-pod", "dry-run", "dry-run-null", "no-subresource", "core", "new"],
)
def test_a_pod_that_trains_is_patched_whatever_the_request_tells_about_it(server, of):
    answer = server.post(of)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.response["uid"] == UID
    grace = [operation["value"] for operation in answer.patch if operation["path"].endswith("GracePeriodSeconds")]
    assert grace
    assert grace[0] > 30


@pytest.mark.parametrize(
    "of",
    [
        review(kind={"group": "", "version": "v1", "kind": "Service"}),
        review(kind={"group": "apps", "version": "v1", "kind": "Deployment"}),
        review(kind={"group": "metrics.k8s.io", "version": "v1", "kind": "Pod"}),
        review(kind={"group": "", "version": "v2", "kind": "Pod"}),
        review(operation="UPDATE"),
        review(operation="DELETE", object=None),
        review(operation="CONNECT", object=None, subResource="exec"),
        review(kind={"group": "", "version": "v1", "kind": "Pod"}, subResource="ephemeralcontainers"),
        review(kind={"group": "policy", "version": "v1", "kind": "Eviction"}, subResource="eviction"),
        review(kind={"group": "", "version": "v1", "kind": "Binding"}, subResource="binding"),
        review({"metadata": {"name": "web"}, "spec": {"containers": [{"name": "a"}]}}),
    ],
)
def test_what_is_none_of_ours_is_allowed_as_it_is(server, of):
    response = server.post(of).response
    assert {key: response[key] for key in response if key != "auditAnnotations"} == {"uid": UID, "allowed": True}


@pytest.mark.parametrize(
    ("sent", "refusal", "line"),
    [
        (b"", Refusal.NOT_JSON, "the body is not JSON"),
        (b"a=1", Refusal.NOT_JSON, "the body is not JSON"),
        (b'{"a":', Refusal.NOT_JSON, "the body is not JSON"),
        (b'{"a": "\xff\xfe"}', Refusal.NOT_JSON, "the body is not JSON"),
        (b'{"a": "\\ud83d"}', Refusal.NOT_JSON, "the body is not JSON"),
        (b'{"a": NaN}', Refusal.NOT_JSON, "the body is not JSON"),
        (b'{"a": 1e999}', Refusal.NOT_JSON, "the body is not JSON"),
        (b"[" * 100_000, Refusal.NOT_JSON, "the body is not JSON"),
        (b"null", Refusal.NOT_A_REVIEW, "the body is no AdmissionReview"),
        (b"[]", Refusal.NOT_A_REVIEW, "the body is no AdmissionReview"),
        (b'"AdmissionReview"', Refusal.NOT_A_REVIEW, "the body is no AdmissionReview"),
        (b"{}", Refusal.NOT_A_REVIEW, "the body is no AdmissionReview"),
        (json.dumps(TRAINING_POD).encode(), Refusal.NOT_A_REVIEW, "the body is no AdmissionReview"),
        (body(kind=["AdmissionReview"]), Refusal.NOT_A_REVIEW, "the body is no AdmissionReview"),
        (body(apiVersion="admission.k8s.io/v1beta1"), Refusal.OTHER_VERSION, "version 'admission.k8s.io/v1beta1'"),
        (body(apiVersion=None), Refusal.OTHER_VERSION, "only admission.k8s.io/v1 is understood"),
        (
            body().replace(b'"admission.k8s.io/v1"', b"[" * 1000 + b"]" * 1000),
            Refusal.OTHER_VERSION,
            "only admission.k8s.io/v1 is understood",
        ),
        (body(request=None), Refusal.NOT_A_REVIEW, "request: "),
        (body(request=[]), Refusal.NOT_A_REVIEW, "request: "),
        (json.dumps(review(uid="")).encode(), Refusal.NOT_A_REVIEW, "request.uid: "),
        (json.dumps(review(uid=7)).encode(), Refusal.NOT_A_REVIEW, "request.uid: "),
        (json.dumps(review(uid="7" * 1000)).encode(), Refusal.NOT_A_REVIEW, "request.uid: "),
        (json.dumps(review(kind="Pod")).encode(), Refusal.NOT_A_REVIEW, "request.kind: "),
        (json.dumps(review(object=None)).encode(), Refusal.NOT_A_REVIEW, "request.object: a pod is missing"),
        (json.dumps(review(["a"])).encode(), Refusal.NOT_A_REVIEW, "request.object: a pod is missing"),
        (json.dumps(review("a")).encode(), Refusal.NOT_A_REVIEW, "request.object: a pod is missing"),
    ],
)
def test_what_is_no_review_is_a_400_with_one_line_that_says_why(server, sent, refusal, line):
    before = server.value("gracekeeper_refused_total", reason=refusal)
    answer = server.post(sent)
    text = answer.body.decode()
    assert answer.status == 400
    assert line in text
    assert text.endswith("\n")
    assert text.count("\n") == 1
    assert len(text) <= 301
    assert server.value("gracekeeper_refused_total", reason=refusal) == before + 1


def test_a_review_without_uid_is_refused_by_the_name_of_the_field(server):
    of = review()
    del of["request"]["uid"]
    answer = server.post(of)
    assert (answer.status, b"request.uid" in answer.body) == (400, True)


def test_a_refusal_never_quotes_the_pod():
    of = review(operation=7)
    with pytest.raises(RefusedError) as refused:
        admission.review_in(json.dumps(of).encode())
    assert "s3cret" not in str(refused.value)
    assert "request.operation" in str(refused.value)


@pytest.mark.parametrize(
    "pod",
    [
        "{}",
        '{"metadata": []}',
        '{"metadata": null, "spec": null}',
        '{"metadata": "a", "spec": "b"}',
        '{"metadata": {"labels": [], "annotations": "x", "ownerReferences": {}}, "spec": {"containers": "abc"}}',
        '{"metadata": {"annotations": {"gracekeeper.dev/checkpoint-size": 9}}, "spec": {"containers": [{}]}}',
        '{"metadata": {"annotations": {"gracekeeper.dev/checkpoint-size": null}}, "spec": {"containers": []}}',
        '{"metadata": {"annotations": {"gracekeeper.dev/enabled": "true"}}, "spec": {"containers": [null, 1, "a"]}}',
        '{"metadata": {"annotations": {"gracekeeper.dev/enabled": "true"}}, "spec": {"containers": {"a": 1}}}',
        '{"metadata": {"annotations": {"gracekeeper.dev/enabled": {"a": 1}}}, "spec": {"volumes": 1}}',
        '{"metadata": {"name": ["a"], "generateName": null}, "spec": {"containers": [{"env": "PET_", "command": 1}]}}',
        (
            '{"metadata": {"annotations": {"gracekeeper.dev/grace-seconds": "900"}},'
            ' "spec": {"terminationGracePeriodSeconds": 123456789012345678901234567890, "containers": [{"name": "a"}]}}'
        ),
        (
            '{"metadata": {"annotations": {"gracekeeper.dev/grace-seconds": "900"}},'
            ' "spec": {"terminationGracePeriodSeconds": "30", "containers": [{"name": "a"}]}}'
        ),
        (
            '{"metadata": {"annotations": {"gracekeeper.dev/enabled": "true", "gracekeeper.dev/enabled": "false"}},'
            ' "spec": {}, "spec": {"containers": [{"name": "a"}]}}'
        ),
        '{"metadata": {"annotations": {"gracekeeper.dev/enabled": ' + "[" * 900 + "]" * 900 + "}}}",
        '{"spec": ' + '{"a":' * 900 + "1" + "}" * 901,
    ],
)
def test_a_pod_of_wrong_types_is_allowed_or_refused_by_its_shape_and_is_no_bug(server, pod):
    """No API server sends one."""
    answer = server.post(with_pod(pod))
    if answer.status == 422:
        assert answer.body.startswith(b"request.object is no Pod: ")
    else:
        assert (answer.status, answer.response["uid"]) == (200, UID)
    assert server.value("gracekeeper_bugs_total") == 0


def test_warnings_are_cut_at_120_characters_and_never_inside_one():
    warnings = json.loads(admission.body_of(AdmissionResponse("1", warnings=["ä" * 300, "\U0001f600" * 300, "short"])))[
        "response"
    ]
    assert warnings["warnings"] == ["ä" * 120, "\U0001f600" * 120, "short"]


def test_a_warning_holds_no_control_characters_as_api_servers_drop_those_that_do(server):
    pod = {**TRAINING_POD, "metadata": {"annotations": {"gracekeeper.dev/checkpoint-size": "9.2 potatoes\n\x7f\x85"}}}
    (warning,) = server.post(review(pod)).response["warnings"]
    assert "9.2 potatoes" in warning
    assert warning.isprintable()


def test_audit_annotations_are_qualified_names_with_texts_of_bounded_length(server):
    annotations = server.post(review()).response["auditAnnotations"]
    assert annotations["outcome"] == "patched"
    assert annotations["mode"] == "enforce"
    assert annotations["grace-seconds"].isdigit()
    for key, text in annotations.items():
        assert key.replace("-", "").isalpha()
        assert isinstance(text, str)
    long = json.loads(admission.body_of(AdmissionResponse("1", audit_annotations={"missing": "a" * 100_000})))[
        "response"
    ]
    assert len(long["auditAnnotations"]["missing"]) <= 1024


def test_an_answer_without_changes_has_no_patch_and_no_patch_type():
    assert json.loads(admission.body_of(AdmissionResponse("1")))["response"] == {"uid": "1", "allowed": True}


def test_the_pod_is_named_in_logs_by_the_prefix_where_the_name_is_still_to_be_generated():
    def name(pod, **request):
        return admission.review_in(json.dumps(review(pod, **request)).encode()).pod_name

    assert name({"metadata": {"generateName": "train-"}}) == "train-*"
    assert name({"metadata": {"name": "train-1", "generateName": "train-"}}) == "train-1"
    assert name({"metadata": {"name": "a"}}, name="b") == "b"
    assert name({"metadata": {"generateName": None}}) == "*"
    assert name({"metadata": None}) == "*"
