"""Label selectors, as Kubernetes reads them."""

from collections.abc import Mapping
from typing import Any

from webhook.policy.pod.metadata import JsonObject


def selects(selector: JsonObject | None, labels: Mapping[str, Any]) -> bool:
    """Return whether a selector takes an object with these labels. An empty one takes every object."""
    if not selector:
        return True
    wanted = selector.get("matchLabels") or {}
    expressions = selector.get("matchExpressions") or ()
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _holds(expression, labels) for expression in expressions
    )


def _holds(expression: JsonObject, labels: Mapping[str, Any]) -> bool:
    key, values = str(expression.get("key")), expression.get("values") or ()
    match expression.get("operator"):
        case "In":
            return key in labels and labels[key] in values
        case "NotIn":
            return key not in labels or labels[key] not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    return False
