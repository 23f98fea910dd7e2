"""The first page: what was found, the curves, every seed, and what the study was."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from markupsafe import Markup

from active_rlhf.analysis.findings import findings_of_study, in_brief
from active_rlhf.analysis.power import EFFECT
from active_rlhf.analysis.tuning import tuning_findings
from active_rlhf.analysis.variants import within
from active_rlhf.analysis.wording import (
    capital,
    excluded_runs,
    power_notes,
    seeds,
    teacher_and_budget,
)
from active_rlhf.site.frame import Figure, Site, figure, rendered
from active_rlhf.site.listing import (
    Listing,
    choices,
    digits,
    listing,
    numbers,
    pairs,
)
from active_rlhf.study.measures import REWARD_MODEL

TENTHS = 10  # of training, at which a curve's numbers are listed


def write_home(site: Site, tables: Mapping[str, pd.DataFrame], captions: Mapping[str, str]) -> None:
    """Write index.html. tables: the statistics by name; captions: of figures, in Markdown."""
    parts = []
    for variant in site.variants:
        own = {name: within(table, variant) for name, table in tables.items()}
        terms = site.terms(variant)
        shown = own["comparisons"], own["summary"], terms, own.get("limits")
        parts.append(
            {
                "variant": variant,
                "brief": rendered(in_brief(*shown)),
                "figures": _figures(site, own, variant, captions),
                "power": power_notes(own["comparisons"], terms),
            }
        )
    coverage = site.root / "tables" / "coverage.md"
    learned = "report/inspection.html"
    partial = bool(site.terms().partial) and coverage.exists()
    site.write(
        "index.html",
        "home.html.jinja",
        parts=parts,
        tuning=_tuning(site, tables["tuning"]) if "tuning" in tables else "",
        findings=rendered(findings_of_study(tables, site.study)),
        learned=learned if (site.root / learned).exists() else "",
        test=site.terms().test,
        compared=_compared(site, tables["endpoints"]),
        power=_power(tables["power"], site),
        excluded=excluded_runs(site.terms()),
        coverage=rendered(coverage.read_text(encoding="utf-8")) if partial else "",
    )


def _tuning(site: Site, outcome: pd.DataFrame) -> Markup:
    """What tuning did, a paragraph for each selector."""
    return rendered("\n\n".join(tuning_findings(outcome, site.terms())))


def _figures(
    site: Site, tables: Mapping[str, pd.DataFrame], variant: str, captions: Mapping[str, str]
) -> list[Figure]:
    folder = f"{variant}/" if variant else ""
    named = (
        ("learning_curves", "Learning curves", _curves(tables["curves"], variant)),
        ("endpoints", "The endpoint of every seed", _endpoints(tables["endpoints"], site, variant)),
        ("reward_accuracy", "Reward models", _reward(tables["summary"], site, variant)),
        ("return_limits", "What limits the return", _limits(tables["limits"], site, variant)),
    )
    found = (
        figure(site.root, folder + name, title, captions.get(name, ""), shown)
        for name, title, shown in named
    )
    return [one for one in found if one]


def _curves(curves: pd.DataFrame, variant: str) -> Listing:
    """Each method's curve at every tenth of training."""
    kept = []
    for _, rows in curves.groupby(["env", "method"], sort=False, observed=True):
        at = np.linspace(0, len(rows) - 1, min(len(rows), TENTHS + 1)).round().astype(int)
        kept.append(rows.iloc[np.unique(at)])
    shown = pd.concat(kept) if kept else curves
    places = digits(shown, ["env"], ["mean", "sd"])
    return listing(
        f"curves {variant}".strip(),
        "Mean return and its interval at every tenth of training.",
        [
            choices("environment", shown["env"]),
            choices("method", shown["method"]),
            numbers("step", shown["step"], 0),
            numbers("n", shown["n"], 0, "runs, one per seed"),
            numbers("mean", shown["mean"], places),
            numbers("lower", shown["ci_low"], places, "end of the bootstrap interval"),
            numbers("upper", shown["ci_high"], places, "end of the bootstrap interval"),
        ],
        source="statistics/curves.csv",
    )


def _endpoints(endpoints: pd.DataFrame, site: Site, variant: str) -> Listing:
    """The main endpoint of every run."""
    shown = endpoints[endpoints["metric_type"] == "endpoint"]
    return listing(
        f"endpoints {variant}".strip(),
        f"{capital(site.terms(variant).metric('endpoint', True))} of every run.",
        [
            choices("environment", shown["env"]),
            choices("method", shown["method"]),
            numbers("seed", shown["seed"], 0),
            numbers("value", shown["value"], digits(shown, ["env"], ["value"])),
        ],
        source="statistics/endpoints.csv",
    )


def _reward(summary: pd.DataFrame, site: Site, variant: str) -> Listing:
    """The reward model's measures after the last session, of each method."""
    shown = summary[summary["metric_type"].isin(REWARD_MODEL)]
    places = digits(shown, ["env", "metric_type"], ["mean", "sd"])
    terms = site.terms(variant)
    return listing(
        f"reward models {variant}".strip(),
        "On the probe set after the last session: mean over runs, sd and "
        f"{terms.level} t interval.",
        [
            choices("environment", shown["env"]),
            choices("measure", [terms.metric(str(name)) for name in shown["metric_type"]]),
            choices("method", shown["method"]),
            numbers("n", shown["n"], 0),
            *(
                numbers(name, shown[column], places)
                for name, column in (
                    *(("mean", "mean"), ("sd", "sd"), ("lower", "ci_low"), ("upper", "ci_high")),
                )
            ),
        ],
        source="statistics/summary.csv",
    )


def _limits(limits: pd.DataFrame, site: Site, variant: str) -> Listing:
    """The return on the true reward, how far it exceeds each method's, and the correlation."""
    places = digits(limits, ["env", "metric_type"], ["mean_true", "gap"]) if len(limits) else []
    terms = site.terms(variant)
    return listing(
        f"limits {variant}".strip(),
        "Return on the true reward, by how much it exceeds each method's (Hodges-Lehmann, with its "
        f"{terms.level} interval), and Spearman's correlation of reward quality and return over "
        "runs.",
        [
            choices("environment", limits["env"]),
            choices("endpoint", [terms.metric(str(name)) for name in limits["metric_type"]]),
            choices("method", limits["method"]),
            numbers("n", limits["n_pairs"], 0),
            numbers("true reward", limits["mean_true"], places),
            numbers("exceeds by", limits["gap"], places),
            numbers("lower", limits["ci_gap_low"], places),
            numbers("upper", limits["ci_gap_high"], places),
            numbers("correlation", limits["spearman"], 2),
        ],
        source="statistics/limits.csv",
    )


def _compared(site: Site, endpoints: pd.DataFrame) -> list[tuple[str, str]]:
    """What the study compares, as terms and what they are here."""
    study, terms = site.study, site.terms()
    main = endpoints[endpoints["metric_type"] == "endpoint"]
    cells = main.groupby([k for k in ("variant", "env", "method") if k in main], observed=True)
    methods = terms.methods or tuple(map(str, main["method"].unique()))
    steps = {
        env: own["total_steps"]
        for env, own in (study.get("environments") or {}).items()
        if isinstance(own, Mapping)
    }
    each = ", ".join(f"{value:,} ({env})" for env, value in steps.items())
    same = len(set(steps.values())) == 1
    return pairs(
        {
            "Environments": ", ".join(map(str, main["env"].unique())),
            "Methods": ", ".join(methods),
            "Variants": ", ".join(filter(None, site.variants)),
            "Teacher and labels": " ".join(
                teacher_and_budget(site.terms(variant)) for variant in site.variants
            ),
            "Seeds": seeds(cells.size()),
            "Steps": f"{next(iter(steps.values())):,} per run" if same else each,
            "Endpoint": terms.metric("endpoint", True),
            "References": "a random policy and the same agent on the true reward, trained here"
            if study.get("baselines")
            else "",
            "Runs": f"{len(main):,}, made elsewhere" if study.get("imported") else f"{len(main):,}",
        }
    )


def _power(power: pd.DataFrame, site: Site) -> Listing:
    """What each family of tests could have detected."""
    return listing(
        "power",
        f"For each family of tests: the smallest exact p-value there can be, whether it can be "
        f"rejected after Holm's correction at α = {site.terms().alpha:g}, the power for an effect "
        f"of {site.terms().effect} = {EFFECT:g}, the effect that has a power of 80%, and the seeds "
        "that 80% takes.",
        [
            *([choices("variant", power["variant"])] if "variant" in power else []),
            choices("family", power["family"]),
            numbers("n", power["n"], 0),
            numbers("tests", power["tests"], 0),
            numbers("smallest p", power["smallest_p"], 4),
            choices(
                "can reject", ["yes" if able else "no" for able in power["rejection_possible"]]
            ),
            numbers("power", power["power"], 2),
            numbers(f"{site.terms().effect} at 80%", power["detectable_dz"], 2),
            numbers("seeds for 80%", power["n_for_80"], 0),
        ],
        source="statistics/power.csv",
    )
