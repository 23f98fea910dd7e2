"""How good each method's reward model is, and whether labels limit its return."""

import pandas as pd

from active_rlhf.analysis.frames import needs
from active_rlhf.analysis.limits import LABELS, LIMITS, OTHER, QUALITY, ROOM, UNCLEAR
from active_rlhf.analysis.wording import (
    OF_LABELS,
    OF_SESSIONS,
    REWARD_METRICS,
    Terms,
    capital,
    decimals,
    excluded_runs,
    interval,
    number,
    of_seeds,
    teacher_and_budget,
)
from active_rlhf.study.measures import OVER_LABELS, lower_is_better
from active_rlhf.tables.cells import Cell, Table, best_bold, intervals, mean_sd, plain, table

VERDICTS = {
    LABELS: "labels limit the return",
    OTHER: "labels are not what limits the return",
    UNCLEAR: "unclear whether labels limit the return",
}


@needs(summary="env method metric_type n mean sd ci_low ci_high")
def reward_model(summary: pd.DataFrame, terms: Terms, env: str) -> Table:
    """Every measure of the reward models on one environment, from the statistic `summary`."""
    own = summary[summary["env"] == env]
    shown = [name for name in REWARD_METRICS if name in set(own["metric_type"])]
    texts: list[list[Cell]] = [[] for _ in range(7)]
    for name in shown:
        rows = own[own["metric_type"] == name].set_index("method")
        methods = terms.order(own[own["metric_type"] == name])
        forms = rows.loc[methods], _over_labels(own, name).reindex(methods)
        texts[0] += plain([capital(terms.metric(name))] * len(methods))
        texts[1] += plain(methods)
        texts[2] += plain(forms[0]["n"])
        for i, form in enumerate(forms):
            places = decimals([*form["mean"], *form["sd"]], name)
            marked = best_bold(
                form["mean"], places, mean_sd(form, places), lowest=lower_is_better(name)
            )
            texts[3 + 2 * i] += marked
            texts[4 + 2 * i] += intervals(form["ci_low"], form["ci_high"], places)
    heads = ["Measure", "Method", "n", "End: mean ± sd", f"{terms.level} interval"]
    heads += ["Over labels: mean ± sd", f"{terms.level} interval"]
    better = [
        f"{capital(terms.metric(name))}: {REWARD_METRICS[name][1]}, "
        f"{'smaller' if lower_is_better(name) else 'larger'} is better. "
        for name in shown
    ]
    counts = own.loc[own["metric_type"].isin(shown), "n"]
    return table(
        f"reward model {env}",
        f"Reward models on the probe set of {env}, {OF_SESSIONS} and over labels ({OF_LABELS}); "
        f"{of_seeds(counts)}. {''.join(better)}Interval: t interval of the mean. Bold: "
        "best of a measure, with ties at the precision shown.",
        list(zip(heads, texts, strict=True)),
        [
            "No test is made here; see the pairwise comparisons. These are not normalised: the "
            "baselines have no reward model.",
            "" if shown else "Empty, as no run was measured on a probe set.",
            teacher_and_budget(terms, env),
            excluded_runs(terms, [env]),
        ],
        left=2,
    )


def _over_labels(own: pd.DataFrame, name: str) -> pd.DataFrame:
    return own[own["metric_type"] == name + OVER_LABELS].set_index("method")


@needs(limits=" ".join(LIMITS))
def limits(limits: pd.DataFrame, terms: Terms, env: str) -> Table:
    """Each method's return beside that on the true reward, on one environment.

    Takes the statistic `limits`.
    """
    own = limits[limits["env"] == env]
    rows: list[list[str]] = []
    notes = []
    for metric_type, group in own.groupby("metric_type", sort=False):
        places = decimals([*group["mean"], *group["mean_true"], *group["gap"]])
        name = capital(terms.metric(str(metric_type)))
        first, shown = group.iloc[0], group.set_index("method").loc[terms.order(group)]

        def cell(row: pd.Series, value: str, low: str, high: str, digits: int = places) -> str:
            return f"{number(row[value], digits)} {interval(row[low], row[high], digits)}"

        true = cell(first, "mean_true", "ci_true_low", "ci_true_high")
        rows.append([name, "(true reward)", str(int(first["n_true"])), true, "–"])
        for method, row in shown.iterrows():
            mean = cell(row, "mean", "ci_low", "ci_high")
            gap = cell(row, "gap", "ci_gap_low", "ci_gap_high")
            rows.append([name, str(method), str(int(row["n"])), mean, gap])
        rho = cell(first, "spearman", "ci_spearman_low", "ci_spearman_high", 2)
        notes.append(
            f"{name}: Spearman's correlation of {terms.metric(QUALITY)} with return over "
            f"{int(first['runs'])} runs of {int(first['seeds'])} seeds is {rho}; "
            f"{VERDICTS[first['verdict']]}."
        )
    heads = ["Endpoint", "Method", "n", f"Mean [{terms.level} interval]"]
    heads += [f"True reward − method, HL [{terms.level} interval]"]
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(heads)
    return table(
        f"limits {env}",
        f"What limits the return on {env}: returns beside those of the same agent on the "
        f"environment's own reward; {of_seeds(own['n_pairs'])}. Mean: t interval. HL: "
        "Hodges-Lehmann estimate of the difference, paired by seed, with its exact interval, not "
        "corrected for the number of methods. Correlation: bootstrap of whole seeds. Labels limit "
        "the return "
        "if some difference and the correlation lie wholly above zero. They do not, as far as "
        f"these runs show, if neither does and every difference lies below {ROOM:g} of what the "
        "true reward gains over a random policy. Anything else, or too few seeds, is unclear.",
        [(head, plain(column)) for head, column in zip(heads, columns, strict=True)],
        [
            *notes,
            "A correlation is no cause: a run that gets far also sees behaviour more like the "
            "probe set's.",
            teacher_and_budget(terms, env),
            excluded_runs(terms, [env]),
        ],
        left=2,
    )
