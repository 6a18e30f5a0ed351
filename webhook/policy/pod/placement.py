"""Which nodes a pod asks for: the values of a node label to which its selector or its required affinity binds it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from webhook.policy.pod.metadata import JsonObject


@dataclass(frozen=True, slots=True)
class Placement:
    """The node selector, and the `In` values of each term of the required node affinity by label."""

    node_selector: Mapping[str, str]
    terms: tuple[Mapping[str, frozenset[str]], ...]

    def values_of(self, *label_names: str) -> frozenset[str] | None:
        """Return the values of a node label, known by any of these names, that bind the pod; None where nothing does.

        A selector counts before the affinity. A node has to meet one term of the affinity only, so each term has to name
        a value.
        """
        for name in label_names:
            if name in self.node_selector:
                return frozenset({self.node_selector[name]})
        values: set[str] = set()
        for term in self.terms:
            of_term = frozenset[str]().union(*(term.get(name, ()) for name in label_names))
            if not of_term:
                return None
            values |= of_term
        return frozenset(values) or None

    def may_bind(self, labels: Mapping[str, str]) -> bool:
        """Return whether the pod is bound by all these node labels, and asks for a node that has them.

        One term of the affinity has to name every label that the selector does not: two terms are two kinds of node.
        """
        if any(self.node_selector.get(name, value) != value for name, value in labels.items()):
            return False
        open_labels = {name: value for name, value in labels.items() if name not in self.node_selector}
        return not open_labels or (
            all(all(term.get(name) for name in open_labels) for term in self.terms)
            and any(all(value in term[name] for name, value in open_labels.items()) for term in self.terms)
        )

    def binds(self, labels: Mapping[str, str]) -> bool:
        """Return whether every node that the pod asks for has all these labels."""
        if any(self.node_selector.get(name, value) != value for name, value in labels.items()):
            return False
        open_labels = {name: value for name, value in labels.items() if name not in self.node_selector}
        return not open_labels or (
            bool(self.terms)
            and all(term.get(name) == frozenset({value}) for term in self.terms for name, value in open_labels.items())
        )


def read_placement(spec: JsonObject) -> Placement:
    """Read the pod's node selector and required node affinity."""
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    terms = (affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get("nodeSelectorTerms") or ()
    return Placement(spec.get("nodeSelector") or {}, tuple(map(_values_by_label, terms)))


def _values_by_label(term: JsonObject) -> Mapping[str, frozenset[str]]:
    values: dict[str, set[Any]] = {}
    for expression in term.get("matchExpressions") or ():
        if expression.get("operator") == "In":
            values.setdefault(expression.get("key", ""), set()).update(expression.get("values") or ())
    return {label: frozenset(of_label) for label, of_label in values.items()}
