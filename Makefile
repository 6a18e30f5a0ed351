# `make help` lists what can be done. Everything that is made lies in .venv/ and build/.
PYTHON ?= python3
BIN := .venv/bin
# Three on two cores: many tests wait, and one more works meanwhile.
WORKERS ?= $(or $(shell n=$$(getconf _NPROCESSORS_ONLN) && echo $$((n * 3 / 2))),auto)
AS_ROOT = $(if $(filter-out 0,$(shell id -u)),sudo -n -E env "PATH=$(PATH)" "HOME=$(HOME)")
OLD_CLUSTER := $(or $(GRACEKEEPER_CLUSTER),gracekeeper)-old

.PHONY: help
help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  \1\t\2/' | expand -t 20

.venv/ready: requirements-dev.lock scripts/venv.sh
	PYTHON=$(PYTHON) sh scripts/venv.sh
	touch $@

# What each part may take, and what it took: tools/loop. Its steps are targets of this file. MAKE is exported, not written
# before the command: make would run a shell for that, which dies of SIGTERM and tells nobody.
export MAKE
LOOP := $(BIN)/python -m tools.loop

.PHONY: test
test: .venv/ready ## what you run before you send a change: all that follows, and the core of the tests on a cluster
	$(LOOP) test

.PHONY: lint
lint: .venv/ready ## linters, types, the laws of the layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: test-unit
test-unit: .venv/ready helm ## unit tests on all cores, with all branches of the policy covered
	$(BIN)/pytest -n $(WORKERS) --dist=worksteal --cov --cov-report=term-missing:skip-covered --durations=5 --ignore=tests/supervise --ignore=tests/launchers tests

.PHONY: test-supervise
test-supervise: .venv/ready supervise ## supervise: go vet, unit tests, and what it does as PID 1 (root, or sudo)
	$(BIN)/python -m tools.supervise test
	$(AS_ROOT) $(BIN)/pytest -p no:cacheprovider -n $(WORKERS) --durations=5 tests/supervise

# Rows wait for most of their time: more of them run at once than there are cores. The first run makes their file system (10 min).
LAUNCHER_ROWS = $(AS_ROOT) $(BIN)/python -m tools.launchers && $(AS_ROOT) $(BIN)/pytest -p no:cacheprovider -n 12 --dist=worksteal --durations=5 tests/launchers

.PHONY: launchers launchers-ci
launchers: .venv/ready supervise ## real launchers (torchrun, mpirun, ...) without and with supervise: 20 min; writes the table of docs/signals.md; ROWS=fsdp runs some
	$(LAUNCHER_ROWS) $(if $(ROWS),-k "$(ROWS)"); code=$$?; $(BIN)/python -m scripts.launcher_table && exit $$code
launchers-ci: .venv/ready supervise
	$(LAUNCHER_ROWS) -m ci

.PHONY: e2e
e2e: .venv/ready ## the other tests on a real kind cluster that CI runs
	$(LOOP) e2e

.PHONY: e2e-all
e2e-all: .venv/ready ## what runs before a release: more rows, and Kubernetes 1.30.4 without native sidecars (built first: 7 min)
	$(LOOP) e2e-all

# The steps of the three. Each runs the tests of one marker (e2e/targets.py), on a cluster that is made where there is none.
.PHONY: e2e-core e2e-ci e2e-release e2e-old-cluster
e2e-core e2e-ci e2e-release: e2e-%: .venv/ready
	$(BIN)/pytest --durations=5 --target=$* e2e
e2e-old-cluster: .venv/ready
	GRACEKEEPER_CLUSTER=$(OLD_CLUSTER) GRACEKEEPER_KUBERNETES_VERSION=1.30.4 \
	GRACEKEEPER_FEATURE_GATES=SidecarContainers=false $(BIN)/pytest --target=old_cluster e2e

.PHONY: helm
helm: .venv/ready ## Helm 3 and 4 as the tests use them, built where they are missing (2 min each)
	$(BIN)/python -m tools.cluster.programs helm3 helm4

.PHONY: supervise
supervise: .venv/ready ## the static helper of task pods, for both architectures, built where its sources have changed
	$(BIN)/python -m tools.supervise build

.PHONY: demo
demo: .venv/ready ## see what gracekeeper does: first without a cluster, then on one that is made for it
	$(BIN)/python -m demo

.PHONY: clean
clean: .venv/ready ## remove the cluster of the demo and the tests
	$(BIN)/python -m tools.cluster down

.PHONY: bench
bench: .venv/ready ## how fast and how small it is, beside a minimal handler
	$(BIN)/python -m bench

.PHONY: image
image: .venv/ready ## both images, as IMAGE=registry/name:tag and registry/supervise:tag (or SUPERVISE_IMAGE), on BASE=python:3.13-slim; PUSH=1 pushes them
	$(BIN)/python -m tools.image $(if $(BASE),--base $(BASE)) $(if $(IMAGE),--tag $(IMAGE)) $(if $(SUPERVISE_IMAGE),--supervise-tag $(SUPERVISE_IMAGE)) $(if $(ARCHITECTURE),--architecture $(ARCHITECTURE)) $(if $(PUSH),--push)

.PHONY: docs
docs: .venv/ready ## write what is made from the code: pictures, the share of pods that learning helps, the reference of the chart's values, the configuration's schema, the match condition
	$(BIN)/python -m scripts.pictures
	$(BIN)/python -m tests.learning_share
	$(BIN)/python -m scripts.chart_docs
	$(BIN)/python -m scripts.config_schema
	$(BIN)/gracekeeper match-condition > charts/gracekeeper/files/match-condition.cel

.PHONY: lock
lock: ## resolve the dependencies anew, with hashes (needs uv)
	uv pip compile -q --universal --no-strip-extras --generate-hashes --no-annotate --no-header --python-version 3.11 --upgrade pyproject.toml -o requirements.lock
	uv pip compile -q --universal --no-strip-extras --generate-hashes --no-annotate --no-header --python-version 3.11 --upgrade --group dev pyproject.toml -o requirements-dev.lock
