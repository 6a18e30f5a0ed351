"""The AdmissionReview wire format: bytes to a review, an answer to bytes.

Law: only the envelope is modelled; the object stays the dict that JSON gave, so that fields unknown here survive.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

_API_VERSION = "admission.k8s.io/v1"
_KIND = "AdmissionReview"
_LONGEST_WARNING = 120
_LONGEST_AUDIT_TEXT = 1024
_LONGEST_LINE = 300
_LONGEST_UID = 256
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
"""API servers drop a warning that holds one; a YAML block leaves a line feed at the end of a value."""


class Refusal(StrEnum):
    """Why a request gets no answer but an HTTP error; the slugs label a metric."""

    NOT_JSON = "not-json"
    NOT_A_REVIEW = "not-a-review"
    OTHER_VERSION = "other-version"
    TOO_LARGE = "too-large"
    TOO_SLOW = "too-slow"
    MISSHAPEN = "misshapen"
    """A pod with a field of another type than Kubernetes has: no API server sends one, as it decodes each field first."""
    OVERLOADED = "overloaded"
    """No room for a body that does not begin with its uid, as every API server's does; theirs are allowed unpatched."""

    @property
    def status(self) -> HTTPStatus:
        """The HTTP status that says so."""
        return _STATUS.get(self, HTTPStatus.BAD_REQUEST)


_STATUS = {
    Refusal.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Refusal.TOO_SLOW: HTTPStatus.REQUEST_TIMEOUT,
    Refusal.MISSHAPEN: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.OVERLOADED: HTTPStatus.SERVICE_UNAVAILABLE,
}


class RefusedError(Exception):
    """A request that is no AdmissionReview; the message is the one line that its sender gets."""

    def __init__(self, refusal: Refusal, line: str) -> None:
        super().__init__(line[:_LONGEST_LINE])
        self.refusal = refusal


class _Envelope(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, frozen=True)


class GroupVersionKind(_Envelope):
    """What the object is: Kubernetes' GroupVersionKind."""

    group: str = ""
    version: str = ""
    kind: str = ""


class Review(_Envelope):
    """The request inside an AdmissionReview, as far as gracekeeper reads it."""

    uid: Annotated[str, Field(min_length=1, max_length=_LONGEST_UID)]
    """Echoed, hence bounded: an answer is never as large as a caller likes."""
    kind: GroupVersionKind = GroupVersionKind()
    sub_resource: str = ""
    operation: str = ""
    namespace: str = ""
    name: str = ""
    dry_run: bool | None = None
    object: Any = None

    @property
    def creates_a_pod(self) -> bool:
        """Whether this is what gracekeeper acts on; everything else is allowed as it is."""
        return self.kind == _POD and self.operation == "CREATE" and not self.sub_resource

    @property
    def pod_name(self) -> str:
        """The name, or the prefix of the one that the API server will generate."""
        metadata = self.object.get("metadata") or {}
        return self.name or metadata.get("name") or f"{metadata.get('generateName') or ''}*"


class _AdmissionReview(_Envelope):
    api_version: str = ""
    kind: str = ""
    request: Review


_POD = GroupVersionKind(version="v1", kind="Pod")


@dataclass(frozen=True, slots=True)
class AdmissionResponse:
    """What the API server is told; there is no way to say no."""

    uid: str
    operations: Sequence[Mapping[str, Any]] = ()
    warnings: Sequence[str] = ()
    audit_annotations: Mapping[str, str] = field(default_factory=dict)


def review_in(body: bytes) -> Review:
    """Return the review in a request's body; RefusedError where there is none."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RefusedError(Refusal.NOT_JSON, f"the body is not JSON: {error}") from None
    _check_version(document)
    try:
        review = _AdmissionReview.model_validate(document).request
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise RefusedError(Refusal.NOT_A_REVIEW, f"not a valid {_KIND}: {place}: {first['msg']}") from None
    if review.creates_a_pod and not isinstance(review.object, dict):
        raise RefusedError(Refusal.NOT_A_REVIEW, f"not a valid {_KIND}: request.object: a pod is missing")
    return review


def body_of(response: AdmissionResponse) -> bytes:
    """Return the body that carries the response, a complete AdmissionReview."""
    fields: dict[str, Any] = {"uid": response.uid, "allowed": True}
    if response.operations:
        fields["patchType"] = "JSONPatch"
        fields["patch"] = base64.b64encode(orjson.dumps(response.operations)).decode("ascii")
    if response.warnings:
        fields["warnings"] = [_CONTROL.sub(" ", warning)[:_LONGEST_WARNING] for warning in response.warnings]
    if response.audit_annotations:
        fields["auditAnnotations"] = {k: text[:_LONGEST_AUDIT_TEXT] for k, text in response.audit_annotations.items()}
    return orjson.dumps({"apiVersion": _API_VERSION, "kind": _KIND, "response": fields})


def _check_version(document: Any) -> None:
    """Tell another version apart from what is no review at all: the first is a matter of the webhook's configuration."""
    if not isinstance(document, dict) or document.get("kind") != _KIND:
        raise RefusedError(Refusal.NOT_A_REVIEW, f"the body is no {_KIND}")
    version = document.get("apiVersion")
    if version != _API_VERSION:
        named = repr(version[:80]) if isinstance(version, str) else "that is no text"
        raise RefusedError(
            Refusal.OTHER_VERSION,
            f"{_KIND} of version {named}: only {_API_VERSION} is understood (admissionReviewVersions)",
        )
