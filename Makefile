# Each target sets up what it needs: an environment in .venv, by pip alone; the second time everything is there.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Both names of the variable: the second is that of a newer pip for what the build itself needs.
PIP := PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt \
	$(BIN)/python -m pip --quiet --disable-pip-version-check
ARGS ?=
# Two for each processor, as many tests wait for a clock. Who is through helps the others.
WORKERS ?= $(shell echo $$(( $$(nproc) * 2 )))
# Each worker collects all that it is given: not what it would leave out.
UNIT := -q -n $(WORKERS) --dist worksteal -m "not e2e" --ignore=tests/e2e
# They wait more than they compute; a file's tests may share servers, and stay together. At the end stands what was left
# out, and why: who is not root has no network namespaces.
E2E := -q -rs -n 2 --dist loadfile -m e2e
# Bytecode is kept, that of tests above all: making it takes longer than most of them. Empty is as good as not set.
export PYTHONDONTWRITEBYTECODE :=

help: ## what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "More options: make serve ARGS='--http 9090', make unit ARGS='-k stun -x'"
	@echo "Another Python: make unit PYTHON=python3.13 VENV=.venv-3.13"

# An environment holds its own path and that of its Python: it is made anew after a move, or when that Python is gone.
stale := $(shell test -e $(VENV)/pyvenv.cfg && { test ! -x $(BIN)/python || \
	grep '^command = ' $(VENV)/pyvenv.cfg | grep -vF ' $(CURDIR)/$(VENV)'; } && echo stale)
ifneq ($(stale),)
.PHONY: $(BIN)/python $(VENV)/.app $(VENV)/.dev
endif

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "trio-voice needs Python 3.11 or newer. Name one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "» making a virtual environment in $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); \
		echo "Python's venv is missing or incomplete. On Debian, as root: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/.app: pyproject.toml constraints.txt | $(BIN)/python
	@echo "» installing trio-voice and what it needs (with pip; about half a minute the first time)"
	@$(PIP) install -e . || { \
		echo "pip says above why it failed. Is its package index in reach? 'make' goes on where it stopped." >&2; exit 1; }
	@touch $@

$(VENV)/.dev: $(VENV)/.app deploy/dev_requirements.py
	@echo "» installing the tools of the tests and checks (with pip; about a minute the first time)"
	@$(BIN)/python deploy/dev_requirements.py > $@.txt
	@$(PIP) install -r $@.txt
	@touch $@

serve: $(VENV)/.app ## run the whole edge on this machine and print its address
	@$(BIN)/trio-voice serve $(ARGS)

check: lint types contracts ## lint, types and import contracts

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

contracts: $(VENV)/.dev
	$(BIN)/lint-imports --no-logo

unit: $(VENV)/.dev ## the tests that need no browser and no other process than Redis (a minute or less on two processors)
	@deploy/install-test-packages unit
	$(BIN)/pytest $(UNIT) $(ARGS)

# The quick ones first, and in a process of their own: a browser's driver keeps the event loop that some of them want.
test: $(VENV)/.dev system-packages ## all tests, real browsers included (about a quarter of an hour)
	$(BIN)/pytest $(UNIT)
	$(BIN)/pytest $(E2E)

system-packages:
	@deploy/install-test-packages

bench: $(VENV)/.dev ## the measurements of the design, as ratios in one run
	@deploy/install-test-packages bench
	$(BIN)/python -m bench $(ARGS)

soak: $(VENV)/.dev ## ten thousand calls, ten minutes of a busy relay, an hour of a busy fleet: nothing may be left, nobody taken for dead
	$(BIN)/python -m bench.soak $(ARGS)

keep-release: $(VENV)/.dev ## keep the release COMMIT=… for the tests of fleets that are being upgraded
	$(BIN)/python deploy/keep_release.py $(or $(COMMIT),HEAD)

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help serve check lint types contracts unit test bench soak keep-release clean system-packages
