"""Users' data frames: anything unusable is refused in one line that names it."""

import numpy as np
import pandas as pd
import pytest

from active_rlhf.analysis.comparisons import compare, compare_unpaired, comparisons, summary
from active_rlhf.analysis.curves import curves
from active_rlhf.analysis.endpoints import endpoints
from active_rlhf.analysis.frames import FrameError
from active_rlhf.analysis.rows import spread
from active_rlhf.analysis.study import Baselines, statistics
from active_rlhf.analysis.variants import across
from active_rlhf.analysis.wording import Terms
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
        ("return", pd.NA, "return <NA> is not a finite number"),
        ("seed", np.nan, "seed nan is missing"),
    ],
)
def test_a_value_that_cannot_be_compared_is_named_with_its_run(make_runs, column, value, said):
    runs = make_runs(("Random", "DUO"), seeds=2, episodes=12, envs=("A",))
    runs = runs.astype({column: "Float64" if value is pd.NA else float})
    row = runs.index[(runs["method"] == "DUO") & (runs["step"] == 4000)][0]
    runs.loc[row, column] = value
    message = refused(runs)
    assert message.startswith("runs: env A, method DUO, seed ") and said in message


def test_text_in_place_of_a_number_is_named(make_runs):
    runs = make_runs(("DUO",), seeds=1, episodes=12, envs=("A",)).astype({"return": object})
    runs.loc[3, "return"] = "1,000"
    assert "return 1,000 is not a finite number" in refused(runs)
    for function in (endpoints, curves):
        with pytest.raises(FrameError, match="runs: column return holds 1,000, which is not a num"):
            function(runs)


@pytest.mark.parametrize("column", ["step", "return", "labels"])
@pytest.mark.parametrize("kind", [object, str])
def test_numbers_stored_as_something_else_are_numbers(make_runs, column, kind):
    runs = make_runs(("Random", "DUO"), seeds=2, episodes=12, envs=("A",))
    expected, found = (
        statistics(given, resamples=20) for given in (runs, runs.astype({column: kind}))
    )
    for name, table in expected.items():
        pd.testing.assert_frame_equal(table, found[name])
    values = expected["endpoints"]
    pd.testing.assert_frame_equal(summary(values), summary(values.astype({"value": kind})))


@pytest.mark.parametrize(
    ("function", "columns"),
    [
        (statistics, "env method seed step return"),
        (spread, "env method seed step return"),
        (summary, "env method seed metric_type value"),
        (across, "variant env method seed metric_type value"),
    ],
)
def test_an_empty_frame_is_refused(function, columns):
    with pytest.raises(FrameError, match="has no rows"):
        function(pd.DataFrame(columns=columns.split()))


@pytest.mark.parametrize("alpha", [5, 1, 0, -0.05, np.nan, "0.05"])
def test_alpha_lies_between_0_and_1(make_runs, alpha):
    runs = make_runs(seeds=2, episodes=12)
    values = endpoints(runs)
    for function, given in ((statistics, runs), (curves, runs), (summary, values)):
        with pytest.raises(InputError, match=r"alpha must lie between 0 and 1, such as 0\.05, not"):
            function(given, alpha=alpha)
    with pytest.raises(InputError, match="alpha must lie between 0 and 1"):
        Terms(alpha=alpha)


@pytest.mark.parametrize("function", [compare, compare_unpaired])
@pytest.mark.parametrize(
    ("a", "b", "level", "said"),
    [
        ([1, 2], [3, 4], 5, "level must lie between 0 and 1, such as 0.95, not 5"),
        ([1, 2], [], 0.95, "a has 2 values and b 0; both must have"),
        ([1, np.nan], [3, 4], 0.95, "a holds NaN"),
    ],
)
def test_two_arrays_that_cannot_be_compared(function, a, b, level, said):
    with pytest.raises(InputError, match=said):
        function(np.array(a, float), np.array(b, float), level)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"Z": (0, 1), "A": (0, 1)}, "no environment Z; they have A, B"),
        ({"A": (1, 0)}, "A: must be two numbers, the lower one first, not "),
        ({"A": 3}, "A: must be two numbers, the lower one first, not 3"),
    ],
)
def test_baselines_that_cannot_be_used(make_runs, given, said):
    with pytest.raises(FrameError, match=f"baselines: .*{said}"):
        statistics(make_runs(seeds=2, episodes=12), resamples=20, baselines=given)


def test_baselines_of_other_runs_only(make_runs):
    runs, other = (make_runs(seeds=2, episodes=12, envs=envs) for envs in (("A",), ("Y", "Z")))
    for given, said in ((other, "no environment Y, Z; they have A"), (other[["env"]], "no column")):
        with pytest.raises(FrameError, match=f"baselines: .*{said}"):
            statistics(runs, resamples=20, baselines=Baselines("Random", "DUO", given))


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
        ({"design": "pair"}, "design 'pair'; known: paired, unpaired"),
        ({"measures": ["loss"]}, "measure 'loss'; known: reward_loss, reward_accuracy"),
        ({"resamples": 0}, "resamples must be at least 1, not 0"),
        ({"rope": -1}, "rope must not be negative"),
    ],
)
def test_an_unknown_choice_is_named_beside_the_known_ones(make_runs, choice, said):
    with pytest.raises(InputError, match=said):
        statistics(make_runs(seeds=2, episodes=12), **{"resamples": 20, **choice})
