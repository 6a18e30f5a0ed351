"""Kubernetes' own JSON schemas, from the package kubernetes-validate.

The package reads two megabytes of schemas for each object that it validates. Here each version is read once a session.
"""

import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

_SCHEMAS = files("kubernetes_validate") / "kubernetes-json-schema"


class NoSchemaError(Exception):
    """Kubernetes has no such kind in this version."""


def validate(kubernetes_object: dict[str, Any], version: str) -> None:
    """Raise jsonschema.ValidationError for what an API server of this version refuses, unknown fields too."""
    _validator(version, kubernetes_object["kind"], kubernetes_object["apiVersion"]).validate(kubernetes_object)


@cache
def _validator(version: str, kind: str, api_version: str) -> Draft202012Validator:
    group = re.sub(r"^([^./]*)(\.[^/]*)?/", r"\1-", api_version)
    try:
        schema = _read(version, f"{kind.lower()}-{group}.json")
    except FileNotFoundError:
        raise NoSchemaError(f"{api_version} {kind} of Kubernetes {version}") from None
    return Draft202012Validator(schema, registry=_definitions(version))


@cache
def _definitions(version: str) -> Registry[Any]:
    definitions = Resource.from_contents(_read(version, "_definitions.json"))
    return (definitions @ Registry[Any]()).crawl()


def _read(version: str, name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((_SCHEMAS / f"v{version}.0-local-strict" / name).read_text(encoding="utf-8"))
    return schema
