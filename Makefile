# Two commands: `make laptop` trains and examines a small model on this machine; `make test` runs every check and test.
# `make docs` builds the site of the documents into build/docs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORK ?= work

.PHONY: laptop test lint docs lock clean

laptop: $(VENV)/ready
	$(BIN)/codetextbook run laptop --work $(WORK)

test: $(VENV)/ready lint
	$(BIN)/python -m pytest -n 2

lint: $(VENV)/ready
	$(BIN)/ruff check src tests benchmarks examples docs/.hooks
	$(BIN)/ruff format --check src tests benchmarks examples docs/.hooks
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

docs: $(VENV)/ready
	$(BIN)/mkdocs build --strict

# uv is installed inside the environment that it then fills from the lock, with every hash checked.
$(VENV)/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.5"
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip install --quiet --require-hashes --requirement requirements.lock
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip install --quiet --no-deps --editable .
	touch $@

lock: $(VENV)/ready
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
		--extra laptop --extra dev pyproject.toml --output-file requirements.lock

clean:
	rm -rf $(VENV)
