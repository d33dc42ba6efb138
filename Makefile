# `make demo` and `make test` need nothing but Python 3.11 or newer: each makes the environment first, if it is not there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-slow lint bench clean

demo: $(READY)  ## draw videos, learn what happens in them, and write a page that shows what was found
	$(BIN)/untrimmed demo

test: $(READY)  ## the tests, in two processes of one thread each: tensors here are too small for more threads
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

test-slow: $(READY)  ## those that are left out there: trainings in several processes, a cluster, a compiler
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup -m slow

lint: $(READY)  ## style, types, and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)  ## ratios of speed, measured in one run
	$(BIN)/python benchmarks/speed.py

$(READY): pyproject.toml constraints.txt
	@echo "Installing into $(VENV), which takes a minute or more"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $(READY)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
