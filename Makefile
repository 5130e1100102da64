.PHONY: demo readme test test-fast check lint pages docs simulate replicate chaos fuzz install install-dev clean

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Run the quickstart study: environment, model, data, verdict, report.
demo: $(VENV)/.installed
	$(BIN)/harness doctor --fetch
	$(BIN)/harness run experiments/quickstart.yaml

# README's block on the demo, and the picture of its report, from the study that `make demo` left.
readme: $(VENV)/.installed-dev
	$(BIN)/python -m tools.readme_block results quickstart

# A process of tests for each core and one more, as some tests wait; at most 8, each with one thread.
# Compiled files are kept: tests start many programs that would compile them again.
# Where there is room, what they write stays in memory: on a disk each trial waits until it lies there.
SHM := $(shell df -k --output=avail /dev/shm 2>/dev/null | awk 'NR == 2 && $$1 > 8000000 { print "/dev/shm" }')
PROCESSES := $(shell cores=$$(getconf _NPROCESSORS_ONLN) && echo $$((cores < 8 ? cores + 1 : 8)))
TESTS = $(if $(SHM),TMPDIR=$(SHM)) OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/pytest \
    --numprocesses $(PROCESSES) --dist worksteal

# Lint, types, all tests. Types take one core for a minute, and are checked beside the tests.
test: $(VENV)/.installed-dev lint
	$(BIN)/harness doctor --fetch
	$(BIN)/mypy & types=$$!; $(TESTS); tests=$$?; wait $$types && exit $$tests

# The tests that need no model weights, no Ray and no browser.
test-fast: $(VENV)/.installed-dev
	$(TESTS) -m "not weights and not ray and not browser"

check: lint
	$(BIN)/mypy

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The pages of docs/ as a site in docs/_build, to be opened with any browser; warnings are errors.
docs: $(VENV)/.installed-dev
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet -b html -c docs . docs/_build
	@echo "Documentation: docs/_build/index.html"

# Simulated studies with a known truth, thousands of each kind; writes the table of docs/simulation.md.
simulate: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m lab.simulation

# Two arms of 60 seeds each, against themselves; writes the second table of docs/simulation.md. An hour.
replicate: $(VENV)/.installed-dev
	$(BIN)/python -m lab.simulation.replication

# Coordinators killed at 200 random moments, trials killed, records torn; prints what that cost.
chaos: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m lab.chaos

# 10,000 malformed experiments and data files, counted by outcome: all must be refused cleanly.
fuzz: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m lab.fuzz

# The reference pages, and the reports that tests compare with, written anew from the code.
pages: $(VENV)/.installed-dev
	HARNESS_WRITE_GOLDEN=1 $(BIN)/pytest tests/test_docs.py tests/test_docs_commands.py \
	    tests/report/test_formats.py tests/report/test_json.py

install: $(VENV)/.installed

install-dev: $(VENV)/.installed-dev

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) docs/_build .mypy_cache .ruff_cache .pytest_cache
