"""What shows that a pod saves when it is told to stop, so that a pod of unknown size gets a default grace.

A trainer without a handler would sit out the whole grace and hold its accelerators.
"""

from webhook.policy.configuration import Compatibility
from webhook.policy.pod import Pod
from webhook.policy.pod.metadata import JsonObject, labels_of
from webhook.policy.prefix import ENABLED_LABEL
from webhook.policy.recognition import version_0_1_0
from webhook.policy.recognition.signs import sign_of_saving
from webhook.policy.statements.keys import ENABLED
from webhook.policy.statements.statements import Statements


def evidence_of_saving(
    pod: Pod,
    statements: Statements,
    *,
    has_profile: bool,
    compatibility: Compatibility = Compatibility.NEWEST,
) -> str | None:
    """Return the evidence in words for the decision; None where there is none."""
    if speaks_for_itself(statements):
        return "the pod carries a gracekeeper key"
    if pod.osmo_task is not None:
        return "an OSMO task"
    if has_profile or statements.wants_something:
        return "a profile or the Namespace speaks for it"
    return sign_of_saving(pod) if compatibility is Compatibility.NEWEST else version_0_1_0.sign_of_saving(pod)


def is_wanted(statements: Statements, namespace: JsonObject | None, *, has_profile: bool) -> bool:
    """Return whether somebody wants this checkpoint: the pod's owner by a key, a profile, or the Namespace."""
    opted_in = labels_of(namespace).get(ENABLED_LABEL) == "true"
    return speaks_for_itself(statements) or has_profile or statements.wants_something or opted_in


def speaks_for_itself(statements: Statements) -> bool:
    """Return whether the pod carries a key of gracekeeper, readable or not."""
    return statements.by_owner or statements.of_pod(ENABLED) is not None
