"""A small version of benchmarks/calibration.py: tests keep their level, intervals cover."""

import json
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
DOCUMENT = BENCHMARKS.parent / "docs" / "statistics.md"


@pytest.fixture
def module(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import calibration

    monkeypatch.setattr(calibration, "LARGE", 100_000)
    return calibration


@pytest.mark.slow
def test_tests_keep_their_level_and_intervals_cover(module):
    """The tolerance is wide: a rate of .05 gives more than .2 of 40 once in 10,000 times."""
    rows = module.calibration("normal", studies=40, resamples=300)
    assert len(rows) == 13
    for row in rows:
        missed = row["rate"] if row["kind"] == "test" else 1 - row["rate"]
        assert missed <= 0.2, row
        assert row["low"] <= row["rate"] <= row["high"]


@pytest.mark.slow
def test_a_test_that_rejects_too_often_would_be_seen(module, monkeypatch):
    """As would be an interval that misses: with means that differ, the null is not one."""
    monkeypatch.setitem(module.MEANS, "null", (0.0, 2.0, 0.0, 0.0))
    rows = module.calibration("normal", studies=6, resamples=300)
    rates = {row["what"]: row["rate"] for row in rows}
    assert rates["Wilcoxon signed-rank, one pair"] > 0.5
    assert rates["Holm, any of a family's six"] > 0.5


def test_the_document_shows_the_stored_rates(module):
    rows = json.loads((BENCHMARKS / "calibration.json").read_text())
    assert module.table(rows) in DOCUMENT.read_text()
