"""What shows that a pod saves when it is told to stop, so that an unknown size is worth a default grace.

A trainer without a handler would sit out the whole grace, holding its accelerators.
"""

from webhook.policy import keys, markers
from webhook.policy import pod as pods
from webhook.policy.facts import JsonObject


def saves_when_told_to_stop(pod: JsonObject, said: keys.Statements, *, has_profile: bool) -> str | None:
    """What shows it, in words for the decision; None where nothing does."""
    if said.by_owner or said.of_pod(keys.ENABLED) is not None:
        return "the pod carries a gracekeeper key"
    if pods.is_osmo_task(pod):
        return "an OSMO task"
    if has_profile or any(stated for stated in said.said.values()):
        return "a profile or the Namespace speaks for it"
    for container in pods.containers(pod):
        variable = markers.first_match(pods.variable_names(container), markers.CHECKPOINT_VARIABLES)
        if variable is not None:
            return f"environment variable {variable}"
        argument = next((w for w in _flags(container) if w in markers.CHECKPOINT_ARGUMENTS), None)
        if argument is not None:
            return f"argument {argument}"
    return None


def _flags(container: JsonObject) -> list[str]:
    return [flag.partition("=")[0] for word in pods.words(container) for flag in word.split() if flag.startswith("--")]
