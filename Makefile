# `make help` lists what can be done. Everything that is made lies in .venv/ and build/.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help
help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  \1\t\2/' | expand -t 20

.venv/ready: requirements-dev.lock scripts/venv.sh
	PYTHON=$(PYTHON) sh scripts/venv.sh
	touch $@

.PHONY: lint
lint: .venv/ready ## linters, types, the laws of the layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: test-unit
test-unit: .venv/ready ## unit tests, with all branches of the policy covered
	$(BIN)/pytest --cov --cov-report=term-missing:skip-covered --ignore=tests/supervise tests

.PHONY: test-supervise
test-supervise: .venv/ready ## supervise: go vet, unit tests, both architectures, and what it does as PID 1 (root, or sudo)
	$(BIN)/python -m tools.supervise test
	$(BIN)/python -m tools.supervise build
	$(if $(filter-out 0,$(shell id -u)),sudo -n -E env "PATH=$(PATH)") $(BIN)/pytest -p no:cacheprovider --durations=5 tests/supervise

.PHONY: e2e
e2e: .venv/ready ## tests on a real kind cluster of two nodes, which is made where there is none
	$(BIN)/pytest --durations=10 --ignore=e2e/old e2e

.PHONY: e2e-all
e2e-all: e2e ## and on a cluster whose API server drops native sidecars (Kubernetes 1.30.4, built first: 7 min)
	GRACEKEEPER_CLUSTER=gracekeeper-old GRACEKEEPER_KUBERNETES_VERSION=1.30.4 \
	GRACEKEEPER_FEATURE_GATES=SidecarContainers=false $(BIN)/pytest e2e/old

.PHONY: test
test: lint test-supervise test-unit e2e ## everything that CI runs

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
docs: .venv/ready ## write what is made from the code: pictures, the reference of the chart's values, the configuration's schema, the match condition
	$(BIN)/python -m scripts.pictures
	$(BIN)/python -m scripts.chart_docs
	$(BIN)/python -m scripts.config_schema
	$(BIN)/gracekeeper match-condition > charts/gracekeeper/files/match-condition.cel

.PHONY: lock
lock: ## resolve the dependencies anew, with hashes (needs uv)
	uv pip compile -q --universal --no-strip-extras --generate-hashes --no-annotate --no-header --python-version 3.11 --upgrade pyproject.toml -o requirements.lock
	uv pip compile -q --universal --no-strip-extras --generate-hashes --no-annotate --no-header --python-version 3.11 --upgrade --group dev pyproject.toml -o requirements-dev.lock
