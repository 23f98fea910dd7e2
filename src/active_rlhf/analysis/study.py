"""All statistics of a study, from its runs to the tables under results/<study>/statistics/."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from active_rlhf.analysis.aggregate import (
    Scales,
    aggregates,
    efficiency,
    improvements,
    profiles,
    scales,
)
from active_rlhf.analysis.bayes import ROPE, bayes
from active_rlhf.analysis.budgets import budgets, labels_needed
from active_rlhf.analysis.comparisons import PAIRED, UNPAIRED, comparisons, summary
from active_rlhf.analysis.curves import curves, label_curves
from active_rlhf.analysis.endpoints import common_range, endpoints, methods_of
from active_rlhf.analysis.frames import (
    RUNS,
    SESSIONS,
    FrameError,
    require,
    require_alpha,
    require_runs,
    with_numbers,
)
from active_rlhf.analysis.labels import read_sessions
from active_rlhf.analysis.limits import LIMITS, limits, quality
from active_rlhf.analysis.limits import RUNS as MEASURED_RUNS
from active_rlhf.analysis.power import power_table
from active_rlhf.analysis.ranks import ranks
from active_rlhf.analysis.reward import reward_endpoints
from active_rlhf.analysis.rows import spread
from active_rlhf.analysis.variants import across, excluded_within, joined
from active_rlhf.errors import InputError
from active_rlhf.results.export import METRIC, read_records, read_runs
from active_rlhf.study.measures import REWARD_MODEL


@dataclass(frozen=True)
class Baselines:
    """Runs of the two policies whose values count as 0 and 1, `low` and `high` by name.

    runs and evaluations: as in `statistics`.
    """

    low: str
    high: str
    runs: pd.DataFrame
    evaluations: pd.DataFrame | None = None


def statistics(
    runs: pd.DataFrame,
    *,
    evaluations: pd.DataFrame | None = None,
    sessions: pd.DataFrame | None = None,
    endpoint: str = "final",
    further: Sequence[str] = (),
    measures: Sequence[str] = tuple(REWARD_MODEL),
    family: str = "environment",
    against: str | None = None,
    alpha: float = 0.05,
    resamples: int = 10_000,
    rope: float = ROPE,
    design: str = PAIRED,
    window: int | None = None,
    baselines: Baselines | Mapping[str, tuple[float, float]] | None = None,
) -> dict[str, pd.DataFrame]:
    """Every table by name; those that need baselines are empty without them.

    runs: a row for each finished episode, in order within a run: `env, method, seed, step` (at its
    end) and `return`. Methods are in the order of the Categorical `method`, or else of appearance.
    evaluations: as in `endpoints`, for the endpoint `evaluation`. sessions: as in
    `reward_endpoints`, for these `measures` of the reward model, which are compared but never
    normalised, and for what limits the return. against: the method that the
    others are compared with; all pairs are compared without it. rope: half-width of practical
    equivalence in normalised return. design: `paired` by seed, or `unpaired`. window: the steps of
    the endpoint `last_steps`. baselines: runs that are measured by the endpoint that they
    normalise, and resampled in the bootstrap; or environment -> the two numbers, by the main
    endpoint, which then is all that is normalised.
    Raises FrameError for runs or baselines that cannot be used, InputError for impossible choices.
    """
    require_runs(runs)
    runs = with_numbers(runs, f"{RUNS} labels", "runs")
    require_alpha(alpha)
    if resamples < 1:
        raise InputError(f"resamples must be at least 1, not {resamples!r}")
    if rope < 0:
        raise InputError(f"rope must not be negative, as {rope!r} is")
    if unknown := [name for name in measures if name not in REWARD_MODEL]:
        raise InputError(f"unknown measure {unknown[0]!r}; known: {', '.join(REWARD_MODEL)}")
    _require_baselines(baselines, runs)
    if against is not None and against not in (names := methods_of(runs)):
        known = ", ".join(map(str, names))
        raise FrameError(f"statistics.contrasts.against: no method {against!r}; there are {known}")
    returns = values = endpoints(runs, endpoint, further, evaluations, window=window)
    ends = _ends(baselines, runs, endpoint, further, window)
    measured, limited = pd.DataFrame(columns=MEASURED_RUNS), pd.DataFrame(columns=LIMITS)
    if sessions is not None:
        require(sessions, SESSIONS, "sessions")
    if sessions is not None and len(own := _of_runs(sessions, runs)):
        values = pd.concat([returns, reward_endpoints(own, measures)], ignore_index=True)
        measured = quality(returns, own)
        if isinstance(baselines, Baselines) and ends is not None and len(measured):
            limited = limits(measured, ends, baselines.low, baselines.high, alpha, resamples)
    pairs = comparisons(values, family, alpha, resamples, against, design, _largest(runs))
    paired = design == PAIRED
    scaled = _scales(baselines, ends)
    of_final = scaled.get("endpoint" if endpoint == "final" else "final", {})
    return {
        "endpoints": values,
        "summary": summary(values, alpha),
        "comparisons": pairs,
        "aggregates": aggregates(returns, scaled, alpha, resamples),
        "profiles": profiles(returns, scaled, alpha, resamples),
        "efficiency": efficiency(runs, of_final, alpha, resamples),
        "improvement": improvements(values, alpha, resamples),
        "ranks": ranks(values, alpha, paired),
        "bayes": bayes(returns, scaled, rope, resamples, paired),
        "power": power_table(pairs, alpha),
        "curves": curves(runs, alpha, resamples),
        "quality": measured,
        "limits": limited,
    }


def _require_baselines(
    baselines: Baselines | Mapping[str, tuple[float, float]] | None, runs: pd.DataFrame
) -> None:
    """Raise FrameError for baselines of other environments, or ends that are not low and high.

    Those given as runs may be of more environments than the methods' runs, not of others only.
    """
    envs = list(map(str, runs["env"].unique()))
    if isinstance(baselines, Baselines):
        require(baselines.runs, RUNS, "baselines: runs")
        given = list(map(str, baselines.runs["env"].unique()))
        others = [] if set(given) & set(envs) else given
    else:
        others = [env for env in baselines or () if env not in envs]
        for env, ends in (baselines or {}).items():
            numbers = np.shape(ends) == (2,) and all(isinstance(end, Real) for end in ends)
            if not (numbers and ends[0] < ends[1]):
                raise FrameError(
                    f"baselines: {env}: must be two numbers, the lower one first, not {ends!r}"
                )
    if others:
        raise FrameError(
            f"baselines: the runs have no environment {', '.join(others)}; they have "
            f"{', '.join(envs)}"
        )


def _largest(runs: pd.DataFrame) -> pd.Series:
    """The largest size of a return of each run, by env, method and seed."""
    keys = ["env", "method", "seed"]
    ends = runs.groupby(keys, sort=True, observed=True)["return"].agg(["min", "max"]).abs()
    largest = ends.max(axis=1).reset_index(name="largest").astype({"env": str, "method": str})
    return largest.set_index(keys)["largest"].sort_index()


def _of_runs(sessions: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """The sessions of these runs, methods in their order."""
    keys = ["env", "method", "seed"]
    there = runs[keys].drop_duplicates().astype({"method": str})
    own = there.merge(sessions.astype({"method": str}), on=keys)
    return own.astype({"method": runs["method"].dtype})


def _ends(
    baselines: Baselines | Mapping[str, tuple[float, float]] | None,
    runs: pd.DataFrame,
    endpoint: str,
    further: Sequence[str],
    window: int | None,
) -> pd.DataFrame | None:
    """The endpoints of the baselines' runs, if they are given as runs.

    Areas are over the steps common to the methods' runs.
    """
    if not isinstance(baselines, Baselines):
        return None
    ranges = {str(env): common_range(own) for env, own in runs.groupby("env", sort=False)}
    there = with_numbers(baselines.runs, RUNS, "baselines: runs")
    there = there[there["env"].isin(list(ranges))]
    return endpoints(there, endpoint, further, baselines.evaluations, ranges, window)


def _scales(
    baselines: Baselines | Mapping[str, tuple[float, float]] | None, ends: pd.DataFrame | None
) -> Scales:
    """What normalises the endpoints of returns."""
    if isinstance(baselines, Baselines):
        assert ends is not None
        return scales(ends, baselines.low, baselines.high)
    if not baselines:
        return {}
    return {
        "endpoint": {
            env: (np.array([low], float), np.array([high], float))
            for env, (low, high) in baselines.items()
        }
    }


def statistics_of_exports(study: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """Every table of a study, from its exports.

    study: `methods`, `exclude` and `statistics` as in the config; `exports`, `evaluations` (empty
    if runs are not evaluated on enough episodes), `sessions` (empty for imported runs), `baselines`
    (all paths) and `total_steps` (empty for imported runs), each by environment; `references`, the
    two methods whose returns count as 0 and 1; `scale`, or None, the numbers that do, `{low, high}`
    by environment; `imported`, or None; `variants`, the methods of each with their
    selectors, or None; and `budgets`, variant -> environment -> labels, if variants differ in these
    alone.
    With variants, each table has a column `variant`, and `variants` compares them; with budgets,
    `budgets` and `labels_needed` hold the label efficiency.

    Raises ExportError for runs that cannot be compared.
    """
    choices = study["statistics"]
    chosen = choices.get("reward_endpoints")
    evaluations = _evaluations(study)
    baselines = _baselines(study, evaluations)
    methods: dict[str, str] = study["methods"]
    tables = {}
    for variant, own in (study.get("variants") or {"": None}).items():
        shown = methods if own is None else {name: methods[own[name]] for name in own}
        runs = _runs(study, shown)
        against = reference(choices.get("contrasts"), methods)
        if own is not None and against not in shown.values():
            against = None  # the variant is not crossed with it
        tables[variant] = statistics(
            runs,
            evaluations=_of(evaluations, shown),
            sessions=_sessions(study, shown),
            endpoint=choices["endpoint"],
            further=choices["further"],
            measures=tuple(REWARD_MODEL) if chosen is None else chosen,
            family=choices["family"],
            against=against,
            alpha=choices["alpha"],
            resamples=choices["bootstrap"],
            rope=choices["rope"],
            design=_design(study) or PAIRED,
            window=choices.get("window"),
            baselines=_within(baselines, runs),
        )
        if study.get("imported"):
            tables[variant]["rows"] = spread(runs)
            if "labels" in runs:
                curve = label_curves(runs, choices["alpha"], choices["bootstrap"])
                tables[variant]["label_curves"] = curve
    if not study.get("variants"):
        return tables[""]
    whole = joined(tables)
    between = across(whole["endpoints"], choices["alpha"], choices["bootstrap"])
    more = {"variants": between}
    if totals := study.get("budgets"):
        given = whole["endpoints"], totals, choices["alpha"], choices["bootstrap"]
        more |= {"budgets": budgets(*given), "labels_needed": labels_needed(*given)}
    return whole | more


def _evaluations(study: Mapping[str, Any]) -> pd.DataFrame | None:
    """The evaluations of all runs, baselines too; methods as in `exp_name`."""
    if not study["evaluations"]:
        return None
    return read_records(study["evaluations"], numbers=("step", "return_mean", "episodes"))


def _sessions(study: Mapping[str, Any], methods: Mapping[str, str]) -> pd.DataFrame | None:
    """The query sessions of these methods; None if there are none."""
    if not study.get("sessions"):
        return None
    return read_sessions(study["sessions"], methods, study["exclude"])


def _of(evaluations: pd.DataFrame | None, methods: Mapping[str, str] | None) -> pd.DataFrame | None:
    """The evaluations of these methods under the names that tables show."""
    if evaluations is None or methods is None:
        return evaluations
    own = evaluations[evaluations["method"].isin(list(methods))]
    return own.assign(method=own["method"].astype("str").map(dict(methods)))


def _baselines(
    study: Mapping[str, Any], evaluations: pd.DataFrame | None
) -> Baselines | Mapping[str, tuple[float, float]] | None:
    if study.get("scale"):
        return {env: (ends["low"], ends["high"]) for env, ends in study["scale"].items()}
    if not study["baselines"]:
        return None
    if study.get("imported"):
        runs = read_runs(study["baselines"], untrained=True, **_of_imported(study), design=UNPAIRED)
    else:
        episodes = read_records(study["baselines"], numbers=("global_step", METRIC))
        runs = episodes.rename(columns={"global_step": "step", METRIC: "return"})
    low, high = study["references"]
    return Baselines(low, high, runs, evaluations)


def _within(
    baselines: Baselines | Mapping[str, tuple[float, float]] | None, runs: pd.DataFrame
) -> Baselines | Mapping[str, tuple[float, float]] | None:
    """The baselines, without those of environments that these runs do not have (yet)."""
    envs = set(runs["env"])
    if isinstance(baselines, Baselines):
        return baselines if envs & set(baselines.runs["env"]) else None
    return baselines and {env: ends for env, ends in baselines.items() if env in envs}


def _runs(study: Mapping[str, Any], methods: Mapping[str, str]) -> pd.DataFrame:
    """The runs of these methods; those of a variant know nothing of what others exclude."""
    exclude, steps = study["exclude"], study["total_steps"]
    if study.get("variants"):
        exclude = excluded_within(exclude, methods)
    choices: dict[str, Any] = {"total_steps": steps, "untrained": bool(steps)}
    if study.get("imported"):  # they were checked where they were read
        choices = _of_imported(study) | {"untrained": True}
    return read_runs(study["exports"], methods, exclude, **choices, design=_design(study))


def _of_imported(study: Mapping[str, Any]) -> dict[str, Any]:
    """What a study says of the rows of its imported runs, for `read_runs`."""
    sources = study["imported"].items()
    return {
        "total_steps": {env: source["until"] for env, source in sources if "until" in source},
        "repeated": [env for env, source in sources if source["equal_rows"] == "keep"],
    }


def _design(study: Mapping[str, Any]) -> str | None:
    return study["statistics"].get("design")


def reference(contrasts: Any, methods: Mapping[str, str] | None) -> str | None:
    """The method, as tables show it, that a study's `contrasts` compare the others with."""
    if contrasts is None:
        return None
    return (methods or {}).get(contrasts["against"], contrasts["against"])
