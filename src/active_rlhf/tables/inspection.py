"""What reward models have learned, of one run and of a study."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from active_rlhf.analysis.frames import needs
from active_rlhf.analysis.inspection import MEASURES, Inspection, values
from active_rlhf.analysis.wording import (
    Terms,
    capital,
    decimals,
    excluded_runs,
    interval,
    number,
    seeds,
    teacher_and_budget,
)
from active_rlhf.tables.cells import Table, plain, table

LOWER = ("epic", "true_calibration")  # measures of which less is better


def _number(value: float | None, places: int = 3) -> str:
    return number(float("nan") if value is None else value, places)


def of_run(found: Inspection) -> list[Table]:
    """The tables about one run, from what `results.inspection.inspect_run` found."""
    name = f"{found['environment']} {found['method']} seed {found['seed']}"
    rows = found["states"]
    states = table(
        "states",
        f"What the reward model of {name} pays in states with a name. Learned rewards have mean 0 "
        "and sd 1 over the run's behaviour, true ones are the environment's.",
        [
            ("State", plain(row["state"] for row in rows)),
            ("Action", plain(row["action"] for row in rows)),
            ("Learned", plain(_number(row["learned"]) for row in rows)),
            ("True", plain(_number(row["true"]) for row in rows)),
        ],
        [] if rows else ["Observations are no flat list of numbers, so no state has a name."],
        left=2,
    )
    kinds = found["agreement"]
    agreement = table(
        "agreement",
        f"How far it agrees with others about pairs: true returns are those of {found['on']}. n: "
        "pairs without ties. Calibration error: expected, in ten intervals of confidence.",
        [
            ("With", plain(kinds)),
            ("n", plain(kind["n"] for kind in kinds.values())),
            ("Accuracy", plain(_number(kind["accuracy"]) for kind in kinds.values())),
            ("Cross-entropy", plain(_number(kind["loss"]) for kind in kinds.values())),
            ("Calibration error", plain(_number(kind["calibration"]) for kind in kinds.values())),
        ],
        [],
    )
    measured = {key: values(found)[key] for key in ("epic", "step_correlation", "within_segments")}
    distance = table(
        "distance",
        f"How far it is from the true reward, on steps of {found['on']}.",
        [
            ("Measure", plain(capital(MEASURES[key][0]) for key in measured)),
            ("Value", plain(_number(value) for value in measured.values())),
            ("What it is", plain(MEASURES[key][1] for key in measured)),
        ],
        found["missing"],
    )
    return [states, agreement, distance]


@needs(summary="env method kind name n mean ci_low ci_high")
def inspection(summary: pd.DataFrame, terms: Terms, env: str, missing: Sequence[str] = ()) -> Table:
    """A row for each method and measure on one environment, from `analysis.inspection.summary`."""
    own = summary[(summary["env"] == env) & (summary["kind"] == "measure")]
    texts: list[list[str]] = [[] for _ in range(5)]
    for name, (said, _) in MEASURES.items():
        rows = own[own["name"] == name]
        for method in terms.order(rows):
            for row in rows[rows["method"] == method].to_dict("records"):
                ends = interval(row["ci_low"], row["ci_high"], 3)
                cells = capital(said), method, row["n"], _number(row["mean"]), ends
                for column, text in zip(texts, cells, strict=True):
                    column.append(str(text))
    heads = ["Measure", "Method", "n", "Mean", f"{terms.level} interval"]
    better = [
        f"{capital(said)}: {what} ({'smaller' if name in LOWER else 'larger'} is better)."
        for name, (said, what) in MEASURES.items()
    ]
    return table(
        f"inspection {env}",
        f"What the reward models learned on {env}, after the last session, on the steps and pairs "
        f"of the probe set; {seeds(own['n'])} seeds. {' '.join(better)} Interval: t interval of "
        "the mean over seeds.",
        [(head, plain(column)) for head, column in zip(heads, texts, strict=True)],
        [
            "No test is made here.",
            *missing,
            teacher_and_budget(terms, env),
            excluded_runs(terms, [env]),
        ],
        left=2,
    )


@needs(summary="env method kind name n mean ci_low ci_high")
def states(
    summary: pd.DataFrame, terms: Terms, env: str, true: Mapping[str, Any], action: str
) -> Table:
    """The learned rewards of named states of one environment, a column for each method.

    true: state -> the true reward there, None where it is not known; action: the one taken there.
    """
    own = summary[(summary["env"] == env) & (summary["kind"] == "state")]
    methods = terms.order(own)
    columns = [("State", plain(true)), ("True", plain(_number(value) for value in true.values()))]
    for method in methods:
        rows = own[own["method"] == method].set_index("name").reindex(list(true))
        places = decimals(rows["mean"])
        cells = [
            f"{number(row['mean'], places)} {interval(row['ci_low'], row['ci_high'], places)}"
            for _, row in rows.iterrows()
        ]
        columns.append((method, plain(cells)))
    return table(
        f"inspection states {env}",
        f"Rewards of states of {env} that have a name, with {action}: the true one, and the mean "
        f"over runs of the learned one with its {terms.level} t interval; {seeds(own['n'])} seeds. "
        "Learned rewards have mean 0 and sd 1 over a run's behaviour, so it is their order that "
        "should be that of the true ones.",
        columns,
        [
            "" if true else "Observations are no flat list of numbers, so no state has a name.",
            teacher_and_budget(terms, env),
            excluded_runs(terms, [env]),
        ],
    )
