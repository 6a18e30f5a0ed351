"""The one prefix of every label and annotation of gracekeeper."""

PREFIX = "gracekeeper.dev/"
DECISION_ANNOTATION = PREFIX + "decision"
ENABLED_LABEL = PREFIX + "enabled"
ENVIRONMENT_PREFIX = "GRACEKEEPER_"
SERVER_ENVIRONMENT_PREFIX = "GRACEKEEPER_SERVER_"
