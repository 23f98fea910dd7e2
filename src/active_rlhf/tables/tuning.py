"""What was tuned, what came out, and what that was worth on seeds that no trial had seen."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from active_rlhf.analysis.frames import needs
from active_rlhf.analysis.wording import (
    Terms,
    capital,
    decimals,
    excluded_runs,
    listed,
    number,
    of_seeds,
    p_value,
    power_notes,
)
from active_rlhf.study.sweep import Sweep
from active_rlhf.tables.cells import (
    Cell,
    Table,
    emphasised,
    intervals,
    mean_sd,
    numbers,
    plain,
    table,
)
from active_rlhf.tuning.choice import Choice
from active_rlhf.tuning.outcome import (
    objective_in_words,
    settings_rows,
    short_names,
    shown,
    tuning_seeds,
)

SHOWN = 10  # trials of each selector


def equally(sweep: Sweep) -> str:
    """How many trials each selector had, on which seeds, and what was maximised."""
    count = f"{sweep.trials} trial{'s' * (sweep.trials > 1)}"
    seeds = f"{tuning_seeds(sweep)} tuning seed{'s' * (tuning_seeds(sweep) > 1)}"
    early = " (fewer for trials that were stopped early)" if sweep.halving else ""
    names = listed([str(seed) for seed in sweep.seeds])
    return f"{count} of each selector, the same number for all, with {seeds} each{early}: {names}"


@needs(
    outcome="selector env metric_type settings same_as trial objective complete n mean sd "
    "hodges_lehmann ci_low ci_high p_value_holm reject_null",
    variants="selector env metric_type family power n_for_80",
)
def tuning(outcome: pd.DataFrame, variants: pd.DataFrame, sweep: Sweep, terms: Terms) -> Table:
    """Default, best and typical settings of each selector on each environment.

    Takes `tuning.outcome.outcome` and the statistic `variants`, whole.
    """
    objectives = _objectives(outcome)
    of_rows = {
        key: decimals([*rows["mean"], *rows["sd"], *rows["hodges_lehmann"].abs()], str(key[1]))
        for key, rows in outcome.groupby(["env", "metric_type"], sort=False)
    }
    digits = [of_rows[key] for key in zip(outcome["env"], outcome["metric_type"], strict=True)]
    reject = list(outcome["reject_null"].astype(bool))
    means = [
        mean_sd(outcome.iloc[[i]], own)[0] if outcome["n"].iloc[i] else "–"
        for i, own in enumerate(digits)
    ]
    ends = zip(outcome["ci_low"], outcome["ci_high"], digits, strict=True)
    tests = variants[variants["metric_type"].isin(outcome["metric_type"])]
    endpoints = [terms.metric(name) for name in outcome["metric_type"]]
    columns = [
        ("Selector", plain(outcome["selector"])),
        ("Environment", plain(outcome["env"])),
        ("Endpoint", plain(endpoints)),
        ("Settings", plain(map(_settings, outcome["settings"], outcome["same_as"]))),
        ("Trial", plain("–" if trial < 0 else str(trial) for trial in outcome["trial"])),
        ("Objective, tuning seeds", plain(objectives)),
        ("n", plain(n or "–" for n in outcome["n"])),
        ("Mean ± sd, test seeds", plain(means)),
        (
            "Minus default (HL)",
            emphasised(map(number, outcome["hodges_lehmann"], digits), reject),
        ),
        (
            f"{terms.level} interval",
            [intervals([low], [high], own)[0] for low, high, own in ends],
        ),
        (
            "Holm p",
            emphasised((p_value(p, terms.alpha) for p in outcome["p_value_holm"]), reject),
        ),
    ]
    envs = list(dict.fromkeys(outcome["env"]))
    value = objective_in_words(sweep, terms, len(envs))
    return table(
        "tuning",
        f"What tuning came to. {capital(equally(sweep))}. Objective: {value}; "
        "that of the best trial is the largest of them all, and so optimistic. Right: the "
        f"study's own seeds ({of_seeds(outcome.loc[outcome['n'] > 0, 'n'])}), of which no trial "
        "has seen one, as tuning seeds and test seeds have none in common. HL: Hodges-Lehmann "
        f"estimate of the difference to default, with its exact interval. {terms.test}; Holm "
        f"within selector × environment × endpoint, α = {terms.alpha:g}. Bold: rejected."
        + (" In brackets: stopped early." if "(" in "".join(objectives) else ""),
        columns,
        [*(power_notes(tests, terms) if len(tests) else []), excluded_runs(terms, envs)],
        left=4,
    )


def _settings(settings: str, same_as: str) -> str:
    return settings + (f" (= {same_as})" if same_as else "")


def _objectives(outcome: pd.DataFrame) -> list[str]:
    """Trials' values; in brackets where they are of fewer seeds than the others."""
    places = decimals(outcome["objective"])
    texts = [number(value, places) for value in outcome["objective"]]
    partial = ~outcome["complete"].astype(bool) & outcome["objective"].notna()
    return [f"({text})" if few else text for text, few in zip(texts, partial, strict=True)]


def tuned_settings(sweep: Sweep, choices: Mapping[str, Choice], names: Mapping[str, str]) -> Table:
    """Each tuned setting of each selector: what was searched, default, best and typical.

    names: selector -> its name in tables.
    """
    rows = settings_rows(sweep, choices, names)
    heads = ("Selector", "Setting", "Searched", "Default", "Best trial", "Typical")
    differs = any(choice.own is None for choice in choices.values())
    tops = {len(choice.top) for choice in choices.values()}
    return table(
        "tuned settings",
        f"Settings that were tuned, by {sweep.sampler}. Typical: the median of numbers and the "
        "mode of others over the tenth of the trials with the highest objective "
        f"({listed([str(top) for top in sorted(tops)])} of {sweep.trials}). Numbers are shown with "
        "four digits; the files of settings have all.",
        [
            (head, plain(column))
            for head, column in zip(heads, zip(*rows, strict=True), strict=True)
        ],
        ["Differs: the default is not the same in all environments."] if differs else [],
        left=3,
    )


@needs(trials="selector trial runs value complete")
def best_trials(
    trials: pd.DataFrame, sweep: Sweep, names: Mapping[str, str], terms: Terms, envs: int
) -> Table:
    """The best ten trials of each selector, with their values.

    Trials that were stopped early come after those that were not: they have fewer runs.
    """
    short = short_names(sweep.space)
    ranked = ranking(trials)
    parts = [ranked[ranked["selector"] == selector].head(SHOWN) for selector in names]
    top = pd.concat(parts)
    places = decimals(top["value"])
    settings = [(short[key], plain(map(cell_text, top[key]))) for key in sweep.space if key in top]
    few = all(sum(trials["selector"] == selector) <= SHOWN for selector in names)
    which = "All trials" if few else f"The best {SHOWN} of {sweep.trials} trials of each selector"
    stopped = (
        " Stopped: not among the better share of a stage, so it has fewer runs or shorter ones and "
        "was not a candidate."
        if sweep.halving
        else ""
    )
    return table(
        "trials",
        f"{which}, best first. Objective: {objective_in_words(sweep, terms, envs)}, on tuning "
        f"seeds alone. No interval, no test.{stopped} –: not a setting of this selector. All "
        "trials are in sweep/trials.csv.",
        [
            ("Selector", plain(names[selector] for selector in top["selector"])),
            ("Trial", [Cell(str(number)) for number in top["trial"]]),
            ("Objective", numbers(top["value"], places)),
            ("Runs", [Cell(str(runs)) for runs in top["runs"]]),
            *(
                [("Stopped", plain("" if done else "yes" for done in top["complete"]))]
                if sweep.halving
                else []
            ),
            *settings,
        ],
        [],
    )


def ranking(trials: pd.DataFrame) -> pd.DataFrame:
    """Trials of each selector, best first; those that were stopped early last."""
    return trials.sort_values(
        ["selector", "complete", "value", "trial"],
        ascending=[True, False, False, True],
        kind="stable",
    )


def cell_text(value: Any) -> str:
    """A trial's value of a setting; a dash where it is another selector's."""
    missing = value is None or (isinstance(value, float) and np.isnan(value))
    return "–" if missing else shown(float(value)) if isinstance(value, float) else shown(value)
