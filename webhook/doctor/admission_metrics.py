"""How often the API server failed open: it could not call gracekeeper, and created pods as they came. Read from its metrics."""

import re
from collections.abc import Iterable
from typing import Any

from webhook.doctor.finding import UnseenReason
from webhook.policy.pod.metadata import JsonObject

KIND = "AdmissionMetrics"
PATH = "/metrics"
METRIC = "apiserver_admission_webhook_fail_open_count"
_LINE = re.compile(METRIC + r"\{(?P<labels>[^}]*)\} (?P<count>[0-9.eE+]+)")
_NAME = re.compile(r'\bname="(?P<name>[^"]*)"')
_OURS = ".gracekeeper.dev"


def fail_open_counts(lines: Iterable[str]) -> dict[str, int]:
    """Return how often calls to each of gracekeeper's webhooks failed open, by its name, from metrics as text."""
    counts: dict[str, int] = {}
    for line in lines:
        match = _LINE.match(line)
        name = match and _NAME.search(match["labels"])
        if match and name and name["name"].endswith(_OURS):
            counts[name["name"]] = counts.get(name["name"], 0) + int(float(match["count"]))
    return counts


def metrics_object(counts: dict[str, int]) -> dict[str, Any]:
    """Return the counts as an object of their own kind, as they are kept beside the lists."""
    return {"kind": KIND, "metadata": {"name": "metrics"}, "failOpen": counts}


def unseen_metrics(reason: UnseenReason, message: str) -> dict[str, Any]:
    """Return an object that says why the metrics could not be read."""
    return {"kind": KIND, "metadata": {"name": "metrics"}, "unseen": {"reason": reason, "message": message}}


def counts_in(objects: Iterable[JsonObject]) -> dict[str, int] | tuple[UnseenReason, str]:
    """Return the counts, or why they are not known."""
    for each in objects:
        if "unseen" in each:
            return UnseenReason(each["unseen"]["reason"]), str(each["unseen"]["message"])
        return dict(each["failOpen"])
    return UnseenReason.NOT_IN_DUMP, ""
