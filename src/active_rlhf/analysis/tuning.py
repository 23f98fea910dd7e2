"""What tuning did, in sentences that claim no more than the runs on fresh seeds show."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from active_rlhf.analysis.frames import needs
from active_rlhf.analysis.text import markdown_text
from active_rlhf.analysis.wording import (
    Terms,
    decimals,
    interval,
    number,
    p_value,
)

DEFAULT, BEST, TYPICAL = "default", "best", "typical"
CALLED = {BEST: "settings of the best trial", TYPICAL: "settings typical of the best tenth"}


@needs(
    outcome="selector env metric_type settings same_as trials tuning_seeds trial objective "
    "complete n hodges_lehmann ci_low ci_high p_value_holm reject_null"
)
def tuning_findings(outcome: pd.DataFrame, terms: Terms) -> list[str]:
    """A paragraph of Markdown for each selector, from `tuning.outcome.outcome`."""
    first = outcome[outcome["metric_type"] == outcome["metric_type"].iloc[0]]
    return [
        _of_selector(first[first["selector"] == selector], terms)
        for selector in dict.fromkeys(first["selector"])
    ]


def about_tuning(outcome: pd.DataFrame, terms: Terms) -> str:
    """How tuned and default settings were compared, in plain text."""
    row = outcome.iloc[0]
    trials, count = int(row["trials"]), int(row["tuning_seeds"])
    return (
        f"Each selector was tuned with {trials} trial{'s' * (trials > 1)} of {count} tuning "
        f"seed{'s' * (count > 1)}, by {terms.metric(row['metric_type'])}. Tuned settings are "
        "compared with the default on the study's own seeds, which no trial has seen. "
        f"{terms.test}; Holm within selector × environment × endpoint, α = {terms.alpha:g}."
    )


def _of_selector(rows: pd.DataFrame, terms: Terms) -> str:
    """First what fresh seeds say, then what was seen while tuning."""
    records = rows.to_dict("records")
    of_first = {str(row["settings"]): row for row in records if row["env"] == records[0]["env"]}
    said = []
    for settings, called in CALLED.items():
        same = of_first[settings]["same_as"]
        if not same:
            tests = [row for row in records if row["settings"] == settings]
            said.append(_tested(called, tests, terms))
        elif settings == BEST:
            said.append(
                f"The default itself was the best of {of_first[BEST]['trials']} trials, so tuning "
                "led to nothing better."
            )
        else:
            said.append(f"The {called} are the {CALLED.get(same, same)}.")
    name = markdown_text(str(records[0]["selector"]))
    return " ".join([f"**{name}.**", *said, _while_tuning(of_first)])


def _tested(called: str, tests: Sequence[Mapping[Any, Any]], terms: Terms) -> str:
    """The differences to default on fresh seeds, and whether anything was gained."""
    metric = terms.metric(tests[0]["metric_type"])
    places = decimals([row["hodges_lehmann"] for row in tests], tests[0]["metric_type"])
    effects = "; ".join(_effect(row, places, terms) for row in tests)
    return f"On fresh seeds, the {called} minus the default in {metric}: {effects}."


def _effect(row: Mapping[Any, Any], places: int, terms: Terms) -> str:
    where = markdown_text(str(row["env"]))
    if np.isnan(row["hodges_lehmann"]):
        return f"not tested on {where}, as no seed has both"
    p = p_value(row["p_value_holm"], terms.alpha)
    ends = interval(row["ci_low"], row["ci_high"], places)
    effect = f"{number(row['hodges_lehmann'], places, sign=True)} [{terms.level} HL {ends[1:]}"
    p = p if p.startswith("<") else f"= {p}"
    return f"{effect}, Holm p {p}, n = {row['n']} on {where}, {_gained(row)}"


def _gained(row: Mapping[Any, Any]) -> str:
    low, high = row["ci_low"], row["ci_high"]
    if low <= 0 <= high:
        return "so no gain was shown (the interval covers 0)"
    if not row["reject_null"]:
        return (
            "so no gain was shown (the interval leaves out 0, but the corrected test does not "
            "reject)"
        )
    return "a gain" if low > 0 else "a loss"


def _while_tuning(rows: Mapping[str, Mapping[Any, Any]]) -> str:
    """The best trial's value, and that it is optimistic."""
    best, default = rows[BEST], rows[DEFAULT]
    places = decimals([best["objective"], default["objective"]])
    if default["trial"] < 0:
        against = "the default was not tried"
    elif not default["complete"]:
        against = "the default was stopped early"
    else:
        against = f"the default {number(default['objective'], places)}"
    against = "" if best["same_as"] else f"; {against}"
    return (
        f"On the tuning seeds the best trial (number {best['trial']}) reached "
        f"{number(best['objective'], places)}{against}. That is optimistic, as the largest of "
        f"{best['trials']} values."
    )
