"""Pairwise comparisons of methods."""

import pandas as pd

from active_rlhf.analysis.power import is_unpaired
from active_rlhf.analysis.wording import (
    Terms,
    decimals,
    excluded_runs,
    family,
    number,
    of_seeds,
    p_value,
    power_notes,
    seeds,
    teacher_and_budget,
)
from active_rlhf.study.measures import lower_is_better
from active_rlhf.tables.cells import Cell, Table, emphasised, intervals, numbers, plain, table


def significance(
    comparisons: pd.DataFrame, terms: Terms, env: str = "", metric_type: str = "endpoint"
) -> Table:
    """Differences in an endpoint on one environment or, without one, on all.

    Takes the whole statistic `comparisons`, as its families are the tests corrected together.
    """
    if env:
        return _of_environment(comparisons, terms, env, metric_type)
    return _of_all(comparisons, terms, metric_type)


def _of_environment(comparisons: pd.DataFrame, terms: Terms, env: str, metric_type: str) -> Table:
    """All pairwise comparisons of one endpoint on one environment."""
    rows = comparisons[(comparisons["env"] == env) & (comparisons["metric_type"] == metric_type)]
    places = decimals(
        [*rows["hodges_lehmann"], *rows["delta_mean"], *rows["sd_delta"]], metric_type
    )
    reject = list(rows["reject_null"])
    sign, side = ("<", "below") if lower_is_better(metric_type) else (">", "above")
    families = comparisons[comparisons["family"].isin(rows["family"])]
    columns = [
        ("Comparison", plain(f"{a} − {b}" for a, b in _pairs(rows))),
        ("n", [Cell(n) for n in _numbers_of_runs(rows)]),
        ("U" if is_unpaired(rows) else "W", [Cell(f"{w:g}") for w in rows["w_statistic"]]),
        ("p", plain(p_value(p, terms.alpha) for p in rows["p_value"])),
        ("Holm p", emphasised((p_value(p, terms.alpha) for p in rows["p_value_holm"]), reject)),
        ("HL", emphasised((number(v, places) for v in rows["hodges_lehmann"]), reject)),
        (f"{terms.level} interval", intervals(rows["ci_hl_low"], rows["ci_hl_high"], places)),
        ("Mean", numbers(rows["delta_mean"], places)),
        (terms.effect, numbers(rows["dz"], 2)),
        (f"P(a {sign} b)", numbers(rows["prob_improvement"], 2)),
    ]
    return table(
        f"significance {env} {metric_type}",
        f"Differences (a − b) in {terms.metric(metric_type, True)} on {env}; {_seeds(rows)}. "
        f"{terms.test}; {family(families, terms)}, α = {terms.alpha:g}. HL: "
        f"Hodges-Lehmann estimate, with its {terms.exact}interval, the dual of the uncorrected "
        f"test. {terms.effect_defined}. P(a {sign} b): how often a run of a is {side} one of b, "
        "unpaired. "
        "Bold: rejected.",
        columns,
        [
            *power_notes(families, terms),
            teacher_and_budget(terms, env),
            excluded_runs(terms, [env]),
        ],
    )


def _of_all(comparisons: pd.DataFrame, terms: Terms, metric_type: str) -> Table:
    """Hodges-Lehmann estimate and Holm's p of each pair on each environment."""
    rows = comparisons[comparisons["metric_type"] == metric_type]
    pairs = list(dict.fromkeys(_pairs(rows)))
    families = comparisons[comparisons["family"].isin(rows["family"])]
    columns = [("Comparison", plain(f"{a} − {b}" for a, b in pairs))]
    for env, group in rows.groupby("env", sort=False):
        places = decimals([*group["hodges_lehmann"], *group["sd_delta"]], metric_type)
        cells = {
            (row["method_a"], row["method_b"]): Cell(
                f"{number(row['hodges_lehmann'], places)} "
                f"({p_value(row['p_value_holm'], terms.alpha)})",
                row["reject_null"],
            )
            for row in group.to_dict("records")
        }
        columns.append((str(env), [cells.get(pair, Cell("–")) for pair in pairs]))
    return table(
        f"significance {metric_type}",
        f"Differences (a − b) in {terms.metric(metric_type, True)}: Hodges-Lehmann estimate (Holm "
        f"p); {_seeds(rows)}. {terms.test}; {family(families, terms)}, "
        f"α = {terms.alpha:g}. Bold: rejected. The intervals are in the tables by environment.",
        columns,
        [*power_notes(families, terms), teacher_and_budget(terms), excluded_runs(terms)],
    )


def _seeds(rows: pd.DataFrame) -> str:
    """'n = 10 seeds', or 'n = 5 to 20 runs of a method'."""
    if is_unpaired(rows):
        return f"{seeds([*rows['n_a'], *rows['n_b']])} runs of a method"
    return f"{of_seeds(rows['n'])}"


def _numbers_of_runs(rows: pd.DataFrame) -> list[str]:
    """The number of pairs; of both methods' runs if they are not paired, or not all paired."""
    both = [f"{a}, {b}" for a, b in zip(rows["n_a"], rows["n_b"], strict=True)]
    if is_unpaired(rows):
        return both
    n, most = list(rows["n"]), list(rows[["n_a", "n_b"]].max(axis=1))
    return [str(k) if k == m else f"{k} of {b}" for k, m, b in zip(n, most, both, strict=True)]


def _pairs(comparisons: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(comparisons["method_a"], comparisons["method_b"], strict=True))
