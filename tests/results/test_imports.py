"""Runs of others: every kind is recognised and read whole, and what cannot be used is refused."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from results.kinds import KINDS, METHODS, NUMBERED, SEEDS, frame, made, rows

from active_rlhf.results.export import METRIC, ExportError, read_runs
from active_rlhf.results.imports import convert_of_study, described, gather, matching
from active_rlhf.study.loading import load_study

ENV = "Hopper-v5"


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """(entry of a study, expected rows, folder) of a kind, made once."""
    root, known = tmp_path_factory.mktemp("kinds"), {}

    def of(kind: str):
        if kind not in known:
            folder = root / kind.replace(" ", "_")
            known[kind] = (*made(kind, folder), folder)
        return known[kind]

    return of


def loaded(entry, folder: Path, **more):
    study = {"study": "s", "imported": {ENV: entry}, **more}
    return load_study(folder / "study.yaml", data=study).as_dict()


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_recognised_and_read_whole(kind, kinds, tmp_path):
    entry, expected, folder = kinds(kind)
    study = loaded(entry, folder, statistics={"design": "unpaired"})
    source = study["imported"][ENV]
    assert (source["format"], source["rows"]) == KINDS[kind][1:]
    assert load_study(folder / "study.yaml", data=study).as_dict() == study  # all is filled in
    convert_of_study(ENV, study, tmp_path)
    runs = read_runs({ENV: tmp_path / f"{ENV}.csv"}, design="unpaired")
    found = [(m, s, t, r) for _, m, s, t, r, *_ in runs.itertuples(index=False)]
    wanted = sorted(expected, key=lambda row: (row[0], row[1]))
    assert [row[:3] for row in found] == [row[:3] for row in wanted]
    assert np.array_equal([r for *_, r in found], [r for *_, r in wanted])
    if kind == "bpref train":
        assert runs["labels"].max() == 250
    again = gather(ENV, source).runs["numbered"]
    assert again.all() if kind in NUMBERED else not again.any()
