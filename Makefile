# Set-up, demo, thesis, tests. Another study or fewer cores: make demo CONFIG=config/thesis.yaml CORES=4
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: benchmark help venv demo report figures thesis-dry check test lint clean

PYTHON ?= python3
CONFIG ?= config/demo.yaml
CORES ?= all

READY := .venv/.ready
export PATH := $(CURDIR)/.venv/bin:$(PATH)
SNAKEMAKE := snakemake --profile profiles/local --cores $(CORES) --configfile $(CONFIG)
ANALYSIS := statistics overhead learning_curves endpoints effects rankings profiles label_efficiency \
	run_time summary significance aggregates labels costs document findings config config_page \
	findings_page tables_page overhead_page provenance all

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

venv: $(READY)  ## create .venv with the pinned dependencies and this package

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	pip install --quiet --constraint constraints.txt --editable '.[test]'
	active-rlhf warm-up
	touch $@

demo: $(READY)  ## train and analyse the study CONFIG (default: the demo) and write its report
	active-rlhf watch $(CONFIG) -- $(SNAKEMAKE)
	@$(MAKE) --no-print-directory report

report: $(READY)  ## write the HTML report of a finished study
	@results=$$(active-rlhf results $(CONFIG)); \
	$(SNAKEMAKE) --quiet all --report "$$results/report.html"; \
	echo "The report is $$results/report.html"

figures: $(READY)  ## redo statistics, tables and figures without looking at the runs
	@active-rlhf results $(CONFIG) > /dev/null
	$(SNAKEMAKE) --quiet rules --allowed-rules $(ANALYSIS)

thesis-dry: $(READY)  ## show the jobs of the thesis study, starting none
	snakemake --profile profiles/local --configfile config/thesis.yaml --dry-run --quiet rules

# Caches and temporary files stay in this folder.
check: export XDG_CACHE_HOME := $(CURDIR)/.cache
check: export TMPDIR := $(CURDIR)/.cache/tmp
check: $(READY) lint  ## style, types and the quick tests
	mkdir -p $$TMPDIR
	pytest --numprocesses auto --dist loadfile --no-loadscope-reorder -m "not slow and not slurm"

# Three at once also on two cores: some tests wait for SLURM.
test: $(READY) lint  ## style, types and every test; says at the end what was left out and why
	pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

lint: $(READY)  ## style and types of the package, style and checks of the workflow
	ruff check .
	ruff format --check .
	mypy
	snakefmt --check Snakefile workflow
	snakemake --lint

benchmark: $(READY)  ## measure training and planning against their references, on an idle machine
	python benchmarks/training.py

clean:  ## remove the demo's results and the tools' caches
	rm -rf results/demo .cache .pytest_cache .ruff_cache .mypy_cache .hypothesis
