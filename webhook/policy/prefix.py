"""The one prefix of every label and annotation of gracekeeper."""

PREFIX = "gracekeeper.dev/"
DECISION_ANNOTATION = PREFIX + "decision"
ENABLED_LABEL = PREFIX + "enabled"
WORKLOAD_LABEL = PREFIX + "workload-coarse"
EXACT_WORKLOAD_LABEL = PREFIX + "workload-exact"
WORKLOAD_LABELS = (WORKLOAD_LABEL, EXACT_WORKLOAD_LABEL)
"""What gracekeeper writes on training pods, so that the observer knows a workload again. Nobody else's word: on a pod that
comes in, they were copied from another pod, or are ours of an earlier call. The observer watches pods that have the first."""
ENVIRONMENT_PREFIX = "GRACEKEEPER_"
SERVER_ENVIRONMENT_PREFIX = "GRACEKEEPER_SERVER_"
OBSERVER_ENVIRONMENT_PREFIX = "GRACEKEEPER_OBSERVER_"
