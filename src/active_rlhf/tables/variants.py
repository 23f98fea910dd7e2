"""Variants of each selector, compared with the first."""

import pandas as pd

from active_rlhf.analysis.frames import needs
from active_rlhf.analysis.wording import (
    Terms,
    capital,
    decimals,
    excluded_runs,
    number,
    of_seeds,
    p_value,
    power_notes,
)
from active_rlhf.tables.cells import Cell, Table, emphasised, intervals, mean_sd, plain, table


@needs(
    variants="selector env metric_type method_a method_b n p_value_holm reject_null family "
    "hodges_lehmann ci_hl_low ci_hl_high dz delta_mean sd_delta",
    summary="variant env method metric_type n mean sd",
)
def variants(
    variants: pd.DataFrame,
    summary: pd.DataFrame,
    terms: Terms,
    env: str,
    metric_type: str = "endpoint",
) -> Table:
    """Each selector under each variant on one environment, and its difference to the first.

    Takes the statistics `variants` and `summary`, whole.
    """
    means = summary[(summary["env"] == env) & (summary["metric_type"] == metric_type)]
    tests = variants[(variants["env"] == env) & (variants["metric_type"] == metric_type)]
    shown_values = [*means["mean"], *means["sd"], *tests["delta_mean"], *tests["sd_delta"]]
    places = decimals(shown_values, metric_type)
    shown = []
    for selector in terms.order(means):
        own = means[means["method"] == selector].sort_values("variant", kind="stable")
        for (_, row), text in zip(own.iterrows(), mean_sd(own, places), strict=True):
            test = tests[(tests["selector"] == selector) & (tests["method_a"] == row["variant"])]
            shown.append((selector, row["variant"], int(row["n"]), text, test))
    found = [test.iloc[0] if len(test) else None for *_, test in shown]
    reject = [row is not None and bool(row["reject_null"]) for row in found]

    def column(name: str, digits: int) -> list[str]:
        return ["–" if row is None else number(row[name], digits) for row in found]

    low, high = (
        [float("nan") if row is None else row[end] for row in found]
        for end in ("ci_hl_low", "ci_hl_high")
    )
    holm = ["–" if row is None else p_value(row["p_value_holm"], terms.alpha) for row in found]
    families = variants[variants["family"].isin(tests["family"])]
    return table(
        f"variants {env} {metric_type}",
        f"{capital(terms.metric(metric_type, True))} of each selector under each variant on "
        f"{env}, mean ± sd, and its difference to the selector's first variant; "
        f"{of_seeds(means['n'])}. {terms.test}; Holm within selector × environment × endpoint, "
        f"α = {terms.alpha:g}. HL: Hodges-Lehmann estimate with its exact interval. dz: mean "
        "difference over its sd. Bold: rejected.",
        [
            ("Selector", plain(selector for selector, *_ in shown)),
            ("Variant", plain(variant for _, variant, *_ in shown)),
            ("n", [Cell(str(n)) for *_, n, _, _ in shown]),
            ("Mean ± sd", plain(text for *_, text, _ in shown)),
            ("HL", emphasised(column("hodges_lehmann", places), reject)),
            (f"{terms.level} interval", intervals(low, high, places)),
            ("Holm p", emphasised(holm, reject)),
            ("dz", plain(column("dz", 2))),
        ],
        [*(power_notes(families, terms) if len(families) else []), excluded_runs(terms, [env])],
        left=2,
    )
