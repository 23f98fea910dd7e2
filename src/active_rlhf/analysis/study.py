"""All statistics of a study, from its runs to the tables under results/<study>/statistics/."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from active_rlhf.analysis.aggregate import (
    Baselines,
    aggregates,
    baseline_returns,
    efficiency,
    improvements,
    profiles,
)
from active_rlhf.analysis.bayes import bayes
from active_rlhf.analysis.budgets import budgets, labels_needed
from active_rlhf.analysis.comparisons import comparisons, summary
from active_rlhf.analysis.curves import curves
from active_rlhf.analysis.endpoints import endpoints, methods_of
from active_rlhf.analysis.frames import FrameError, require_runs
from active_rlhf.analysis.power import power_table
from active_rlhf.analysis.ranks import ranks
from active_rlhf.analysis.variants import across, excluded_within, joined
from active_rlhf.results.export import METRIC, read_records, read_runs


def statistics(
    runs: pd.DataFrame,
    *,
    endpoint: str = "final",
    further: Sequence[str] = (),
    family: str = "environment",
    against: str | None = None,
    alpha: float = 0.05,
    resamples: int = 10_000,
    baselines: Baselines | None = None,
) -> dict[str, pd.DataFrame]:
    """Every table by name; those that need baselines are empty without them.

    runs: a row for each finished episode, in order within a run: `env, method, seed, step` (at its
    end), `return` and, for the tables of labels, `labels` (asked by then). Methods are in the order
    of the Categorical `method`, or else of appearance. against: the method that the others are
    compared with; all pairs are compared without it. baselines: environment -> the returns that
    count as 0 and 1. Raises FrameError for runs that cannot be used.
    """
    require_runs(runs)
    if against is not None and against not in (names := methods_of(runs)):
        known = ", ".join(map(str, names))
        raise FrameError(f"statistics.contrasts.against: no method {against!r}; there are {known}")
    values = endpoints(runs, endpoint, further)
    pairs = comparisons(values, family, alpha, resamples, against)
    baselines = baselines or {}
    return {
        "endpoints": values,
        "summary": summary(values, alpha),
        "comparisons": pairs,
        "aggregates": aggregates(values, baselines, alpha, resamples),
        "profiles": profiles(values, baselines, alpha, resamples),
        "efficiency": efficiency(runs, baselines, alpha, resamples),
        "improvement": improvements(values, alpha, resamples),
        "ranks": ranks(values, alpha),
        "bayes": bayes(values),
        "power": power_table(pairs, alpha),
        "curves": curves(runs, alpha, resamples),
    }


def statistics_of_exports(study: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """Every table of a study, from its exports.

    study: `methods`, `exclude` and `statistics` as in the config; `exports`, `baselines` (both
    paths) and `total_steps` (empty for imported runs), each by environment; `references`, the two
    baselines whose returns count as 0 and 1; `variants`, the methods of each with their selectors,
    or None; and `budgets`, variant -> environment -> labels, if variants differ in these alone.
    With variants, each table has a column `variant`, and `variants` compares them; with budgets,
    `budgets` and `labels_needed` hold the label efficiency.

    Raises ExportError for runs that cannot be compared.
    """
    choices = study["statistics"]
    baselines: Baselines = {}
    if study["baselines"]:
        episodes = read_records(study["baselines"], numbers=("global_step", METRIC))
        baselines = baseline_returns(episodes, METRIC, *study["references"])
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
            endpoint=choices["endpoint"],
            further=choices["further"],
            family=choices["family"],
            against=against,
            alpha=choices["alpha"],
            resamples=choices["bootstrap"],
            baselines=baselines,
        )
    if not study.get("variants"):
        return tables[""]
    whole = joined(tables)
    between = across(whole["endpoints"], choices["alpha"], choices["bootstrap"])
    more = {"variants": between}
    if totals := study.get("budgets"):
        given = whole["endpoints"], totals, choices["alpha"], choices["bootstrap"]
        more |= {"budgets": budgets(*given), "labels_needed": labels_needed(*given)}
    return whole | more


def _runs(study: Mapping[str, Any], methods: Mapping[str, str]) -> pd.DataFrame:
    """The runs of these methods; those of a variant know nothing of what others exclude."""
    exclude, steps = study["exclude"], study["total_steps"]
    if study.get("variants"):
        exclude = excluded_within(exclude, methods)
    return read_runs(study["exports"], methods, exclude, steps, untrained=bool(steps))


def reference(contrasts: Any, methods: Mapping[str, str] | None) -> str | None:
    """The method, as tables show it, that a study's `contrasts` compare the others with."""
    if contrasts is None:
        return None
    return (methods or {}).get(contrasts["against"], contrasts["against"])
