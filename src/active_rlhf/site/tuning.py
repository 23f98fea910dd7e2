"""The page of a sweep: what tuning was worth on fresh seeds, then trials, and settings to copy."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from active_rlhf.analysis.tuning import about_tuning, tuning_findings
from active_rlhf.analysis.wording import capital, decimals, p_value
from active_rlhf.files import folder_name
from active_rlhf.site.frame import Site, figure, rendered
from active_rlhf.site.listing import (
    Cell,
    Column,
    Listing,
    choices,
    digits,
    listing,
    numbers,
    pairs,
    texts,
)
from active_rlhf.site.titles import FIGURES
from active_rlhf.study.sweep import Dimension, Sweep
from active_rlhf.study.tuning import BEST, TYPICAL
from active_rlhf.tuning.choice import Choice
from active_rlhf.tuning.outcome import (
    CALLED,
    objective_in_words,
    settings_rows,
    short_names,
    shown,
    tuning_seeds,
)

PAGE = "site/tuning.html"


def write_tuning(
    site: Site,
    sweep: Sweep,
    chosen: Mapping[str, Choice],
    outcome: pd.DataFrame,
    trials: pd.DataFrame,
    captions: Mapping[str, str],
) -> None:
    """Write the page.

    chosen: by selector; outcome: of `tuning.outcome`; trials: of `tuning.tables`; captions: of
    figures, in Markdown.
    """
    terms = site.terms()
    methods = site.study.get("methods") or {}
    names = {selector: str(methods.get(selector, selector)) for selector in chosen}
    environments = list(dict.fromkeys(map(str, outcome["env"])))
    said = [about_tuning(outcome, terms), *tuning_findings(outcome, terms)]
    drawn = (
        figure(site.root, name, title, captions.get(name, ""))
        for name, (title, _) in FIGURES.items()
        if name.startswith("tuning_")
    )
    site.write(
        PAGE,
        "tuning.html.jinja",
        findings=rendered("\n\n".join(said)),
        compared=_compared(site, outcome),
        facts=pairs(
            {
                "Selectors": ", ".join(names.values()),
                "Trials": f"{sweep.trials} of each selector, the same number for all",
                "Sampler": sweep.sampler,
                "Objective": capital(objective_in_words(sweep, terms, len(environments))),
                "Tuning seeds": f"{', '.join(map(str, sweep.seeds))} ({tuning_seeds(sweep)} per "
                "trial); none is one of the study's",
                "Halving": _stages(sweep),
            }
        ),
        searched=_searched(sweep, chosen, names),
        figures=[one for one in drawn if one],
        trials=_trials(sweep, trials, names),
        tuned=[
            one
            for selector, name in names.items()
            for which in (BEST, TYPICAL)
            for environment in environments
            for one in _file(site, selector, which, environment, name)
        ],
        journal=f"results/{site.name}/sweep/journal.log",
    )


def _stages(sweep: Sweep) -> str:
    each = [
        f"{rung.seeds} seed{'s' * (rung.seeds > 1)}, {rung.steps:.0%} of the steps"
        for rung in sweep.halving
    ]
    kept = f"; {sweep.keep:.0%} of the trials go on each time" if len(each) > 1 else ""
    return "; then ".join(each) + kept


def _compared(site: Site, outcome: pd.DataFrame) -> Listing:
    """Default, best and typical settings on both kinds of seeds."""
    terms = site.terms()
    places = digits(outcome, ["env", "metric_type"], ["mean", "sd", "hodges_lehmann"])
    about = "on tuning seeds"
    objective, cells = numbers(
        "objective", outcome["objective"], decimals(outcome["objective"]), about
    )
    values = [
        cell if done or cell.value is None else replace(cell, text=f"({cell.text})")
        for cell, done in zip(cells, outcome["complete"], strict=True)
    ]
    rejected = outcome["reject_null"].astype(bool)
    column, cells = numbers("minus default", outcome["hodges_lehmann"], places, "Hodges-Lehmann")
    strong = [replace(cell, strong=bool(mark)) for cell, mark in zip(cells, rejected, strict=True)]
    same = [
        f"{settings} (= {other})" if other else settings
        for settings, other in zip(outcome["settings"], outcome["same_as"], strict=True)
    ]
    return listing(
        "tuning",
        "On the study's own seeds, which no trial has seen. Difference to default: Hodges-Lehmann "
        f"estimate with its {terms.exact}{terms.level} interval. {terms.test}; Holm within "
        f"selector × environment × endpoint, α = {terms.alpha:g}. Bold: rejected. The objective is "
        "that of the trial on tuning seeds; the best is the largest of many, and so optimistic; in "
        "brackets: of a trial that was stopped early.",
        [
            choices("selector", outcome["selector"]),
            choices("environment", outcome["env"]),
            choices("endpoint", [terms.metric(str(name)) for name in outcome["metric_type"]]),
            choices("settings", same),
            numbers("n", outcome["n"], 0, "runs on the study's seeds"),
            numbers("mean", outcome["mean"], places),
            numbers("sd", outcome["sd"], places),
            (column, strong),
            numbers("lower", outcome["ci_low"], places, f"end of the {terms.level} interval"),
            numbers("upper", outcome["ci_high"], places, f"end of the {terms.level} interval"),
            numbers(
                *("p (Holm)", outcome["p_value_holm"], 3, "after Holm's correction"),
                show=lambda p, _: p_value(p, terms.alpha),
            ),
            numbers("trial", outcome["trial"].where(outcome["trial"] >= 0, np.nan), 0),
            (objective, values),
        ],
        source="sweep/outcome.csv",
    )


def _searched(sweep: Sweep, chosen: Mapping[str, Choice], names: Mapping[str, str]) -> Listing:
    rows = settings_rows(sweep, chosen, names)
    heads = ("selector", "setting", "searched", "default", *CALLED.values())
    return listing(
        "settings",
        "Each tuned setting: what was searched, and its values. Typical: median of numbers, mode "
        "of others, over the tenth of the trials with the highest objective. Differs: the default "
        "is not the same in all environments.",
        [
            texts(head, column, filtered=head in ("selector", "setting"))
            for head, column in zip(heads, zip(*rows, strict=True), strict=True)
        ],
    )


def _trials(sweep: Sweep, trials: pd.DataFrame, names: Mapping[str, str]) -> Listing:
    short = short_names(sweep.space)
    early = " Stopped: not among the better share of a stage." if sweep.halving else ""
    stopped = ["no" if done else "yes" for done in trials["complete"]]
    return listing(
        "trials",
        f"Every trial, on tuning seeds alone.{early} No interval, no test.",
        [
            choices("selector", [names[selector] for selector in trials["selector"]]),
            numbers("trial", trials["trial"], 0),
            numbers("objective", trials["value"], decimals(trials["value"])),
            numbers("runs", trials["runs"], 0),
            *([choices("stopped", stopped)] if sweep.halving else []),
            *(
                _values(short[key], key, dimension, trials[key].tolist())
                for key, dimension in sweep.space.items()
                if key in trials
            ),
        ],
        source="sweep/trials.csv",
    )


def _values(
    name: str, key: str, dimension: Dimension, values: Sequence[Any]
) -> tuple[Column, list[Cell]]:
    """The values of a setting, numbers so that they sort; a dash where it is another selector's."""
    there = [None if value is None or value != value else value for value in values]
    if dimension.choices is None:
        given = [np.nan if value is None else float(value) for value in there]
        show = lambda v, _: "–" if v != v else shown(float(v))  # noqa: E731
        return numbers(name, given, 0, key, show=show)
    return choices(name, ["–" if value is None else shown(value) for value in there], key)


def _file(
    site: Site, selector: str, which: str, environment: str, name: str
) -> list[dict[str, str]]:
    """A file of tuned settings: its place and its text."""
    path = f"sweep/tuned/{selector}/{which}/{folder_name(environment)}.yaml"
    if not (site.root / path).exists():
        return []
    text = (site.root / path).read_text(encoding="utf-8")
    title = f"{name}, {CALLED[which]}, {environment}"
    return [{"title": title, "path": path, "text": text}]
