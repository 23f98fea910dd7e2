"""The page on which methods are compared: every test, every mean, and pairs seed by seed."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from active_rlhf.analysis.variants import within
from active_rlhf.analysis.wording import capital, family, p_value
from active_rlhf.site.frame import Site
from active_rlhf.site.listing import (
    Cell,
    Column,
    Listing,
    choices,
    digits,
    listing,
    numbers,
    texts,
)
from active_rlhf.study.measures import lower_is_better


def write_compare(site: Site, tables: Mapping[str, pd.DataFrame]) -> None:
    """Write the page from the statistics by name."""
    site.write(
        "site/compare.html",
        "compare.html.jinja",
        comparisons=_comparisons(site, tables["comparisons"]),
        summary=_summary(site, tables["summary"]),
        aggregates=_aggregates(site, tables["aggregates"]),
        tables=_files(site),
        values=_values(site, tables["endpoints"]),
    )


def _variant(frame: pd.DataFrame) -> list[tuple[Column, list[Cell]]]:
    return [choices("variant", frame["variant"])] if "variant" in frame else []


def _metrics(site: Site, frame: pd.DataFrame) -> list[str]:
    return [site.terms().metric(str(name)) for name in frame["metric_type"]]


def _comparisons(site: Site, frame: pd.DataFrame) -> Listing:
    terms = site.terms()
    first = within(frame, site.variants[0])
    corrected = f"; {family(first, terms)}" if len(first) else ""
    places = digits(frame, ["env", "metric_type"], ["hodges_lehmann", "sd_delta"])
    significant = frame["reject_null"].astype(bool)
    difference, ends = numbers("difference", frame["hodges_lehmann"], places, "Hodges-Lehmann")
    ends = [
        Cell(cell.text, cell.value, strong=bool(mark))
        for cell, mark in zip(ends, significant, strict=True)
    ]
    return listing(
        "comparisons",
        f"First method minus second. {terms.test}{corrected}, α = {terms.alpha:g}. Difference: "
        f"Hodges-Lehmann estimate with its {terms.exact}{terms.level} interval, which is not "
        f"corrected for the number of tests; p is. {terms.effect_defined}. PoI: "
        "probability that a run of the first is better, over all runs of both. Bold: rejected.",
        [
            *_variant(frame),
            choices("environment", frame["env"]),
            choices("endpoint", _metrics(site, frame)),
            choices("first", frame["method_a"]),
            choices("second", frame["method_b"]),
            numbers("n", frame["n"], 0, "pairs of runs with the same seed"),
            (difference, ends),
            numbers("lower", frame["ci_hl_low"], places, f"end of the {terms.level} interval"),
            numbers("upper", frame["ci_hl_high"], places, f"end of the {terms.level} interval"),
            numbers(
                "p (Holm)",
                frame["p_value_holm"],
                3,
                "after Holm's correction",
                show=lambda p, _: p_value(p, terms.alpha),
            ),
            choices("rejected", np.where(significant, "yes", "no")),
            numbers(terms.effect, frame["dz"], 2),
            numbers("PoI", frame["prob_improvement"], 2, "probability of improvement"),
        ],
        source="statistics/comparisons.csv",
    )


def _summary(site: Site, frame: pd.DataFrame) -> Listing:
    terms = site.terms()
    places = digits(frame, ["env", "metric_type"], ["mean", "sd"])
    return listing(
        "summary",
        f"Each method over its runs, one per seed. Interval: {terms.level} t interval of the mean. "
        "IQM: interquartile mean. No test.",
        [
            *_variant(frame),
            choices("environment", frame["env"]),
            choices("endpoint", _metrics(site, frame)),
            choices("method", frame["method"]),
            numbers("n", frame["n"], 0),
            *(
                numbers(name, frame[column], places)
                for name, column in (
                    *(("mean", "mean"), ("sd", "sd"), ("lower", "ci_low"), ("upper", "ci_high")),
                    *(("median", "median"), ("IQM", "iqm"), ("min", "min"), ("max", "max")),
                )
            ),
        ],
        source="statistics/summary.csv",
    )


def _aggregates(site: Site, frame: pd.DataFrame) -> Listing | None:
    """Over all environments; None where nothing normalises returns."""
    if frame.empty:
        return None
    return listing(
        "aggregates",
        "Over all environments, returns normalised between a random policy (0) and the same agent "
        "on the true reward (1), both measured by the study. Interval: stratified bootstrap.",
        [
            *_variant(frame),
            choices("endpoint", _metrics(site, frame)),
            choices("method", frame["method"]),
            choices("statistic", frame["statistic"]),
            numbers("value", frame["value"], 3),
            numbers("lower", frame["ci_low"], 3),
            numbers("upper", frame["ci_high"], 3),
            texts("environments", frame["environments"]),
            numbers("runs", frame["runs"], 0),
        ],
        source="statistics/aggregates.csv",
    )


def _files(site: Site) -> list[dict[str, str]]:
    """The tables ready for a paper: their place, and both files."""
    folder = site.root / "tables"
    found = []
    for path in sorted(folder.rglob("*.tex")):
        if path.with_suffix(".md").exists():
            inside = path.relative_to(folder).with_suffix("")
            where = inside.parent.as_posix()
            found.append(
                {
                    "where": "all environments" if where == "." else where,
                    "name": inside.name.replace("_", " "),
                    "path": f"tables/{inside.as_posix()}",
                }
            )
    return found


def _values(site: Site, frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Endpoints by variant, environment and endpoint, for pairs of methods seed by seed."""
    keys = [name for name in ("variant", "env", "metric_type") if name in frame]
    found = []
    for key, rows in frame.groupby(keys, sort=False, observed=True):
        names = dict(zip(keys, key if isinstance(key, tuple) else (key,), strict=True))
        metric = str(names["metric_type"])
        found.append(
            {
                "variant": names.get("variant", ""),
                "environment": names["env"],
                "endpoint": site.terms().metric(metric),
                "meaning": capital(site.terms().metric(metric, True)),
                "lower": lower_is_better(metric),
                "methods": {
                    str(method): {
                        str(seed): round(float(value), 6)
                        for seed, value in zip(own["seed"], own["value"], strict=True)
                        if np.isfinite(value)
                    }
                    for method, own in rows.groupby("method", sort=False, observed=True)
                },
            }
        )
    return found
