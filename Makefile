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
# on a cluster every step is a job of one core that asks for EACH; one that dies is sent a second time and goes on from its checkpoint
WHERE = $(if $(CLUSTER),--executor $(CLUSTER) --jobs $(JOBS) --retries 1 --latency-wait 60 --default-resources $(EACH) $(CLUSTER_OPTIONS),--cores $(CORES))
# what changed in code, settings or inputs makes a step stale; the moment a file was touched does not
PIPELINE = rm -f .snakemake/last_words; PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/snakemake $(WHERE) --quiet host rules reason --rerun-incomplete $(AGAIN) \
	--config profile=$(PROFILE) $(if $(SEEDS),seeds=$(SEEDS)) --
# why a step failed is the last that is said
OR_SAY_WHY = || { cat .snakemake/last_words 2>/dev/null >&2; exit 1; }
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
	printf 'Tables, figures and numbers are in runs/$(PROFILE)/results/ (%d min %02d s).\n' $$(((SECONDS - started) / 60)) $$(((SECONDS - started) % 60)) $(OR_SAY_WHY)

paper: setup  ## typeset the paper, paper/democratic-ai.pdf, from the committed results; RESULTS=runs/laptop/results for those of a run
	@$(BIN)/python paper/typeset.py $(RESULTS) paper/democratic-ai.pdf && echo "The paper is paper/democratic-ai.pdf."

figures: AGAIN = --forcerun figure1 figure2 figure3 figure4 supplementary hcmd_figures
figures: setup  ## draw every figure again from a run; PROFILE as above
	@$(PIPELINE) figures $(OR_SAY_WHY)
	@echo "The figures are in runs/$(PROFILE)/results/figures/."

sensitivity: setup  ## what hangs on assumptions: every value of `losses` in settings.ini, one seed each, and other readings of the paper
	@$(PIPELINE) sensitivity $(OR_SAY_WHY)

hcmd-zero: setup  ## run the second system alone, from nothing and in election against itself; PROFILE as above
	@$(PIPELINE) hcmd_zero $(OR_SAY_WHY)
	@echo "Its tables and figures, hcmd_*, are in runs/$(PROFILE)/results/."

questions: setup  ## what HCMD-zero leaves open: how many groups are enough, where to start, who pays; PROFILE as above
	@$(PIPELINE) questions $(OR_SAY_WHY)
	@echo "The answers are in runs/$(PROFILE)/hcmd_questions/."

sweep: setup  ## try other hyper-parameters of the virtual players, the lines `try_...` of settings.ini; PROFILE as above
	@$(PIPELINE) sweep $(OR_SAY_WHY)
	@echo "The table and the picture are in runs/$(PROFILE)/sweep/."

steps: setup  ## make single files of a run, and what they need: FILES="runs/smoke/seed0/iter0/players.safetensors"
	@$(PIPELINE) $(FILES) $(OR_SAY_WHY)

calibrate: setup  ## fit the stand-in participants to Figure 1C again (three minutes, one core) and keep the result in data/participants/
	@mkdir -p runs/calibrate
	$(BIN)/papermill nbs/run/29_calibrate.ipynb runs/calibrate/29_calibrate.ipynb --cwd . --log-level ERROR
	@$(BIN)/python paper/publish.py nbs/run/29_calibrate.ipynb runs/calibrate/29_calibrate.ipynb
	@$(BIN)/nbdev-clean --fname nbs/run/29_calibrate.ipynb && $(BIN)/jupytext --quiet --sync nbs/run/29_calibrate.ipynb

data: setup  ## fetch the authors' released data into data/released/
	@$(BIN)/python -c 'import sys; sys.tracebacklimit = 0; from democratic_ai import data; data.fetch_released("data/released")'

publish: setup  ## take over finished runs (paper profile, sensitivity): paper/results/, README's table, outputs of the run notebooks
	@$(BIN)/jupytext --quiet --sync $(EXECUTED)  # or a twin that was edited since would be lost
	@$(BIN)/python paper/publish.py
	@for notebook in $(EXECUTED); do $(BIN)/nbdev-clean --fname $$notebook && $(BIN)/jupytext --quiet --sync $$notebook || exit 1; done

stale: setup  ## list the commits that touched what the committed results depend on since they were made
	@made_by=$$($(BIN)/python -c 'import json; print(json.load(open("paper/results/provenance.json"))["commit"])'); \
	git --no-pager log --oneline $$made_by..HEAD -- democratic_ai nbs/text/run nbs/text/results settings.ini Snakefile data requirements.lock

test: setup  ## notebooks' own examples, then tests/
	@$(BIN)/nbdev-test --n-workers 2 --skip-folder-re '^(run|results|questions)$$'
	@$(BIN)/ruff check --quiet .
	@$(BIN)/pytest

bench: setup  ## time every expensive step against PyTorch eager and the machine's limit: benchmarks/results.csv; wants a quiet machine and PyTorch
	@$(BIN)/python -c 'import torch' 2>/dev/null || { echo "make: the comparison needs PyTorch; install its CPU build into .venv with pip, as its own site says." >&2; exit 1; }
	@$(BIN)/python benchmarks/bench.py

scaling: setup  ## time against numbers of games, players, mechanisms and seeds: benchmarks/scaling.csv and .svg; wants a quiet machine
	@$(BIN)/python benchmarks/scaling.py

book: setup  ## the notebooks as a book, docs/_build/html/index.html, to read without a network
	@$(BIN)/sphinx-build -q -W docs docs/_build/html && echo "The book is docs/_build/html/index.html."

lab: setup  ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab nbs

sync: setup  ## after editing nbs/text/NAME.py: pair with the notebook, clean, export; NAME=method/04_cloning for one
	@for text in $(or $(NAME:%=nbs/text/%.py),$(sort $(wildcard nbs/text/*/*.py))); do \
	  notebook=$${text%.py}.ipynb; notebook=nbs/$${notebook#nbs/text/}; touch $$text; \
	  $(BIN)/jupytext --quiet --sync $$text && $(BIN)/nbdev-clean --fname $$notebook && $(BIN)/jupytext --quiet --sync $$notebook || exit 1; \
	done
	@$(BIN)/nbdev-export && touch .venv/ready  # it rewrites pyproject.toml as it was, which is no reason to set up anew

execute: sync  ## run the component notebooks and keep their outputs; NAME=method/04_cloning for one
	@for notebook in $(or $(NAME:%=nbs/%.ipynb),$(COMPONENTS)); do \
	  $(BIN)/jupyter nbconvert --log-level=ERROR --to notebook --execute --inplace $$notebook && $(BIN)/nbdev-clean --fname $$notebook || exit 1; \
	  touch $$notebook; $(BIN)/jupytext --quiet --sync $$notebook; \
	done

unlock: setup  ## free the folder after a power cut, or after everything was killed; then the same command goes on
	@$(BIN)/snakemake --cores 1 --quiet all --unlock --config profile=$(PROFILE)

clean:  ## remove what can be made again, but not runs/ and what is known of how they were made
	rm -rf .venv .snakemake/log .snakemake/slurm_logs .jax_cache .pytest_cache .hypothesis .ruff_cache docs/_build docs/nbs democratic_ai.egg-info
	find . -name __pycache__ -not -path './runs/*' -prune -exec rm -rf {} +

.PHONY: help setup reproduce paper figures sensitivity hcmd-zero questions sweep steps calibrate data publish stale test bench scaling book lab sync execute unlock clean
