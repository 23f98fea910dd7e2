# Set-up, demo, thesis, tests. Another study or fewer cores: make demo CONFIG=config/thesis.yaml CORES=4
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: benchmark cartpole sweep help venv demo label-demo report figures thesis-dry check test lint clean

PYTHON ?= python3
CONFIG ?= config/demo.yaml
CORES ?= all
# PARTIAL=1: figures, tables and report of the runs that are finished.
FINISHED := $(if $(PARTIAL),some,all)

READY := .venv/.ready
export PATH := $(CURDIR)/.venv/bin:$(PATH)
SNAKEMAKE := snakemake --profile profiles/local --cores $(CORES) --configfile $(CONFIG)
ANALYSE := ACTIVE_RLHF_TRAINING=no $(SNAKEMAKE)
REPORT = report="$$(active-rlhf results $(CONFIG))/report.html" \
	&& $(ANALYSE) --quiet progress --report "$$report" \
	&& echo "What was found is in $${report%report.html}index.html, the whole report in $$report"

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

venv: $(READY)  ## create .venv with the pinned dependencies and this package

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	pip install --quiet --no-compile --constraint constraints.txt --editable '.[test]'
	@# Where pip would compile the libraries on one core, and their tests too.
	@python -m compileall -q -j 2 -x '/tests?/' .venv/lib src > /dev/null 2>&1 & \
		active-rlhf warm-up && wait
	touch $@

demo: $(READY)  ## train and analyse the study CONFIG (default: the demo) and write its report
	@active-rlhf watch $(CONFIG) -- $(SNAKEMAKE) && { $(REPORT); } \
	|| test $$? = 130  # Ctrl-C, after which make would have the last word

LABEL := config/label_demo.yaml
PORT ?= 8420
label-demo: $(READY)  ## be the teacher of a short run, at a page in your browser
	@results="$$(active-rlhf results $(LABEL))" && active-rlhf label $(LABEL) --port $(PORT) -- \
		active-rlhf train --study $(LABEL) --env HalfCheetah-v5 --selector random --seed 1 \
		--out "$$results/runs/HalfCheetah-v5/random/1" || test $$? = 130

cartpole:  ## the textbook's readable task: all selectors, five seeds, a simulated human
	@$(MAKE) --no-print-directory demo CONFIG=config/cartpole.yaml

SWEEP ?= config/sweeps/hybrid_hopper.yaml
sweep:  ## tune the selectors of the study SWEEP, then compare default and tuned settings
	@$(MAKE) --no-print-directory demo CONFIG=$(SWEEP)

report: figures  ## write the HTML report of a finished study
	@$(REPORT)

figures: $(READY)  ## redo statistics, tables and figures, training nothing
	@active-rlhf results $(CONFIG) --finished $(FINISHED) > /dev/null
	@$(ANALYSE)

thesis-dry: $(READY)  ## show the jobs of the thesis study, starting none
	snakemake --profile profiles/local --configfile config/thesis.yaml --dry-run --quiet rules

# Caches and temporary files stay in this folder.
check: export XDG_CACHE_HOME := $(CURDIR)/.cache
check: export TMPDIR := $(CURDIR)/.cache/tmp
check: PYTEST := pytest --numprocesses auto -m "not slow and not slurm"
check: $(READY)  ## style, types and the quick tests
	@mkdir -p $$TMPDIR
	@$(LINT_AND_TEST)

# Four at once also on two cores: many tests wait, for SLURM or for processes.
test: PYTEST := pytest --numprocesses 4
test: $(READY)  ## style, types and every test; says at the end what was left out and why
	@$(LINT_AND_TEST)

LINT_AND_TEST = echo "make lint runs beside the tests; what it says comes last"; \
	said=$$(mktemp); $(MAKE) --no-print-directory lint > $$said 2>&1 & lint=$$!; \
	$(PYTEST) --dist loadfile --no-loadscope-reorder || tests=$$?; \
	wait $$lint || style=$$?; cat $$said; rm $$said; exit $${tests:-$${style:-0}}

lint: $(READY)  ## style and types of the package, style and checks of the workflow
	ruff check .
	ruff format --check .
	mypy
	snakefmt --check Snakefile workflow
	snakemake --lint

# REFERENCE=PYTHON: a Python with stable-baselines3, to measure Atari against.
benchmark: $(READY)  ## measure training and planning against their references, on an idle machine
	python benchmarks/training.py
	python benchmarks/atari.py $(if $(REFERENCE),--reference $(REFERENCE))

clean:  ## remove the demo's results and the tools' caches
	rm -rf results/demo .cache .pytest_cache .ruff_cache .mypy_cache .hypothesis
