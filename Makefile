# make demo   the main result, from nothing      make test   the tests      make help   the rest
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: demo test lint clean help

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
OUT ?= runs/demo
ARGS ?=

NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
# The first of these that is new enough; PYTHON=... decides otherwise.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c '$(NEW_ENOUGH)' 2>/dev/null && echo $$python && break; done)

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1 - \2/p' $(MAKEFILE_LIST)

demo: $(STAMP) ## Run the main job into runs/demo; ARGS="--quick" passes options on
	$(BIN)/optics4f demo --out "$(OUT)" $(ARGS)

test: $(STAMP) ## Run the tests; ARGS="-k masks" passes options on
	$(BIN)/python -m pytest $(ARGS)

lint: $(STAMP) ## Check style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

clean: ## Remove .venv, caches and build folders; results in runs stay
	rm -rf $(VENV) build dist optics4f.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache
	find optics4f models calibration tests -type d -name __pycache__ -prune -exec rm -rf {} +

$(STAMP): override FOUND = $(or $(PYTHON),python3)
$(STAMP): setup.cfg constraints.txt
	@$(FOUND) -c '$(NEW_ENOUGH)' 2>/dev/null || { echo "optics4f needs Python 3.11 or newer, but $(FOUND) is \
	$$($(FOUND) --version 2>/dev/null || echo missing); name another one with make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Installing into $(VENV) with $$($(FOUND) --version); this takes some minutes the first time, mostly for PyTorch."
	@$(FOUND) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check -e ".[fab,train,dev]" -c constraints.txt
	@touch $@
