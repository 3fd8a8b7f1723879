# Everything a checkout needs: Python 3.11 or newer, a Rust toolchain and this file. `make` prints what there is.
SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help demo test check check-python check-rust kernel-tests parity chaos outage soak audit advisories bench \
  servers-up servers-down clean

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
LOCKED := $(VENV)/.locked
BENCHED := $(VENV)/.benched
BUILT := $(VENV)/.built
AUDIT := .audit
DENY := $(AUDIT)/bin/cargo-deny
PIP_AUDIT := $(AUDIT)/venv/bin/pip-audit
SOURCES := Cargo.toml Cargo.lock pyproject.toml $(shell find rust -name '*.rs' -o -name Cargo.toml)

# The environment that was activated, if any, is not the one used here; cargo links PyO3 against this one.
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export PYO3_PYTHON := $(CURDIR)/$(PY)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Tests start the service some hundred times; each start would compile it.
unexport PYTHONDONTWRITEBYTECODE
# A second worker needs servers of its own: none where somebody has named servers. More than there are cores: every
# second one waits for what a fault takes.
WORKERS := $(if $(TICKSTOCKPL_TEST_DATABASE_URI)$(TICKSTOCKPL_TEST_REDIS_URL),-n 0,-n 4 --dist worksteal)
PIP_INSTALL := $(PY) -m pip install --quiet

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

demo: $(BUILT) ## a simulated session through the whole service, on private servers (ARGS="--keep")
	@$(PY) $(VENV)/bin/tickstockpl demo $(ARGS)

test: $(BUILT) ## cargo test, then pytest with real TimescaleDB and Redis, four at a time (ARGS="-k late")
	cargo test --locked --quiet --package tickstockpl-kernel
	@$(PY) scripts/with_servers.py $(PY) -m pytest $(WORKERS) $(ARGS)

check: check-python check-rust ## ruff, mypy, stubtest, import-linter, cargo fmt, clippy

check-python: $(BUILT)
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	$(PY) -m mypy.stubtest tickstockpl._kernel
	$(PY) $(VENV)/bin/lint-imports

check-rust: $(LOCKED)
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets --quiet -- --deny warnings

# The programs that `cargo test` runs; they need no Python, so .ci/run builds them beside the rest.
kernel-tests:
	cargo test --locked --quiet --package tickstockpl-kernel --no-run

parity: $(BUILT) ## 10 million bars x 61 candlesticks beside TA-Lib, cell by cell (ARGS="--bars 1e6")
	@$(PY) scripts/candle_parity.py $(ARGS)

chaos: $(BUILT) ## the service and its servers killed at random moments (ARGS="--mode pubsub --kills 20")
	@PYTHONPATH=tests $(PY) -m fault.chaos $(ARGS)

outage: $(BUILT) ## the tick path with the database there, and with it cut off (ARGS="--seconds 20")
	@PYTHONPATH=tests $(PY) -m fault.outage $(ARGS)

soak: $(BUILT) ## a day of 500 symbols through the service; does anything grow? (ARGS="--hours 3")
	@$(PY) scripts/with_servers.py $(PY) scripts/soak.py $(ARGS)

audit: $(DENY) ## licences, sources and doubles of the crates in Cargo.lock (the first time builds cargo-deny)
	$(DENY) --locked check licenses bans sources

advisories: $(DENY) $(PIP_AUDIT) ## known holes in the locked crates and packages; asks two databases on the internet
	$(DENY) --locked check advisories
	$(PIP_AUDIT) --strict --no-deps --disable-pip --progress-spinner off --requirement requirements.lock

bench: $(BUILT) $(BENCHED) ## measure beside the peers; prints ratios
	@$(PY) scripts/with_servers.py $(PY) -m benches $(ARGS)

servers-up: $(LOCKED) ## start the test servers and leave them running; prints their URLs
	@scripts/timescale_up.sh up .run/servers

servers-down: ## stop them and delete their data
	@scripts/timescale_up.sh down .run/servers --purge

clean: ## stop the test servers and delete all that was made here
	@[ ! -d .run/servers ] || scripts/timescale_up.sh down .run/servers --purge
	rm -rf target $(VENV) $(AUDIT) .run dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .benchmarks
	find python tests benches scripts migrations -name __pycache__ -prune -exec rm -rf {} +
	rm -f python/tickstockpl/_kernel.*.so

$(LOCKED): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is not Python 3.11 or newer; name one that is: make PYTHON=python3.12 ..." >&2; exit 1; }
	@[ -x $(PY) ] || $(PYTHON) -m venv $(VENV)
	@echo "installing the locked dependencies into $(VENV)"
	$(PIP_INSTALL) --requirement requirements.lock
	@touch $@

$(BENCHED): requirements-bench.lock $(LOCKED)
	$(PIP_INSTALL) --requirement requirements-bench.lock
	@touch $@

# From the authors' source: what looks for strangers' code is not fetched as a stranger's binary.
$(DENY):
	@echo "building cargo-deny: some minutes, once"
	cargo install --quiet --locked --root $(AUDIT) --version 0.20.2 cargo-deny

$(PIP_AUDIT): requirements-audit.lock
	@$(PYTHON) -m venv $(AUDIT)/venv
	@$(AUDIT)/venv/bin/python -m pip install --quiet --requirement requirements-audit.lock
	@touch $@

$(BUILT): $(LOCKED) $(SOURCES)
	@command -v cargo >/dev/null || { echo "cargo is not on PATH: install a Rust toolchain (1.85 or newer)" >&2; exit 1; }
	@echo "building the Rust extension (release): a minute or two the first time"
	$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@
