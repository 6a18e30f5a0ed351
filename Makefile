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
	$(BIN)/pytest --cov --cov-report=term-missing:skip-covered tests

.PHONY: test
test: lint test-unit ## everything that CI runs

.PHONY: lock
lock: ## resolve the dependencies anew, with hashes (needs uv)
	uv pip compile -q --universal --no-strip-extras --generate-hashes --no-annotate --no-header --python-version 3.11 --upgrade pyproject.toml -o requirements.lock
	uv pip compile -q --universal --no-strip-extras --generate-hashes --no-annotate --no-header --python-version 3.11 --upgrade --group dev pyproject.toml -o requirements-dev.lock
