"""What tuning did, in sentences that claim no more than the runs on fresh seeds show."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from active_rlhf.analysis.frames import needs
from active_rlhf.analysis.text import markdown_text
from active_rlhf.analysis.wording import (
    Terms,
    capital,
    decimals,
    interval,
    listed,
    number,
    p_value,
)

BEST, TYPICAL = "best", "typical"


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
    name = markdown_text(str(rows["selector"].iloc[0]))
    envs = dict.fromkeys(rows["env"])
    first = rows[rows["env"] == next(iter(envs))].to_dict("records")
    one = {str(row["settings"]): row for row in first}
    said = [f"**{name}.** {_chosen(one)}"]
    for settings in (BEST, TYPICAL):
        same = one[settings]["same_as"]
        if not same:
            tests = rows[rows["settings"] == settings].to_dict("records")
            said += _tested(settings, tests, terms)
        elif settings == TYPICAL:
            said.append(f"The settings typical of the best tenth are those of the {_called(same)}.")
    return " ".join(said)


def _called(settings: str) -> str:
    return "best trial" if settings == BEST else settings


def _chosen(one: Mapping[str, Mapping[Any, Any]]) -> str:
    """What the tuning seeds said, and that this is optimistic."""
    best, default = one[BEST], one["default"]
    places = decimals([best["objective"], default["objective"]])
    value, trials = number(best["objective"], places), int(best["trials"])
    if best["same_as"]:
        return (
            f"The default itself was the best of {trials} trials (objective {value} on the tuning "
            "seeds), so tuning gained nothing."
        )
    if default["trial"] < 0:
        against = "the default was not among the trials"
    elif not default["complete"]:
        against = "the default did not get through every stage"
    else:
        against = f"the default reached {number(default['objective'], places)}"
    return (
        f"On the tuning seeds its best trial (number {int(best['trial'])}) reached an objective of "
        f"{value}; {against}. That value is optimistic: it was chosen as the largest of {trials}."
    )


def _tested(settings: str, tests: list[dict[Any, Any]], terms: Terms) -> Iterator[str]:
    """The differences to default on fresh seeds, and whether anything was gained."""
    places = decimals([abs(row["hodges_lehmann"]) for row in tests])
    metric = terms.metric(tests[0]["metric_type"])
    which = "settings of the best trial" if settings == BEST else "settings typical of the best"
    which += "" if settings == BEST else " tenth"
    effects = "; ".join(_effect(row, places, terms) for row in tests)
    yield f"On fresh seeds, the {which} minus default in {metric}: {effects}."
    yield _verdict(tests)


def _effect(row: Mapping[Any, Any], places: int, terms: Terms) -> str:
    where = markdown_text(str(row["env"]))
    if np.isnan(row["hodges_lehmann"]):
        return f"not tested on {where}, as no seed has both"
    p = p_value(row["p_value_holm"], terms.alpha)
    ends = interval(row["ci_low"], row["ci_high"], places)
    effect = f"{number(row['hodges_lehmann'], places, sign=True)} [{terms.level} HL {ends[1:]}"
    p = p if p.startswith("<") else f"= {p}"
    return f"{effect}, Holm p {p}, n = {row['n']} on {where}"


def _verdict(tests: list[dict[Any, Any]]) -> str:
    """Whether anything was gained: in one sentence, which names environments if there are many."""
    found: dict[str, list[str]] = {}
    for row in tests:
        found.setdefault(_gained(row), []).append(markdown_text(str(row["env"])))
    parts = [
        said + (f" on {listed(where)}" if len(tests) > 1 else "") for said, where in found.items()
    ]
    return f"{capital('; '.join(parts))}."


def _gained(row: Mapping[Any, Any]) -> str:
    low, high = row["ci_low"], row["ci_high"]
    if np.isnan(low) or np.isnan(high):
        return "it is not known whether anything was gained"
    if low <= 0 <= high:
        return "no gain was shown: the interval covers 0"
    if not row["reject_null"]:
        return (
            "no gain was shown: the interval leaves out 0, but the corrected test does not reject"
        )
    return "tuning gained" if low > 0 else "tuning lost"
