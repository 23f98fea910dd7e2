#!/usr/bin/env bash
# Only with --sdm conda: the package itself, from the repository Snakemake is started in.
set -euo pipefail
pip install --constraint constraints.txt --editable .
