"""Users' data frames: anything unusable is refused in one line that names it."""

import numpy as np
import pandas as pd
import pytest

from active_rlhf.analysis.comparisons import comparisons, summary
from active_rlhf.analysis.endpoints import endpoints
from active_rlhf.analysis.frames import FrameError
from active_rlhf.analysis.study import statistics
from active_rlhf.errors import InputError


def refused(runs: pd.DataFrame) -> str:
    with pytest.raises(FrameError) as caught:
        statistics(runs, resamples=20)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("column", ["env", "method", "seed", "step", "return"])
def test_a_missing_column_is_named_beside_those_that_are_there(make_runs, column):
    runs = make_runs(seeds=2, episodes=12).drop(columns=column)
    message = refused(runs)
    assert f"no column {column} " in message
    assert message.endswith(f"found: {', '.join(runs)})")


def test_every_function_of_endpoints_names_the_missing_column(make_runs):
    values = endpoints(make_runs(seeds=2, episodes=12))
    for function in (comparisons, summary):
        with pytest.raises(FrameError, match=f"{function.__name__}: endpoints has no column seed"):
            function(endpoints=values.drop(columns="seed"))


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("return", np.nan, "return nan is not a finite number"),
        ("return", np.inf, "return inf is not a finite number"),
        ("labels", np.nan, "labels nan is not a finite number"),
        ("step", 2000, "step 2000.0 is below the one before"),
        ("seed", np.nan, "seed nan is missing"),
    ],
)
def test_a_value_that_cannot_be_compared_is_named_with_its_run(make_runs, column, value, said):
    runs = make_runs(("Random", "DUO"), seeds=2, episodes=12, envs=("A",))
    runs = runs.astype({column: float})
    row = runs.index[(runs["method"] == "DUO") & (runs["step"] == 4000)][0]
    runs.loc[row, column] = value
    message = refused(runs)
    assert message.startswith("runs: env A, method DUO, seed ") and said in message


def test_text_in_place_of_a_number_is_named(make_runs):
    runs = make_runs(("DUO",), seeds=1, episodes=12, envs=("A",)).astype({"return": object})
    runs.loc[3, "return"] = "1,000"
    assert "return 1,000 is not a finite number" in refused(runs)


def test_runs_may_be_interleaved_and_methods_plain_text(make_runs):
    """As in a data frame sorted by step: the same numbers as in the study's order."""
    ordered = make_runs(seeds=3, episodes=12)
    mixed = ordered.sort_values("step", kind="stable").astype({"method": str})
    expected, found = (statistics(runs, resamples=20) for runs in (ordered, mixed))
    for name, table in expected.items():
        keys = [key for key in table if table[key].dtype.kind not in "fc"]
        aligned = [
            frame.astype({key: str for key in keys}).sort_values(keys, ignore_index=True)
            for frame in (table, found[name][list(table)])
        ]
        pd.testing.assert_frame_equal(*aligned)


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"endpoint": "finale"}, "endpoint 'finale'; known: final, last, ema, best, last_steps"),
        ({"further": ["best", "finale"]}, "endpoint 'finale'; known: final, last, ema"),
        ({"family": "everything"}, "family 'everything'; known: environment, study"),
    ],
)
def test_an_unknown_choice_is_named_beside_the_known_ones(make_runs, choice, said):
    with pytest.raises(InputError, match=said):
        statistics(make_runs(seeds=2, episodes=12), resamples=20, **choice)
