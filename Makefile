# The only command entry point; CI calls the same targets. `make help` lists them.
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# The first interpreter of at least 3.11 wins; override with `make PYTHON=python3.13 demo`.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
PYTEST := $(BIN)/python -m pytest
# One after the other: they start servers and look at what happens in time.
TIMED := tests/statemachines tests/integration tests/e2e
TEMPLATES := template.yaml stacks/member.yaml
# Named because ruff passes over directories called build; they have settings of their own.
BUILD_TEMPLATES := $(wildcard templates/*/build)

.DEFAULT_GOAL := help
.PHONY: help setup demo test check lint fmt type unit statemachines integration e2e validate compliance lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

setup: $(READY) ## Install everything, locked, into .venv

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or later found. Install one, or say which: make PYTHON=/path/to/python3 setup" >&2; exit 1; }
	@echo "Installing into $(VENV) with $(PYTHON) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > $(VENV)/uv.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(VENV)/uv.lock
	@$(BIN)/uv pip sync --quiet --compile-bytecode --require-hashes --python $(BIN)/python requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY) ## Run the whole organisation on this machine, end to end
	@$(BIN)/govern demo

test: unit $(READY) ## All tests
	$(PYTEST) $(TIMED)

check: lint type validate test ## Everything CI checks

lint: $(READY) ## ruff
	$(BIN)/ruff check . $(BUILD_TEMPLATES)
	$(BIN)/ruff format --check . $(BUILD_TEMPLATES)

fmt: $(READY) ## Format and fix
	$(BIN)/ruff check --fix . $(BUILD_TEMPLATES)
	$(BIN)/ruff format . $(BUILD_TEMPLATES)

type: $(READY) ## mypy, strict
	$(BIN)/mypy

validate: $(READY) ## cfn-lint, sam validate, checkov, statelint, govern policy check
	$(BIN)/cfn-lint $(TEMPLATES)
	@for t in $(TEMPLATES); do SAM_CLI_TELEMETRY=0 $(BIN)/sam validate --lint --template $$t --region us-east-1 || exit 1; done
	$(BIN)/checkov --quiet --compact --framework cloudformation $(foreach t,$(TEMPLATES),--file $(t))
	@# statelint 3.1 does not know these two fields of a Distributed Map, nor an expression as Seconds; AWS documents all.
	@mkdir -p build/statelint && for m in statemachines/*.asl.json; do \
		sed -e '/^ *"Label": /d' -e '/^ *"ReaderConfig": { "InputType": "JSONL" },$$/d' -e 's/^\( *"Seconds": \)"{% .* %}"/\11/' $$m > build/statelint/$${m##*/} && \
		$(BIN)/statelint build/statelint/$${m##*/} || exit 1; done
	$(BIN)/govern policy check

unit: $(READY) ## Pure domain, contracts and architecture (minutes; on every core)
	$(PYTEST) --numprocesses=logical --maxprocesses=4 tests/unit tests/contracts tests/architecture

statemachines: $(READY) ## Every deployed state machine, path by path
	$(PYTEST) tests/statemachines

integration: $(READY) ## Adapters, handlers and the embedded AWS
	$(PYTEST) tests/integration

e2e: $(READY) ## The deployed system
	$(PYTEST) tests/e2e

compliance: $(READY) ## Write docs/compliance from cli/controls.json
	$(BIN)/python -m cli.compliance docs/compliance

lock: $(READY) ## Re-resolve requirements.in, and the layers within it
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --override requirements.overrides \
		--no-annotate --no-header --generate-hashes requirements.in --output-file requirements.lock
	@for layer in dependencies statistics attestations policy; do $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
		--constraint requirements.lock --no-annotate --no-header --generate-hashes \
		layers/$$layer.in --output-file layers/$$layer.txt || exit 1; done

clean: ## Stop the local stack and remove what was built
	@test ! -x $(BIN)/govern || $(BIN)/govern local down
	rm -rf build .aws-sam
