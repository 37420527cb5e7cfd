# democratic-ai: `make help` lists what can be made. Every target sets up what it needs.
SHELL   := /bin/bash
PYTHON  ?= python3
PROFILE ?= laptop
SEEDS   ?=
RESULTS ?= paper/results
CORES   ?= 2
CLUSTER ?=
JOBS    ?= 100
EACH    ?= mem_mb=2500 runtime=240
BIN     := .venv/bin
# what the compiler has translated once is kept: seeds, repeats and tests do not wait for it again
export JAX_COMPILATION_CACHE_DIR := $(CURDIR)/.jax_cache
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS := 0
# a step has one core; BLAS at work on small matrices with more threads than that spends most of its time waiting for them
export OMP_NUM_THREADS := 1
# what Python has compiled once is kept, too, even where the environment says otherwise: libraries load twice as fast
unexport PYTHONDONTWRITEBYTECODE
# on a cluster every step is a job of one core that asks for EACH; one that dies is sent a second time and goes on from its checkpoint
WHERE = $(if $(CLUSTER),--executor $(CLUSTER) --jobs $(JOBS) --retries 1 --latency-wait 60 --default-resources $(EACH) $(CLUSTER_OPTIONS),--cores $(CORES))
# what changed in code, settings or inputs makes a step stale; the moment a file was touched does not
PIPELINE = PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/snakemake $(WHERE) --quiet host rules reason --rerun-incomplete $(AGAIN) \
	--config profile=$(PROFILE) $(if $(SEEDS),seeds=$(SEEDS)) --
# the side of a pair, notebook or twin, that was edited is taken; KEEP=notebook|twin if both were
SYNC = $(BIN)/python nbs/sync.py $(KEEP:%=--keep %)
COMPONENTS = $(sort $(wildcard nbs/method/*.ipynb nbs/engine/*.ipynb))
EXECUTED   = $(sort $(wildcard nbs/run/*.ipynb nbs/results/*.ipynb nbs/questions/*.ipynb))

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{sub(/:.*/, "", $$1); printf "  %-12s %s\n", $$1, $$2}'

setup: .venv/ready  ## a virtual environment in .venv, exactly as requirements.lock says

.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "make: Python 3.11 or newer is needed; name one with PYTHON=/path/to/python3")'
	@echo ">> setting up .venv from requirements.lock" >&2
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $@

reproduce: setup  ## run the whole method; PROFILE=smoke|laptop|paper, SEEDS=n, CLUSTER=slurm
	@started=$$SECONDS; $(PIPELINE) all && \
	printf 'Tables, figures and numbers are in runs/$(PROFILE)/results/ (%d min %02d s).\n' $$(((SECONDS - started) / 60)) $$(((SECONDS - started) % 60))

paper: setup  ## typeset the paper, paper/democratic-ai.pdf, from the committed results; RESULTS=runs/laptop/results for those of a run
	@$(BIN)/python paper/typeset.py $(RESULTS) paper/democratic-ai.pdf && echo "The paper is paper/democratic-ai.pdf."

figures: AGAIN = --forcerun figure1 figure2 figure3 figure4 supplementary hcmd_figures
figures: setup  ## draw every figure again from a run; PROFILE as above
	@$(PIPELINE) figures
	@echo "The figures are in runs/$(PROFILE)/results/figures/."

sensitivity: setup  ## what hangs on assumptions: the `populations` of settings.ini, one seed each, and other readings of the paper
	@$(PIPELINE) sensitivity

hcmd-zero: setup  ## run the second system alone, from nothing and in election against itself; PROFILE as above
	@$(PIPELINE) hcmd_zero
	@echo "Its tables and figures, hcmd_*, are in runs/$(PROFILE)/results/."

questions: setup  ## what HCMD-zero leaves open: how many groups are enough, where to start, who pays; PROFILE as above
	@$(PIPELINE) questions
	@echo "The answers are in runs/$(PROFILE)/hcmd_questions/."

climb: setup  ## what lets HCMD-zero climb: one choice changed at a time, or the truth put in the place of a model; PROFILE as above
	@$(PIPELINE) climb
	@echo "The tables and the picture are in runs/$(PROFILE)/hcmd_climb/."

sweep: setup  ## try other hyper-parameters of the virtual players, the lines `try_...` of settings.ini; PROFILE as above
	@$(PIPELINE) sweep
	@echo "The table and the picture are in runs/$(PROFILE)/sweep/."

steps: setup  ## make single files of a run, and what they need: FILES="runs/smoke/seed0/iter0/players.safetensors"
	@$(PIPELINE) $(FILES)

calibrate: setup  ## fit the stand-in participants again (two hours of one core, can be interrupted) and keep the result in data/participants/
	@mkdir -p runs/calibrate
	$(BIN)/papermill nbs/run/29_calibrate.ipynb runs/calibrate/29_calibrate.ipynb --cwd . --log-level ERROR
	@$(BIN)/python paper/publish.py nbs/run/29_calibrate.ipynb runs/calibrate/29_calibrate.ipynb
	@$(SYNC) run/29_calibrate

data: setup  ## fetch the authors' released data into data/released/
	@$(BIN)/python -c 'import sys; sys.tracebacklimit = 0; from democratic_ai import released; released.fetch("data/released")'

publish: setup  ## take over finished runs (paper profile, sensitivity): paper/results/, README's table, outputs of the run notebooks
	@$(SYNC) $(EXECUTED)  # or what is published would meet a twin that was edited since
	@$(BIN)/python paper/publish.py
	@$(SYNC) $(EXECUTED)

stale: setup  ## list which committed results other code, settings or published tables would make otherwise
	@$(BIN)/python paper/publish.py stale

test: setup  ## lint, notebooks' own examples, then tests/
	@$(MAKE) --no-print-directory lint
	@$(BIN)/nbdev-test --n-workers 2 --skip-folder-re '^(run|results|questions)$$'
	@$(BIN)/pytest

lint: setup  ## what ruff says of package, notebooks and tests, and of their form
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .

bench: setup  ## time every expensive step against PyTorch eager and the machine's limit: benchmarks/results.csv; wants a quiet machine and PyTorch
	@$(BIN)/python -c 'import torch' 2>/dev/null || { echo "make: the comparison needs PyTorch; install its CPU build into .venv with pip, as its own site says." >&2; exit 1; }
	@$(BIN)/python benchmarks/bench.py

scaling: setup  ## time against numbers of games, players, mechanisms and seeds: benchmarks/scaling.csv and .svg; wants a quiet machine
	@$(BIN)/python benchmarks/scaling.py

book: setup  ## the notebooks as a book, docs/_build/html/index.html, to read without a network
	@$(BIN)/sphinx-build -q -W docs docs/_build/html && echo "The book is docs/_build/html/index.html."

lab: setup  ## open the notebooks in JupyterLab; saving one there writes its twin, too
	@$(BIN)/jupyter lab --LabApp.default_url=/lab/tree/nbs  # from the root, where jupytext.toml is

sync: setup  ## after an edit of a notebook or its twin: pair, clean, export; NAME="method/04_cloning ..." for some
	@$(SYNC) $(NAME)

execute: setup  ## the same, then run the component notebooks and keep their outputs; NAME as above
	@$(SYNC) --execute $(or $(NAME),$(COMPONENTS))

unlock: setup  ## free the folder after a power cut, or after everything was killed; then the same command goes on
	@$(BIN)/snakemake --cores 1 --quiet all --unlock --config profile=$(PROFILE)

clean:  ## remove what can be made again, but not runs/ and what is known of how they were made
	rm -rf .venv .snakemake/log .snakemake/slurm_logs .jax_cache .pytest_cache .hypothesis .ruff_cache docs/_build docs/nbs docs/api democratic_ai.egg-info
	find . -name __pycache__ -not -path './runs/*' -prune -exec rm -rf {} +

.PHONY: help setup reproduce paper figures sensitivity hcmd-zero questions climb sweep steps calibrate data publish stale test lint bench scaling book lab sync execute unlock clean
