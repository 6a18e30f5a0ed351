"""What a scrape sees: closed labels, every series from the start, and what calls make of them."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests import webhook_server
from tests.webhook_server import TRAINING_POD, review
from webhook.admission import Refusal
from webhook.metrics import Metrics, Overload
from webhook.policy.configuration import Mode
from webhook.policy.decision import Outcome
from webhook.policy.facts import MissingReason

CLOSED: dict[str, dict[str, set[str]]] = {
    "gracekeeper_decisions_total": {"outcome": set(Outcome), "mode": set(Mode)},
    "gracekeeper_facts_missing_total": {"reason": set(MissingReason)},
    "gracekeeper_refused_total": {"reason": set(Refusal)},
    "gracekeeper_overloads_total": {"stage": set(Overload)},
}


@pytest.fixture(scope="module")
def server():
    with webhook_server.running() as server:
        yield server


def samples(text):
    values = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        for sample in family.samples:
            if not sample.name.endswith("_created"):
                values[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
    return values


def scraped(server):
    answer = server.get("/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return samples(answer.body.decode())


def test_every_series_is_there_from_the_start_at_zero():
    values = samples(Metrics(Refusal).text().decode())
    for outcome in Outcome:
        for mode in Mode:
            assert values["gracekeeper_decisions_total", (("mode", mode), ("outcome", outcome))] == 0
    for name, reasons in (("facts_missing", MissingReason), ("refused", Refusal)):
        for reason in reasons:
            assert values[f"gracekeeper_{name}_total", (("reason", reason),)] == 0
    for stage in Overload:
        assert values["gracekeeper_overloads_total", (("stage", stage),)] == 0
    for name in ("bugs_total", "doubtful_patches_total", "request_seconds_count", "grace_seconds_count"):
        assert values[f"gracekeeper_{name}", ()] == 0
    assert any(name == "process_resident_memory_bytes" for name, _ in values)


def test_calls_are_counted_and_no_call_makes_a_new_series(server):
    before = scraped(server)
    server.post(review())
    server.post(review({**TRAINING_POD, "metadata": {**TRAINING_POD["metadata"], "name": "a-name-of-a-pod"}}))
    server.post(review({"metadata": {}, "spec": {}}, namespace="a-namespace"))
    server.post(review(operation="UPDATE"))
    server.post(b"no review")
    after = scraped(server)
    assert after.keys() == before.keys()
    changed = {key: value - before[key] for key, value in after.items() if key[0].startswith("gracekeeper")}
    assert changed["gracekeeper_decisions_total", (("mode", "enforce"), ("outcome", "patched"))] == 2
    assert changed["gracekeeper_decisions_total", (("mode", "enforce"), ("outcome", "not-training"))] == 1
    assert changed["gracekeeper_refused_total", (("reason", "not-json"),)] == 1
    assert changed["gracekeeper_request_seconds_count", ()] == 4
    assert changed["gracekeeper_grace_seconds_count", ()] == 2
    assert changed["gracekeeper_grace_seconds_sum", ()] > 2 * 30
    assert changed["gracekeeper_bugs_total", ()] == 0


def test_labels_come_from_closed_sets(server):
    server.post(review())
    for name, labels in scraped(server):
        for label, value in labels:
            if name in CLOSED:
                assert value in CLOSED[name][label]
            else:
                assert (name, label) == ("gracekeeper_build_info", "version") or label == "le"


def test_the_end_of_the_certificate_and_the_ages_of_watches_are_told(server):
    ages = {"Namespace": 1.5}
    server.metrics.watch(lambda: ages)
    server.metrics.certificate_ends(1_800_000_000)
    ages["StorageClass"] = 2.5
    values = scraped(server)
    assert values["gracekeeper_certificate_expiry_timestamp_seconds", ()] == 1_800_000_000
    assert values["gracekeeper_watch_age_seconds", (("kind", "Namespace"),)] == 1.5
    assert values["gracekeeper_watch_age_seconds", (("kind", "StorageClass"),)] == 2.5


def test_how_many_facts_were_out_of_date_is_told_as_it_is_at_the_scrape(server):
    totals = [3, 5]
    server.metrics.facts_out_of_date(lambda: totals[0])
    assert scraped(server)["gracekeeper_facts_out_of_date_total", ()] == 3
    totals.pop(0)
    assert scraped(server)["gracekeeper_facts_out_of_date_total", ()] == 5


def test_whether_native_sidecars_are_used_is_told_as_it_is_at_the_scrape(server):
    assert scraped(server)["gracekeeper_native_sidecars", ()] == 0
    answers = [True, False]
    server.metrics.sidecars(lambda: answers[0])
    assert scraped(server)["gracekeeper_native_sidecars", ()] == 1
    answers.pop(0)
    assert scraped(server)["gracekeeper_native_sidecars", ()] == 0


def test_whether_the_certificate_is_kept_and_how_far_the_clock_is_ahead_are_told_as_they_are_at_the_scrape(server):
    assert scraped(server)["gracekeeper_certificate_in_step", ()] == 0
    assert scraped(server)["gracekeeper_clock_ahead_seconds", ()] == 0
    states, seconds = [True, False], [-3.5, 7200.0]
    server.metrics.certificate_in_step(lambda: states[0])
    server.metrics.clock_ahead(lambda: seconds[0])
    assert scraped(server)["gracekeeper_certificate_in_step", ()] == 1
    assert scraped(server)["gracekeeper_clock_ahead_seconds", ()] == -3.5
    states.pop(0)
    seconds.pop(0)
    assert scraped(server)["gracekeeper_certificate_in_step", ()] == 0
    assert scraped(server)["gracekeeper_clock_ahead_seconds", ()] == 7200


def test_registries_do_not_meet():
    one, other = Metrics(Refusal), Metrics(Refusal)
    one.bug()
    assert samples(one.text().decode())["gracekeeper_bugs_total", ()] == 1
    assert samples(other.text().decode())["gracekeeper_bugs_total", ()] == 0
