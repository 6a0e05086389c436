# Every verb of the project. `make` alone lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11 python3.14; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$name" && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Three test processes unless said otherwise, since many tests wait for processes; ARGS reaches pytest, for example ARGS="tests/web -x".
JOBS ?= 3
ARGS ?=
ARRIVALS ?=
ONLY ?=
DURATION_S ?=
SEED ?=

.PHONY: help run test test-world check fix bench chaos docs pictures lock

help: ## List the verbs
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r verb text; do \
		printf '  make %-11s %s\n' "$$verb" "$$text"; done

run: $(BIN)/.run ## Install, migrate and serve the demo on http://127.0.0.1:8400 until Ctrl-C
	@BROADCAST_DEMO="$${BROADCAST_DEMO:-1}" exec $(BIN)/broadcast serve

test: $(BIN)/.dev ## Run the tests: both databases, a real browser, branch coverage
	CHROMIUM="$$($(BIN)/python -m tests.chromium)" \
		$(BIN)/python -m pytest -n $(JOBS) --dist worksteal --cov --cov-report=term:skip-covered $(ARGS)

test-world: $(BIN)/.dev ## Run the tests that install or start foreign programs
	$(BIN)/python -m pytest -m world --timeout=900 $(ARGS)

check: $(BIN)/.dev ## Check format, lint, types, then run the tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	@$(MAKE) --no-print-directory test

fix: $(BIN)/.dev ## Format the code and mend what the linter can mend
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

bench: $(BIN)/.dev ## Measure against peers in the same run; ARRIVALS=FILE replays arrivals, ONLY="isolation memory" picks
	$(BIN)/python -m tests.benchmarks $(ONLY) $(if $(ARRIVALS),--arrivals "$(ARRIVALS)")

chaos: $(BIN)/.dev ## Kill web, worker and PostgreSQL for ten minutes (DURATION_S, SEED) and count what arrives
	DURATION_S="$(DURATION_S)" SEED="$(SEED)" $(BIN)/python -m pytest -m chaos --timeout=3600 -s $(ARGS)

docs: $(BIN)/.dev ## Write what the documents say of the code, and build their site into site/
	$(BIN)/python -m tests.write_docs
	$(BIN)/mkdocs build --quiet --strict

pictures: $(BIN)/.dev ## Take the pictures of the documents again, in a real browser
	CHROMIUM="$$($(BIN)/python -m tests.chromium)" SCREENSHOTS=docs/pictures \
		$(BIN)/python -m pytest tests/e2e/test_pictures.py $(ARGS)

lock: $(BIN)/.dev ## Resolve the dependencies again, newest versions, with hashes
	$(BIN)/uv pip compile $(LOCK_FLAGS) --group build pyproject.toml --output-file requirements.lock
	$(BIN)/uv pip compile $(LOCK_FLAGS) --group build --group dev pyproject.toml --output-file requirements-dev.lock

LOCK_FLAGS := --quiet --upgrade --universal --generate-hashes --no-header --no-annotate --no-emit-index-url \
	--python-version 3.11

# The stamps are newer than what they were made from, so that a second run starts at once.
$(BIN)/.venv:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and was not found." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
		echo "$(PYTHON) has no ensurepip. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Making .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv
	@touch $@

$(BIN)/.run: $(BIN)/.venv requirements.lock pyproject.toml
	@echo "Installing the locked dependencies"
	@$(PIP) install --require-hashes --requirement requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(BIN)/.dev: $(BIN)/.run requirements-dev.lock
	@echo "Installing the locked development dependencies"
	@$(PIP) install --require-hashes --requirement requirements-dev.lock
	@touch $@
