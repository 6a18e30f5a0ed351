"""What was learned is kept, lost or defended, and every pod is patched meanwhile.

An observer is killed, somebody deletes, breaks or fills the ConfigMap, and namespaces try to change the numbers of another one.
No kubelet runs the training pods here: the tests write how they end (e2e/observer.py).
"""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from string import ascii_lowercase

import pytest

from e2e import pods
from e2e.creations import pods_are_created
from e2e.observer import (
    EVIDENCE_SECONDS,
    LEARNED_SECONDS,
    OWN_SECONDS,
    VALUES,
    Observer,
    WrittenPod,
    a_training_pod,
    next_grace_seconds,
)
from tools.kube import Kube, eventually
from webhook.policy.observed.memory import MOST_BYTES, MOST_SAMPLES, Entry, Lesson, Memory, Sample, text_of
from webhook.policy.prefix import WORKLOAD_LABELS

pytestmark = pytest.mark.release

WORKLOADS = [f"model-{letter}" for letter in ascii_lowercase[:20]]
CUT, IN_TIME = (OWN_SECONDS, 137), (1, 0)
"""Seconds from the signal to the end, and the exit code."""
REPLICAS = 2
FORGOTTEN_SECONDS = 60
NAMESPACES_THAT_FILL = 30


@pytest.fixture(scope="module")
def observer(kube, release) -> Iterator[Observer]:
    release.upgrade(**VALUES)
    # A replica that drains still answers, with the former configuration.
    eventually(lambda: len(release.pods()) == REPLICAS, "the former pods are gone", 180)
    yield Observer(kube, release)
    release.upgrade()


@pytest.fixture
def namespace(kube, request) -> Iterator[str]:
    """A namespace of the row's own: that of the row before may still be ending."""
    name = "-".join(re.findall("[a-z]+", request.node.name.removeprefix("test_given_")))
    kube.make_namespace(name := f"{name[:30]}-{name[-20:]}".replace("--", "-"))
    yield name
    kube.remove_namespaces(name)


@pytest.fixture
def empty_memory(observer: Observer) -> Observer:
    """The observer, with nothing that other tests taught it."""
    observer.write(None)
    eventually(lambda: observer.memory().entries == {}, "an empty memory")
    return observer


@pytest.fixture
def learned(kube, empty_memory: Observer, namespace) -> Observer:
    """The observer, after one run of the workload `model` in the test's namespace was cut."""
    WrittenPod.begin(kube, namespace, "first", "model").stop(*CUT)
    wait_for(kube, namespace, "model", EVIDENCE_SECONDS)
    return empty_memory


def wait_for(kube: Kube, namespace: str, workload: str, seconds: int) -> None:
    sentence = f"the next run of {workload} has {seconds} s"
    eventually(lambda: next_grace_seconds(kube, namespace, workload) == seconds, sentence, LEARNED_SECONDS)


def wait_until_remembered(observer: Observer, *names: str) -> None:
    """Wait until the memory has these pods as last runs of their workloads."""

    def missing() -> set[str]:
        return set(names) - {entry.owner for entry in observer.memory().entries.values()}

    eventually(lambda: not missing(), f"{len(names)} pods are remembered", LEARNED_SECONDS)


@pytest.mark.parametrize("how", ["process", "pod"])
def test_given_twenty_workloads_when_the_observer_is_killed_then_it_keeps_what_it_learned_and_learns_on(
    kube, empty_memory, namespace, how
):
    observer = empty_memory
    with pods_are_created(kube, namespace) as creations, ThreadPoolExecutor(4) as pool:
        running = list(pool.map(lambda each: WrittenPod.begin(kube, namespace, f"run-of-{each}", each), WORKLOADS))
        before, across, after = running[:7], running[7:13], running[13:]
        for pod in (*before, *across):
            pod.tell_to_stop()
        for pod in before:
            pod.end(*CUT)
        wait_until_remembered(observer, *(pod.created["metadata"]["name"] for pod in before))
        observer.kill(how)
        wait_until_remembered(observer, *(pod.created["metadata"]["name"] for pod in before))
        for pod in after:
            pod.tell_to_stop()
        for pod in (*across, *after):
            pod.end(*CUT)
        wait_until_remembered(observer, *(pod.created["metadata"]["name"] for pod in running))
        for workload in WORKLOADS:
            wait_for(kube, namespace, workload, EVIDENCE_SECONDS)
    assert creations.unpatched_at() == []
    assert {len(entry.samples) for entry in observer.memory().entries.values()} == {1}
    assert observer.notes() == []


def delete(observer: Observer) -> None:
    observer.kube("delete", "configmap", observer.memory_name, f"-n{observer.release.namespace}")


DAMAGES = {
    "deleted": delete,
    "emptied": lambda observer: observer.write(None),
    "nonsense": lambda observer: observer.write('{"version": 1, "workloads": "none'),
    "another-version": lambda observer: observer.write('{"version": 2, "workloads": []}'),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_given_a_memory_that_somebody_damages_then_every_pod_is_patched_and_learning_starts_anew(
    kube, learned, namespace, damage
):
    losses = learned.metric("gracekeeper_memory_losses_total")
    with pods_are_created(kube, namespace) as creations:
        DAMAGES[damage](learned)
        eventually(
            lambda: next_grace_seconds(kube, namespace, "model") == OWN_SECONDS, "it is forgotten", FORGOTTEN_SECONDS
        )
        eventually(lambda: "learning starts anew" in str(learned.notes()), "a note in /readyz", FORGOTTEN_SECONDS)
        assert learned.metric("gracekeeper_memory_losses_total") == losses + 1
        assert '"memory lost"' in learned.log()
        WrittenPod.begin(kube, namespace, "second", "model").stop(*CUT)
        wait_for(kube, namespace, "model", EVIDENCE_SECONDS)
        eventually(lambda: learned.notes() == [], "no note is left")
    assert creations.unpatched_at() == []


def full(namespaces: list[str], now: int) -> Memory:
    """More workloads of these namespaces than a ConfigMap holds, with the longest legal names and five runs each."""
    samples = tuple(
        Sample(now - 3600 + number, 2_592_000, 2_592_000, Lesson.SECOND_CLOCK) for number in range(MOST_SAMPLES)
    )
    entry = Entry(samples, "o" * 253)
    each = MOST_BYTES // 500 // len(namespaces)
    return Memory({(name, f"w{number:062}"): entry for name in namespaces for number in range(each)})


def test_given_a_full_memory_then_every_pod_is_patched_and_what_ends_is_learned_within_its_bound(
    kube, learned, namespace
):
    now = newest_of(learned, namespace)
    observer = learned
    with pods_are_created(kube, namespace) as creations:
        observer.write(text_of(full(["n" * 63], now)))
        eventually(lambda: next_grace_seconds(kube, namespace, "model") == OWN_SECONDS, "the memory is another one")
        assert len(observer.text()) > MOST_BYTES - 2000
        WrittenPod.begin(kube, namespace, "second", "model").stop(*CUT)
        wait_for(kube, namespace, "model", EVIDENCE_SECONDS)
        assert len(observer.text().encode()) <= MOST_BYTES
    assert creations.unpatched_at() == []
    assert observer.notes() == []


def newest_of(observer: Observer, namespace: str) -> int:
    """When the namespace's last remembered run ended."""
    return max(entry.seen for (name, _), entry in observer.memory().entries.items() if name == namespace)


def test_given_another_namespace_with_the_same_labels_that_reports_fast_stops_then_the_victims_number_stays(
    kube, learned, namespace
):
    attacker = f"{namespace[:40]}-attacker"
    kube.make_namespace(attacker)
    try:
        before = of(learned, namespace)
        created = kube.create_pod(namespace, {**a_training_pod("shown", "model")})
        labels = {name: created["metadata"]["labels"][name] for name in WORKLOAD_LABELS}
        for number in range(MOST_SAMPLES):
            pod = WrittenPod.begin(kube, attacker, f"same-{number}", "model").stop(*IN_TIME)
            assert labels.items() <= pod.created["metadata"]["labels"].items()
            victims_name = {"workload": min(labels.values())}
            WrittenPod.begin(kube, attacker, f"named-{number}", "model", victims_name).stop(*IN_TIME)
        wait_until_remembered(learned, f"same-{MOST_SAMPLES - 1}", f"named-{MOST_SAMPLES - 1}")
        assert of(learned, namespace) == before
        assert next_grace_seconds(kube, namespace, "model") == EVIDENCE_SECONDS
        assert next_grace_seconds(kube, attacker, "model") == OWN_SECONDS
    finally:
        kube.remove_namespaces(attacker)


def of(observer: Observer, namespace: str) -> dict[str, Entry]:
    """What is remembered of a namespace's workloads."""
    return {key: entry for (name, key), entry in observer.memory().entries.items() if name == namespace}


def test_given_thirty_namespaces_that_fill_the_memory_then_the_victims_number_stays(kube, learned, namespace):
    """The memory is full of their workloads already, all of them younger than the victim's."""
    fillers = [f"filler-{number:02}-{'n' * 50}"[:63].rstrip("-") for number in range(NAMESPACES_THAT_FILL)]
    before, now = of(learned, namespace), newest_of(learned, namespace)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(kube.make_namespace, fillers))
    try:
        theirs = full(fillers, now + 1800).entries
        learned.write(text_of(Memory({**learned.memory().entries, **theirs})))
        eventually(lambda: of(learned, fillers[0]), "the memory is full")
        names = [(filler, f"fills-{number}") for filler in fillers for number in range(3)]
        with pods_are_created(kube, namespace) as creations, ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda each: stated(kube, *each).stop(*IN_TIME), names))
            wait_until_remembered(learned, *(name for _, name in names))
        assert creations.unpatched_at() == []
        assert len(learned.text().encode()) <= MOST_BYTES
        assert of(learned, namespace) == before
        assert next_grace_seconds(kube, namespace, "model") == EVIDENCE_SECONDS
    finally:
        kube.remove_namespaces(*fillers)


def stated(kube: Kube, namespace: str, name: str) -> WrittenPod:
    """A pod whose owner names its workload like it. That is evidence: it has the default grace."""
    return WrittenPod.begin(kube, namespace, name, "model", {"workload": name})


def test_given_an_observer_whose_image_is_not_there_then_every_pod_is_patched_and_has_what_was_learned(
    kube, learned, namespace, image
):
    deployment = f"deployment/{learned.release.name}-observer"
    words = ("set", "image", f"-n{learned.release.namespace}", deployment)
    with pods_are_created(kube, namespace) as creations:
        kube(*words, "observer=example.invalid/no-such-image:1")
        try:
            eventually(lambda: not learned.is_ready(), "the observer is away", 120)
            assert next_grace_seconds(kube, namespace, "model") == EVIDENCE_SECONDS
        finally:
            kube(*words, f"observer={image}")
            learned.wait_until_ready()
    assert creations.unpatched_at() == []


def test_given_an_observer_without_its_rights_then_every_pod_is_patched_and_it_says_what_is_missing(
    kube, learned, namespace
):
    binding = f"{learned.release.namespace}.{learned.release.name}-observer"
    held = kube.get("clusterrolebinding", binding)
    with pods_are_created(kube, namespace) as creations:
        kube("delete", "clusterrolebinding", binding)
        try:
            pod = learned.pod()["metadata"]["name"]
            kube("delete", "pod", pod, f"-n{learned.release.namespace}")
            eventually(lambda: "403 Forbidden" in learned.log(), "it says that it may not list pods", 120)
            assert not learned.is_ready()
            assert next_grace_seconds(kube, namespace, "model") == EVIDENCE_SECONDS
            created = kube.create_pod(namespace, a_training_pod("labelled", "model"))
            assert set(WORKLOAD_LABELS) <= created["metadata"]["labels"].keys()
            assert pods.is_patched(created)
        finally:
            kube.apply(
                {key: held[key] for key in ("apiVersion", "kind", "roleRef", "subjects")}
                | {
                    "metadata": {
                        "name": binding,
                        "labels": held["metadata"]["labels"],
                        "annotations": held["metadata"]["annotations"],
                    }
                }
            )
            learned.wait_until_ready()
    assert creations.unpatched_at() == []
