# democratic-ai: `make help` lists what can be made. Every target sets up what it needs.
SHELL   := /bin/bash
PYTHON  ?= python3
BIN     := .venv/bin

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-10s %s\n", $$1, $$2}'

setup: .venv/ready  ## a virtual environment in .venv, exactly as requirements.lock says

.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "make: Python 3.11 or newer is needed; name one with PYTHON=/path/to/python3")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $@

sync: setup  ## after editing nbs/text/NAME.py (or the notebook): pair, clean, export; NB=nbs/text/NAME.py for one
	$(BIN)/jupytext --quiet --sync $(or $(NB),nbs/text/*.py)
	$(BIN)/nbdev-clean
	$(BIN)/jupytext --quiet --sync $(or $(NB),nbs/text/*.py)
	$(BIN)/nbdev-export

execute: setup  ## run component notebooks and keep their outputs; NB=nbs/04_cloning.ipynb for one
	$(BIN)/jupyter nbconvert --log-level=WARN --to notebook --execute --inplace $(or $(NB),nbs/[01]*.ipynb)
	$(BIN)/nbdev-clean
	$(BIN)/jupytext --quiet --sync $(or $(NB),nbs/[01]*.ipynb)
