.PHONY: demo test check docs simulate chaos fuzz install clean

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Run the quickstart study: environment, model, data, verdict, report.
demo: $(VENV)/.installed
	$(BIN)/harness doctor --fetch
	$(BIN)/harness run experiments/quickstart.yaml

# Lint, types, tests.
test: $(VENV)/.installed-dev check
	$(BIN)/harness doctor --fetch
	$(BIN)/pytest

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The pages of docs/ as a site in docs/_build, to be opened with any browser; warnings are errors.
docs: $(VENV)/.installed-dev
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet -b html -c docs . docs/_build
	@echo "Documentation: docs/_build/index.html"

# Simulated studies with a known truth, thousands of each kind; writes the table of docs/simulation.md.
simulate: $(VENV)/.installed-dev
	cd tests && OMP_NUM_THREADS=1 $(abspath $(BIN))/python -m simulation

# Coordinators killed at 200 random moments, trials killed, records torn; prints what that cost.
chaos: $(VENV)/.installed-dev
	cd tests && OMP_NUM_THREADS=1 $(abspath $(BIN))/python -m chaos

# 10,000 malformed experiments and data files, counted by outcome: all must be refused cleanly.
fuzz: $(VENV)/.installed-dev
	cd tests && OMP_NUM_THREADS=1 $(abspath $(BIN))/python -m fuzz

install: $(VENV)/.installed

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
