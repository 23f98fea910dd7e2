import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic import sessions

from active_rlhf.analysis.files import TableError, read_table, write_table
from active_rlhf.analysis.study import statistics
from active_rlhf.results.export import read_csv
from active_rlhf.study.measures import REWARD_MODEL, both_forms

GIVEN = {"A": (0.0, 1000.0), "B": (0.0, 1200.0)}
DOCUMENT = Path(__file__).parents[2] / "docs" / "statistics.md"


def documented() -> dict[str, list[str]]:
    """Columns of each table as docs/statistics.md lists them."""
    rows = re.findall(r"^\| `(\w+)` \| [^|]* \| `([^`]*)` \|$", DOCUMENT.read_text(), re.M)
    return {name: columns.split(", ") for name, columns in rows}


@pytest.mark.slow
def test_every_table_has_the_documented_columns(make_runs, evaluate, baselines):
    runs = make_runs()
    seen = sessions(["Random", "DUO", "Hybrid"], ["A", "B"], 6)
    given = {"evaluations": evaluate(runs), "sessions": seen, "baselines": baselines}
    tables = statistics(runs, endpoint="evaluation", resamples=50, **given)
    assert {name: list(table) for name, table in tables.items()}.items() <= documented().items()
    assert not any(table.empty for table in tables.values())
    returns, rewards = {"endpoint", "auc", "final"}, set(both_forms(REWARD_MODEL))
    for name in ("summary", "comparisons", "improvement", "ranks"):
        assert set(tables[name]["metric_type"]) == returns | rewards
    for name in ("aggregates", "profiles", "bayes"):
        assert set(tables[name]["metric_type"]) == returns
    assert set(tables["limits"]["metric_type"]) == {"endpoint", "final"}


@pytest.mark.slow
def test_given_numbers_normalise_the_main_endpoint_alone(make_runs):
    tables = statistics(make_runs(), resamples=50, baselines=GIVEN)
    assert set(tables["aggregates"]["metric_type"]) == {"endpoint"}
    assert len(tables["efficiency"]) and tables["efficiency"]["progress"].max() == 1
    last = statistics(make_runs(), endpoint="last", resamples=50, baselines=GIVEN)
    assert last["efficiency"].empty  # it ends at final returns, for which nothing was given


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(("seeds", "episodes"), [(1, 1), (1, 30), (2, 3), (3, 1), (3, 30)])
def test_small_studies_give_all_tables_without_a_warning(make_runs, count, seeds, episodes):
    methods = ("Random", "DUO", "Hybrid")[:count]
    runs = make_runs(methods, seeds, episodes, envs=("A",)).drop(columns="labels")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tables = statistics(runs, resamples=20)
    for name, table in tables.items():
        assert list(table) == documented()[name]
    assert len(tables["summary"]) == (1 + (episodes > 1)) * len(methods)  # one row has no area
    assert not tables["comparisons"]["reject_null"].any()


def test_another_environment_does_not_change_a_comparison(make_runs):
    both = statistics(make_runs(), resamples=50)["comparisons"]
    runs = make_runs()
    alone = statistics(runs[runs["env"] == "B"], resamples=50)["comparisons"]
    part = both[both["env"] == "B"].reset_index(drop=True)
    pd.testing.assert_frame_equal(part, alone, check_exact=True)


def test_tables_read_back_as_they_were_and_the_csv_says_the_same(make_runs, tmp_path):
    for name, table in statistics(make_runs(seeds=3), resamples=50, baselines=GIVEN).items():
        path = tmp_path / "new folder" / f"{name}.parquet"
        write_table(table, path)
        pd.testing.assert_frame_equal(read_table(path), table, check_exact=True)
        text = read_csv(path.with_suffix(".csv"))
        assert text.to_csv() == table.to_csv()
    assert {file.suffix for file in path.parent.iterdir()} == {".csv", ".parquet"}


def test_names_stay_names(tmp_path):
    """Names that pandas would read as numbers or missing values stay text."""
    table = pd.DataFrame({"env": ["1", "nan"], "method": ["01", "None"], "mean": [0.5, np.nan]})
    write_table(table, tmp_path / "table.parquet")
    for found in (read_table(tmp_path / "table.parquet"), read_csv(tmp_path / "table.csv")):
        assert found.to_csv() == table.to_csv() and found["env"].tolist() == ["1", "nan"]


def test_a_damaged_table_is_refused(make_runs, tmp_path):
    path = tmp_path / "summary.parquet"
    write_table(statistics(make_runs(seeds=3), resamples=50)["summary"], path)
    content = path.read_bytes()
    read_table(path)
    numbers = content.index(b"\0" * 4)
    flipped = content[:numbers] + b"\1" + content[numbers + 1 :]
    for damaged in (content[: len(content) // 2], flipped, b"", b"env,method\n"):
        path.write_bytes(damaged)
        with pytest.raises(TableError) as caught:
            read_table(path)
        assert str(caught.value).startswith(f"{path}: ") and "delete it" in str(caught.value)
    path.unlink()
    with pytest.raises(TableError, match="no such file"):
        read_table(path)
    with pytest.raises(TableError, match=r"summary\.csv: not Parquet, .*; pandas\.read_csv reads"):
        read_table(path.with_suffix(".csv"))
