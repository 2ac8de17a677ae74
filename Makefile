# make serve | check | unit | test | bench. Everything each needs is set up by it.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

help: ## what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@echo "» making a virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.app: pyproject.toml | $(BIN)/python
	@echo "» installing trio-voice and what it needs (pip, about half a minute the first time)"
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.app constraints.txt
	@echo "» installing the tools of the tests and checks"
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt \
		$$($(BIN)/python deploy/dev_requirements.py)
	@touch $@

serve: $(VENV)/.app ## run the whole edge on this machine and print its address
	@$(BIN)/trio-voice serve

check: $(VENV)/.dev ## lint, types and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(VENV)/.dev ## the tests that need no other process (under a minute)
	$(BIN)/pytest -q -m "not e2e"

test: $(VENV)/.dev system-packages ## all tests, a real Chromium included
	$(BIN)/pytest -q

system-packages:
	@deploy/install-test-packages

bench: $(VENV)/.dev system-packages ## the measurements of the design, as ratios in one run
	$(BIN)/python -m bench

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

.PHONY: help serve check unit test bench clean system-packages
