# Every target makes .venv first when it is missing or older than requirements.txt.
# Another Python: make book PYTHON=python3.13

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

# Two test processes for two cores or fewer, else half of them: Numba threads run inside each.
CORES   := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
WORKERS := $(shell n=$$(( $(CORES) / 2 )); [ $$n -gt 2 ] && echo $$n || echo 2)

# Where matplotlib keeps the list of fonts, made before any notebook runs: without it, it would speak in the outputs.
export MPLCONFIGDIR := $(CURDIR)/_build/matplotlib

# Compiled kernels stay in a process: these tests have processes of their own, so that none passes 1.5 GiB.
LARGEST := tests/test_every_loss.py
LARGE   := $(patsubst %,tests/test_%.py,activations arguments compose declarations row_words ties weights_and_sums)

.DEFAULT_GOAL := help
.PHONY: help book test lint bench notebooks requirements clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-14s%s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

book: $(READY)  ## Build the book into _build/html, every notebook executed afresh
	$(BIN)/python tools/build.py

test: $(READY)  ## Run the unit tests, then compare every stored output of the book with a new run
	kernels=$$(mktemp -d); trap 'rm -rf "$$kernels"' EXIT; export LOSSBOOK_CACHE="$$kernels"; \
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(LARGEST) && \
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(LARGE) && \
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(addprefix --ignore=,$(LARGEST) $(LARGE))
	mkdir -p "$(MPLCONFIGDIR)"
	$(BIN)/python -c 'import matplotlib.font_manager' 2>/dev/null
	$(BIN)/python -m pytest --nbval --nbval-current-env --nbval-cell-timeout=300 --nbval-kernel-startup-timeout=120 \
	    --nbval-sanitize-with tests/nbval_sanitize.cfg -n $(WORKERS) --dist loadscope book/

lint: $(READY)  ## Check the style of all code and the types of the package
	$(BIN)/ruff check
	$(BIN)/mypy

bench: $(READY)  ## Time the losses against their peers
	$(BIN)/python -m benchmarks

notebooks: $(READY)  ## Execute the notebooks of the book again, in place
	$(BIN)/python tools/execute.py

requirements: $(READY)  ## Compile requirements.txt from pyproject.toml, keeping versions that still fit
	$(BIN)/python tools/requirements.py

clean:  ## Remove everything that can be made again
	rm -rf $(VENV) _build build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "lossbook needs Python 3.11 or newer, and '$(PYTHON)' is not: try make PYTHON=python3.13" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
