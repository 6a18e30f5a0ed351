"""The mutating webhooks of a cluster that see new pods, in the order in which the API server calls them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from webhook.policy.pod.metadata import JsonObject, labels_of, metadata_of

_PART_OF = ("app.kubernetes.io/part-of", "gracekeeper")
_LAST = "zzz."
_ANY = "*"


@dataclass(frozen=True, slots=True)
class PodWebhook:
    """One webhook of a configuration, that is called when a pod is created."""

    configuration: str
    name: str
    index: int
    """Its place in the configuration."""
    manifest: JsonObject
    is_called_after: bool
    """Whether it is called after gracekeeper's webhook, and before it is called again."""
    is_called_again: bool
    """Whether it is called once more after others have changed the pod."""


def is_ours(configuration: JsonObject) -> bool:
    """Return whether a webhook configuration is gracekeeper's."""
    return labels_of(configuration).get(_PART_OF[0]) == _PART_OF[1]


def is_our_last(configuration: JsonObject) -> bool:
    """Return whether it is the configuration that gracekeeper is called by once more, behind all others."""
    return is_ours(configuration) and str(metadata_of(configuration).get("name", "")).startswith(_LAST)


def other_pod_webhooks(configurations: Iterable[JsonObject]) -> Iterator[PodWebhook]:
    """Yield the webhooks of others that see new pods, in the order of their configurations' names."""
    ordered = sorted(configurations, key=_name)
    first = min((_name(each) for each in ordered if is_ours(each)), default="")
    for configuration in ordered:
        if is_ours(configuration):
            continue
        for index, webhook in enumerate(configuration.get("webhooks") or ()):
            if any(_is_of_new_pods(rule) for rule in webhook.get("rules") or ()):
                yield PodWebhook(
                    configuration=_name(configuration),
                    name=str(webhook.get("name") or ""),
                    index=index,
                    manifest=webhook,
                    is_called_after=bool(first) and _name(configuration) > first,
                    is_called_again=webhook.get("reinvocationPolicy") == "IfNeeded",
                )


def _name(configuration: JsonObject) -> str:
    return str(metadata_of(configuration).get("name", ""))


def _is_of_new_pods(rule: JsonObject) -> bool:
    resources = {str(each).partition("/")[0] for each in rule.get("resources") or () if "/" not in each or "/*" in each}
    return (
        bool({_ANY, "CREATE"}.intersection(rule.get("operations") or ()))
        and bool({_ANY, ""}.intersection(rule.get("apiGroups") or ()))
        and bool({_ANY, "v1"}.intersection(rule.get("apiVersions") or ()))
        and bool({_ANY, "pods"}.intersection(resources))
        and rule.get("scope") in {None, _ANY, "Namespaced"}
    )
