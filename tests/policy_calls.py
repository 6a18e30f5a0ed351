"""The policy as tests call it: one step from a raw pod to its decision."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from webhook.manifests import PodInFile
from webhook.manifests.file_facts import FileFacts
from webhook.policy.checkpoint.writers import indexed_job
from webhook.policy.configuration import Config, Profile, UnknownSize
from webhook.policy.decision import Decision
from webhook.policy.door import Look, decide, first_look
from webhook.policy.facts import Facts, Lookups, Namespace
from webhook.policy.pod import read_pod
from webhook.policy.statements.statements import Statements, statements_about
from webhook.policy.storage.lookups import lookups_for

NOTHING = Facts()
BUILT_IN = Config()


def look_at(
    pod: Mapping[str, Any],
    config: Config = BUILT_IN,
    namespace_name: str = "n",
    namespace: Mapping[str, Any] | None = None,
) -> Look:
    return first_look(read_pod(pod), Namespace(namespace_name, namespace), config)


def decide_pod(
    pod: Mapping[str, Any],
    facts: Facts = NOTHING,
    config: Config = BUILT_IN,
    namespace_name: str = "n",
    namespace: Mapping[str, Any] | None = None,
) -> Decision:
    return decide(look_at(pod, config, namespace_name, namespace), facts)


def statements_of(
    pod: Mapping[str, Any], namespace: Mapping[str, Any] | None = None, profile: Profile | None = None
) -> Statements:
    return statements_about(read_pod(pod), namespace, profile)


def lookups_of(pod: Mapping[str, Any], unknown_size: UnknownSize) -> Lookups:
    return lookups_for(read_pod(pod), statements_of(pod), unknown_size)


def facts_in_files(pod_in_file: PodInFile, objects: Sequence[Mapping[str, Any]] | None) -> Facts:
    """Everything that files tell about the pod, whether or not it counts."""
    pod = read_pod(pod_in_file.pod)
    claims = tuple(volume.claim_name for volume in pod.volumes if volume.claim_name)
    lookups = Lookups(claims, indexed_job(pod))
    return asyncio.run(FileFacts(pod_in_file, objects).facts(pod_in_file.namespace, lookups, 0))
