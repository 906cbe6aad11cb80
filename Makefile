# `make demo` and `make test` do all the set-up there is; `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV ?= .venv
DEMO ?= demo-workspace
PYTEST_ARGS ?=

BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help env audio demo test check bench realsize screenshots constraints clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14
	@echo 'Variables: VENV=$(VENV) (where the environment goes), DEMO=$(DEMO), PYTHON=/path/to/python3.11, PYTEST_ARGS='

env: $(READY) ## make the environment, or bring it up to date

$(READY): pyproject.toml constraints.txt scripts/make_env.sh
	@bash scripts/make_env.sh $(VENV)
	@touch $@

audio: ## try again to add simpleaudio to the environment
	@rm -f $(READY)
	@$(MAKE) --no-print-directory env

demo: $(READY) ## make the demo workspace and open the dashboard on it
	@[ -e $(DEMO)/sao.toml ] || $(BIN)/sao-tui demo $(DEMO) --prepare-only
	@$(BIN)/sao-tui $(abspath $(DEMO))

test: $(READY) ## run every test, the fast ones first
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -rs $(PYTEST_ARGS)

check: $(READY) ## lint, formatting, types, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(READY) ## measure the start of the dashboard and its chart
	@$(BIN)/python -m tests.bench.startup
	@$(BIN)/python -m tests.bench.chart

realsize: $(READY) ## run the whole path at SAO-small's real size with random weights (11 GB of disk, 10 GB of memory)
	@$(BIN)/python -m scripts.realsize

screenshots: $(READY) ## export docs/images/*.svg from the dashboard
	@$(BIN)/python -m scripts.screenshots

constraints: $(READY) ## write constraints.txt anew from pyproject.toml, keeping versions that still fit
	@bash scripts/make_constraints.sh

clean: ## remove the environment and caches; workspaces stay
	rm -rf $(VENV) .uv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache snapshot_report.html
	find sao_tui tests scripts -name __pycache__ -prune -exec rm -rf {} +
