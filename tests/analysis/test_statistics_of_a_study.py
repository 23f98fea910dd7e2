import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from active_rlhf.analysis.study import read_table, statistics, write_table
from active_rlhf.results.export import ExportError

BASELINES = {"A": (0.0, 1000.0), "B": (0.0, 1200.0)}
DOCUMENT = Path(__file__).parents[2] / "docs" / "statistics.md"


def documented() -> dict[str, list[str]]:
    """Columns of each table as docs/statistics.md lists them."""
    rows = re.findall(r"^\| `(\w+)` \| [^|]* \| `([^`]*)` \|$", DOCUMENT.read_text(), re.M)
    return {name: columns.split(", ") for name, columns in rows}


def test_every_table_has_the_documented_columns(make_runs):
    tables = statistics(make_runs(), resamples=50, baselines=BASELINES)
    assert {name: list(table) for name, table in tables.items()} == documented()
    assert not any(table.empty for table in tables.values())


@pytest.mark.parametrize("seeds", [1, 2, 3])
@pytest.mark.parametrize("methods", [("DUO",), ("Random", "DUO", "Hybrid")])
@pytest.mark.parametrize("episodes", [1, 3, 30])
def test_small_studies_give_all_tables_without_a_warning(make_runs, seeds, methods, episodes):
    runs = make_runs(methods, seeds, episodes, envs=("A",)).drop(columns="labels")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tables = statistics(runs, resamples=20)
    for name, table in tables.items():
        assert list(table) == documented()[name]
    assert len(tables["summary"]) == 2 * len(methods)
    assert not tables["comparisons"]["reject_null"].any()


def test_same_runs_same_numbers(make_runs):
    once = statistics(make_runs(), resamples=50, baselines=BASELINES)
    again = statistics(make_runs(), resamples=50, baselines=BASELINES)
    for name in once:
        pd.testing.assert_frame_equal(once[name], again[name], check_exact=True)


def test_another_environment_does_not_change_a_comparison(make_runs):
    both = statistics(make_runs(), resamples=50)["comparisons"]
    runs = make_runs()
    alone = statistics(runs[runs["env"] == "B"], resamples=50)["comparisons"]
    part = both[both["env"] == "B"].reset_index(drop=True)
    pd.testing.assert_frame_equal(part, alone, check_exact=True)


def test_tables_read_back_exactly(make_runs, tmp_path):
    table = statistics(make_runs(seeds=3), resamples=50)["comparisons"]
    path = tmp_path / "new folder" / "comparisons.csv"
    write_table(table, path)
    pd.testing.assert_frame_equal(read_table(path), table, check_exact=True, check_dtype=False)
    parquet = pd.read_parquet(path.with_suffix(".parquet"))
    pd.testing.assert_frame_equal(parquet, table, check_exact=True, check_dtype=False)
    assert np.isinf(table["ci_hl_low"]).all()
    assert sorted(p.name for p in path.parent.iterdir()) == [
        "comparisons.csv",
        "comparisons.parquet",
    ]


def test_names_stay_names(tmp_path):
    """Methods and environments may be called what pandas takes for a number or for nothing."""
    table = pd.DataFrame({"env": ["1", "nan"], "method": ["01", "None"], "mean": [0.5, np.nan]})
    write_table(table, tmp_path / "table.csv")
    found = read_table(tmp_path / "table.csv")
    assert found.to_csv() == table.to_csv() and found["env"].tolist() == ["1", "nan"]


def test_an_edited_table_is_refused(make_runs, tmp_path):
    path = tmp_path / "summary.csv"
    write_table(statistics(make_runs(seeds=3), resamples=50)["summary"], path)
    text = path.read_text()
    read_table(path)
    for edited in (text[: len(text) // 2], text.replace("final", "best", 1) + "x\n", ""):
        path.write_text(edited)
        with pytest.raises(ExportError) as caught:
            read_table(path)
        assert str(caught.value).startswith(f"{path}: ")
