"""What tuning came to: default and tuned settings, on the tuning seeds and on the study's own.

The first are what settings were chosen by, so the value of the best trial, the largest of many, is
too high. Only the second, which no trial has seen, tell what tuning is worth.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from active_rlhf.analysis.frames import needs
from active_rlhf.analysis.wording import Terms
from active_rlhf.study.sweep import Dimension, Sweep
from active_rlhf.study.tuning import BEST, DEFAULT, TYPICAL
from active_rlhf.tuning.choice import Choice, differing

Trials = Sequence[Mapping[Any, Any]]

CALLED = {BEST: "best trial", TYPICAL: "typical of the best tenth"}


@needs(
    trials="selector trial value complete",
    summary="variant env method metric_type n mean sd",
    variants="selector env metric_type method_a n hodges_lehmann ci_hl_low ci_hl_high "
    "p_value_holm reject_null",
)
def outcome(
    sweep: Sweep,
    choices: Mapping[str, Choice],
    trials: pd.DataFrame,
    summary: pd.DataFrame,
    variants: pd.DataFrame,
    names: Mapping[str, str],
    endpoint: str,
) -> pd.DataFrame:
    """One row per selector x environment x endpoint x settings (`default`, `best`, `typical`).

    names: selector -> its name in tables; endpoint: the study's main one. Rows are about the
    endpoint that was tuned for and, if that is another, the main one. `trials, tuning_seeds`: how
    many there were of each selector, and seeds per trial; `trial, objective, complete`: the trial
    with these settings, its value, and whether it had all tuning seeds (nothing for typical
    settings, which need not be a trial's); `n, mean, sd`: of the runs on the study's seeds;
    `hodges_lehmann, ci_low, ci_high, p_value_holm, reject_null`: of the difference to default, from
    the statistic `variants`; `same_as`: the settings that these equal, which have the runs then.
    """
    metrics = dict.fromkeys([tuned_for(sweep, endpoint), "endpoint"])
    tests = {
        (row["selector"], row["env"], row["metric_type"], row["method_a"]): row
        for row in variants.to_dict("records")
    }
    means = {
        (row["method"], row["env"], row["metric_type"], row["variant"]): row
        for row in summary.to_dict("records")
    }
    rows = []
    for selector, choice in choices.items():
        shown = names.get(selector, selector)
        own = trials[trials["selector"] == selector].to_dict("records")
        by_number: dict[Any, dict[Any, Any]] = {row["trial"]: row for row in own}
        for env in dict.fromkeys(summary["env"]):
            for metric in metrics:
                for settings, same_as, trial in _settings(choice, own):
                    key = shown, env, metric, "" if same_as else settings
                    mean, test = means.get(key, {}), tests.get(key, {})
                    tried = by_number.get(trial, {})
                    rows.append(
                        {
                            "selector": shown,
                            "env": env,
                            "metric_type": metric,
                            "settings": settings,
                            "same_as": same_as,
                            "trials": choice.trials,
                            "tuning_seeds": tuning_seeds(sweep),
                            "trial": -1 if trial is None else trial,
                            "objective": tried.get("value", np.nan),
                            "complete": bool(tried.get("complete", False)),
                            "n": int(mean.get("n", 0)),
                            "mean": mean.get("mean", np.nan),
                            "sd": mean.get("sd", np.nan),
                            "hodges_lehmann": test.get("hodges_lehmann", np.nan),
                            "ci_low": test.get("ci_hl_low", np.nan),
                            "ci_high": test.get("ci_hl_high", np.nan),
                            "p_value_holm": test.get("p_value_holm", np.nan),
                            "reject_null": bool(test.get("reject_null", False)),
                        }
                    )
    return pd.DataFrame(rows)


def _settings(choice: Choice, trials: Trials) -> Iterator[tuple[str, str, int | None]]:
    """Each of default, best and typical settings, which others they equal, and their trial."""
    changes = {name: differing(choice.values[name], choice.own) for name in (BEST, TYPICAL)}
    known = [(DEFAULT, {}), *changes.items()]
    for i, (name, own) in enumerate(known):
        same = next((earlier for earlier, other in known[:i] if other == own), "")
        yield name, same, {DEFAULT: default_trial(choice, trials), BEST: choice.best}.get(name)


def default_trial(choice: Choice, trials: Trials) -> int | None:
    """The trial with the study's own settings; None if there was none.

    trials: the selector's rows of the table of trials.
    """
    if choice.own is None:
        return None
    for row in trials:
        if all(row[key] == as_text(value) for key, value in choice.own.items()):
            return int(row["trial"])
    return None


def tuning_seeds(sweep: Sweep) -> int:
    """How many seeds a trial has that went through every stage."""
    return sweep.halving[-1].seeds if sweep.halving else len(sweep.seeds)


def objective_in_words(sweep: Sweep, terms: Terms, environments: int) -> str:
    """What a trial's value is: 'mean of the evaluation return of its runs'."""
    over = {"mean": "mean", "iqm": "interquartile mean"}[sweep.objective.over]
    normalised = ", normalised in each environment" if environments > 1 else ""
    return f"{over} of the {terms.metric(tuned_for(sweep, terms.endpoint))} of its runs{normalised}"


def tuned_for(sweep: Sweep, endpoint: str) -> str:
    """The endpoint that was maximised, as the statistics call it.

    endpoint: the study's main one.
    """
    name = sweep.objective.endpoint
    return "endpoint" if name == endpoint else name


def as_text(value: Any) -> Any:
    """A setting's value as the table of trials holds it: lists are JSON texts."""
    return json.dumps(list(value)) if isinstance(value, (list, tuple)) else value


def short_names(keys: Mapping[str, Any]) -> dict[str, str]:
    """Dotted keys by as many of their last parts as tell them apart."""
    found = {}
    for key in keys:
        parts = key.split(".")
        ends = [".".join(parts[-count:]) for count in range(1, len(parts) + 1)]
        others = [other for other in keys if other != key]
        found[key] = next(
            end for end in ends if not any(f".{other}".endswith(f".{end}") for other in others)
        )
    return found


def settings_rows(
    sweep: Sweep, choices: Mapping[str, Choice], names: Mapping[str, str]
) -> list[tuple[str, ...]]:
    """Each tuned setting of each selector as text: selector, setting, what was searched, its
    default (`differs` between environments), best and typical value.

    names: selector -> its name in tables.
    """
    return [
        (
            *(names.get(selector, selector), key, searched(dimension)),
            "differs" if choice.own is None else shown(choice.own[key]),
            *(shown(choice.values[settings][key]) for settings in CALLED),
        )
        for selector, choice in choices.items()
        for key, dimension in sweep.space_of(selector).items()
    ]


def searched(dimension: Dimension) -> str:
    """The values that were searched, in words."""
    if dimension.choices is not None:
        return f"one of {', '.join(shown(value) for value in dimension.choices)}"
    ends = " to ".join(shown(int(end) if dimension.whole else end) for end in dimension.range)
    step = f", step {shown(dimension.step)}" if dimension.step else ""
    return ends + step + (", by its logarithm" if dimension.log else "")


def shown(value: Any) -> str:
    """A setting's value for tables and figures: numbers with up to four digits."""
    if isinstance(value, bool) or value is None:
        return {None: "none", True: "true", False: "false"}[value]
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(shown, value))}]"
    if isinstance(value, float):
        digits, _, power = f"{value:.4g}".partition("e")
        return f"{digits}e{int(power)}" if power else digits
    return str(value)


def best_so_far(trials: pd.DataFrame) -> pd.Series:
    """The largest value up to each trial of one selector, by number; those that were stopped early
    do not count."""
    ordered = trials.sort_values("trial")
    return ordered["value"].where(ordered["complete"].astype(bool)).cummax().ffill()


def place(dimension: Dimension, value: Any) -> float:
    """Where a value lies in what was searched: 0 at the lowest or first, 1 at the highest or last,
    by logarithms where these were searched. A value outside lies below 0 or above 1."""
    if dimension.choices is not None:
        known = [as_text(choice) for choice in dimension.choices]
        text = as_text(value)
        return known.index(text) / (len(known) - 1) if text in known else math.nan
    ends, number = dimension.range, float(value)
    if dimension.log:
        low, high, number = (math.log(x) if x > 0 else -math.inf for x in (*ends, number))
    else:
        low, high = ends
    return (number - low) / (high - low)
