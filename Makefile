# Labkeeper. `make help` lists what there is; `make demo` and `make test` do all the set-up they need.

SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
UV_VERSION := 0.13.8
UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
SIMULATOR := images/ot2-simulator
ONLY ?=
SEED ?=

export UV_PYTHON_DOWNLOADS := never

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z][a-z0-9-]*:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

.PHONY: setup
setup: .venv/.stamp $(SIMULATOR)/.venv/.stamp ## Make .venv with everything in it, and the OT-2 simulator's; brings uv if it is missing

.tools/bin/uv:
	@echo "no uv here: installing $(UV_VERSION) into .tools"
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Labkeeper needs Python 3.11 to 3.13; $(PYTHON) is " + sys.version.split()[0])'
	@$(PYTHON) -m venv .tools
	@.tools/bin/python -m pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"

.venv/.stamp: uv.lock pyproject.toml $(wildcard */pyproject.toml) | $(UV)
	@$(UV) sync --frozen --all-packages --quiet
	@touch $@

# Where uv is on PATH there is nothing to make for it.
ifneq ($(UV),.tools/bin/uv)
$(UV): ;
endif

.PHONY: demo
demo: setup ## Run the plate hotel and the battery lab on simulated hardware
	@$(BIN)/labkeeper demo

.PHONY: test
test: check test-unit test-chart test-ot2-simulator test-integration test-e2e ## Run every test

.PHONY: test-unit
test-unit: setup ## Decisions and other pure parts; needs no server
	@$(PYTEST) tests/unit

.PHONY: test-integration
test-integration: setup ## Real Prefect server, real API server, real SDK on a simulated bus
	@# Side by side: those of the operator mostly wait, for outages to pass and for schedules to be due.
	@$(PYTEST) tests/integration/operator > .test-operator.log 2>&1 & operator=$$!; \
	$(PYTEST) tests/integration --ignore=tests/integration/operator; rest=$$?; \
	wait $$operator; operator=$$?; cat .test-operator.log; rm -f .test-operator.log; \
	exit $$((rest + operator))

.PHONY: test-chart
test-chart: setup ## What is generated in the chart
	@$(PYTEST) tests/chart

.PHONY: test-ot2-simulator
test-ot2-simulator: $(SIMULATOR)/.venv/.stamp ## The OT-2 simulator, a project of its own
	@cd $(SIMULATOR) && .venv/bin/python -m pytest -q

$(SIMULATOR)/.venv/.stamp: $(SIMULATOR)/uv.lock $(SIMULATOR)/pyproject.toml | $(UV)
	@$(UV) sync --frozen --quiet --project $(SIMULATOR)
	@touch $@

.PHONY: test-e2e
test-e2e: setup ## The labkeeper command as its user meets it, and short forms of the torture runs
	@$(PYTEST) tests/e2e

.PHONY: check
check: setup ## Lint, types, import contracts, lock file and generated files
	@$(UV) lock --check --quiet
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache > .import-contracts.log || { cat .import-contracts.log; exit 1; }
	@rm -f .import-contracts.log
	@$(BIN)/python charts/generate.py --check

.PHONY: format
format: setup ## Format the code and mend what can be mended
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format --quiet .

.PHONY: manifests
manifests: setup ## Generate the CustomResourceDefinitions and the flow catalog of the chart
	@$(BIN)/python charts/generate.py

.PHONY: bench
bench: setup ## Measure against what users would use instead; ONLY=name for one
	@$(BIN)/python -m tests.bench $(ONLY)

.PHONY: torture
torture: setup ## Long randomised fault runs; ONLY=name for one, SEED=n to repeat one
	@$(BIN)/python -m tests.torture $(ONLY) $(if $(SEED),--seed $(SEED))

.PHONY: clean
clean: ## Remove what the targets made
	@rm -rf .venv $(SIMULATOR)/.venv .tools .cache .test-operator.log .mypy_cache .ruff_cache .pytest_cache .hypothesis bench-results
