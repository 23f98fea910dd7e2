"""Variants of a study: everything within each, and each selector's variants against the first."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from active_rlhf.analysis.comparisons import comparisons
from active_rlhf.analysis.endpoints import methods_of
from active_rlhf.analysis.frames import needs, require_rows
from active_rlhf.analysis.wording import Terms
from active_rlhf.files import split

Tables = Mapping[str, pd.DataFrame]


def joined(within: Mapping[str, Tables]) -> dict[str, pd.DataFrame]:
    """The tables of each variant as one of each name, with a column `variant` that comes first."""
    order = pd.CategoricalDtype(list(within), ordered=True)
    names = dict.fromkeys(name for tables in within.values() for name in tables)
    found = {}
    for name in names:
        parts = []
        for variant, tables in within.items():
            label = pd.Series(variant, tables[name].index, dtype=order)
            parts.append(pd.concat([label.rename("variant"), tables[name]], axis=1))
        found[name] = pd.concat(parts, ignore_index=True)
    return found


@needs(endpoints="variant env method seed metric_type value")
def across(endpoints: pd.DataFrame, alpha: float = 0.05, resamples: int = 10_000) -> pd.DataFrame:
    """One row per selector x environment x endpoint x variant but the first.

    The columns are `selector` and those of `comparisons`, whose methods are variants here: each
    minus the first that the selector has, on common seeds. Holm corrects the variants of one
    selector, environment and endpoint together. Raises FrameError if there are no rows.
    """
    require_rows(endpoints, "across: endpoints")
    parts = []
    for selector in methods_of(endpoints):
        own = endpoints[endpoints["method"] == selector]
        own = own.assign(method=own["variant"].cat.remove_unused_categories())
        first = methods_of(own)[0]
        table = comparisons(own, "environment", alpha, resamples, against=first)
        table.insert(0, "selector", selector)
        table["family"] = [f"{selector}, {family}" for family in table["family"]]
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def about(
    study: Mapping[str, Any], scope: str, *frames: pd.DataFrame
) -> tuple[str, Terms, list[pd.DataFrame]]:
    """What a scope of a study, `<environment>@<variant>`, means: its environment, its terms, and
    its part of the frames."""
    env, variant = split(scope)
    return env, Terms.of(study, variant), [within(frame, variant) for frame in frames]


def excluded_within(
    exclude: Iterable[Mapping[str, Any]], methods: Mapping[str, str]
) -> list[Mapping[str, Any]]:
    """The entries of a study's `exclude` that are about these methods (id -> name in tables).

    A name in tables means the selector without changes; one under a variant goes by its id.
    """
    unchanged = {shown for method, shown in methods.items() if not split(method)[1]}
    return [run for run in exclude if run["method"] in {*methods, *unchanged}]


def within(frame: pd.DataFrame, variant: str) -> pd.DataFrame:
    """The rows of a variant, without the column; the frame itself in a study without variants."""
    if "variant" not in frame:
        return frame
    return frame[frame["variant"] == variant].drop(columns="variant").reset_index(drop=True)
