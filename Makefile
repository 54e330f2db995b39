# Every target builds .venv on first use and installs only what it needs; a stamp file per extra remembers it.
# Needs Python 3.11+ with pip, and make.
#
#   make demo [TEXT=path]   make test [PYTEST="-k name"]   make check   make bench [BENCH="--rounds 5"]

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PY     := $(BIN)/python
# What pip and fontconfig would leave in HOME stays here, so an empty or read-only HOME does no harm.
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export MPLCONFIGDIR := $(CURDIR)/$(VENV)/matplotlib
export MPLBACKEND ?= Agg
# One BLAS thread: small products are faster so, and results are the same on every machine.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
# The long suites run in one process for each core, up to four. PYTEST="-n 0 ..." runs them in one.
PARALLEL := -n logical --maxprocesses 4 --dist worksteal

.DELETE_ON_ERROR:
.PHONY: help demo app bench bench-smoke docs check test test-install test-slow test-mpi test-peers test-browser notebooks lint format fuzz properties clean

help:
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 22

$(VENV)/python.stamp:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and \
	  f"tinygrad_rnn needs Python 3.11 or newer; $(PYTHON) is {v[0]}.{v[1]}. Try: make PYTHON=python3.12 ...")'
	@echo "creating $(VENV)"
	@$(PYTHON) -m venv $(VENV) 2>/dev/null \
	  || { $(PYTHON) -m venv --clear --without-pip $(VENV) && $(PYTHON) -m pip --python $(VENV) install -q pip; }
	@touch $@

$(VENV)/base.stamp: pyproject.toml $(VENV)/python.stamp
	@echo "installing tinygrad_rnn into $(VENV)"
	@$(PY) -m pip install -qq -e .
	@touch $@

$(VENV)/%.stamp: $(VENV)/base.stamp
	@echo "installing the extra '$*' into $(VENV)"
	@$(PY) -m pip install -qq -e '.[$*]'
	@touch $@

demo: $(VENV)/base.stamp ## train, draw and check a character RNN (TEXT=path)
	@$(ONE_THREAD) $(PY) examples/demo.py $(if $(TEXT),--text "$(TEXT)")

app: $(VENV)/app.stamp ## the dashboard, on loopback
	@$(PY) -m tinygrad_rnn app

test: $(VENV)/test.stamp ## the suite, without other frameworks, browser and long runs
	@$(ONE_THREAD) $(PY) -m pytest -q $(PARALLEL) -m "not peers and not browser and not slow and not mpi and not install" $(PYTEST)

test-slow: $(VENV)/test.stamp ## long runs only
	@$(ONE_THREAD) $(PY) -m pytest -q $(PARALLEL) -m "slow and not peers and not browser and not mpi and not install" $(PYTEST)

test-peers: $(VENV)/test.stamp $(VENV)/peers.stamp ## against PyTorch and the others
	@$(ONE_THREAD) $(PY) -m pytest -q $(PARALLEL) -m "peers and not browser" $(PYTEST)

test-mpi: $(VENV)/test.stamp $(VENV)/mpi.stamp ## several ranks under mpiexec: the same weights, and faults
	@$(ONE_THREAD) $(PY) -m pytest -q -m "mpi" $(PYTEST)

test-browser: $(VENV)/test.stamp $(VENV)/browser.stamp ## the pages in a headless Chromium
	@$(ONE_THREAD) $(PY) -m pytest -q -m "browser" $(PYTEST)

test-install: $(VENV)/test.stamp ## fresh environments: without extras, and with each alone
	@$(ONE_THREAD) $(PY) -m pytest -q -m "install" $(PYTEST)

notebooks: $(VENV)/test.stamp ## execute every notebook and numbered example
	@$(ONE_THREAD) $(PY) -m pytest -q tests/examples $(PYTEST)

lint: $(VENV)/lint.stamp ## ruff and pyright
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright

format: $(VENV)/lint.stamp ## let ruff rewrite what it can
	@$(BIN)/ruff check --fix -q .
	@$(BIN)/ruff format -q .

bench: $(VENV)/peers.stamp ## the timing tables
	@$(PY) -m tests.benchmarks $(BENCH)

bench-smoke: $(VENV)/base.stamp ## the benchmarks once round, to see that they run
	@$(PY) -m tests.benchmarks --smoke

docs: $(VENV)/docs.stamp ## API reference into docs/api
	@rm -rf docs/.new  # what stands in docs/api is replaced as a whole, when all is written
	@# pdoc cannot evaluate a named tuple's annotations, nor those of methods beside one that is called int or bool.
	@$(PY) -W error -W "ignore:Error parsing type annotation" -W "ignore:Error parsing source code" -m pdoc -o docs/.new \
	  -d numpy --math tinygrad_rnn viz '!tinygrad_rnn.cli' '!tinygrad_rnn.dashboard' '!tinygrad_rnn.__main__'
	@rm -rf docs/api && mv docs/.new docs/api

fuzz: $(VENV)/test.stamp ## random programs and models, every way of running them compared (MINUTES=10)
	@$(ONE_THREAD) $(PY) -m tests.fuzz --minutes $(or $(MINUTES),10) $(FUZZ)

properties: $(VENV)/test.stamp ## the property tests with fresh examples, and many
	@$(ONE_THREAD) HYPOTHESIS_PROFILE=fuzz $(PY) -m pytest -q -m "not peers and not browser and not mpi and not install" -k "property or machine" $(PYTEST)

check: ## everything CI runs
	@PYTHON="$(PYTHON)" .ci/run

clean: ## remove .venv and everything generated
	@rm -rf $(VENV) build dist docs/api docs/.new demo_output bench_output .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
