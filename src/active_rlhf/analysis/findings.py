"""What the comparisons show, in sentences that claim no more than that.

Every number comes from the tables of comparisons and of summaries. If a test does not reject, 'no
difference was shown', which does not mean that there is none: the interval tells which differences
remain possible.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import scipy

from active_rlhf.analysis.frames import needs
from active_rlhf.analysis.limits import LABELS, OTHER, QUALITY
from active_rlhf.analysis.power import smallest_p
from active_rlhf.analysis.rows import warnings
from active_rlhf.analysis.text import markdown_text
from active_rlhf.analysis.tuning import about_tuning, tuning_findings
from active_rlhf.analysis.variants import within
from active_rlhf.analysis.wording import (
    OF_LABELS,
    OF_SESSIONS,
    Terms,
    capital,
    decimals,
    excluded_runs,
    family,
    interval,
    listed,
    number,
    p_value,
    power_notes,
    seeds,
    teacher_and_budget,
)
from active_rlhf.study.measures import EVALUATION, lower_is_better, of_reward_model

REWARD_ACCURACY = "reward_accuracy"

Published = Mapping[str, Mapping[str, Mapping[str, float]]]


@needs(
    comparisons="env metric_type method_a method_b n p_value_holm reject_null hodges_lehmann "
    "ci_hl_low ci_hl_high dz sd_delta family power n_for_80",
    summary="env metric_type method n mean sd",
)
def findings(
    comparisons: pd.DataFrame,
    summary: pd.DataFrame,
    terms: Terms,
    published: Published | None = None,
    limits: pd.DataFrame | None = None,
    rows: pd.DataFrame | None = None,
) -> str:
    """The page of findings in Markdown, from the whole statistics `comparisons` and `summary`.

    limits: the statistic of that name, for what limits the return; rows: that of imported runs.
    published: values of the main
    endpoint to compare with, environment -> method -> mean, sd, n.
    """
    names = list(map(str, summary["metric_type"].unique()))
    returns = [name for name in names if not of_reward_model(name)]
    of_returns = comparisons[comparisons["metric_type"].isin(returns)]
    metrics = [terms.metric(name, True) for name in returns]
    paragraphs = [
        "# Findings",
        f"Compared: {listed([markdown_text(m) for m in terms.order(summary)])}, by "
        f"{listed(metrics)}."
        + (
            f" {terms.test}; {family(of_returns, terms)}, α = {terms.alpha:g}. Differences, first "
            f"named minus second, are Hodges-Lehmann estimates with {terms.exact}{terms.level} "
            "intervals (HL); the intervals are not corrected for the number of tests, the p-values "
            f"are. {terms.effect_defined}. A difference that was not shown may still exist: its "
            "interval holds the values that the data do not exclude."
            if len(comparisons)
            else ""
        ),
        "The reward models of these methods are compared in the same way, by their measures on the "
        "probe set."
        if len(returns) < len(names)
        else "",
        markdown_text(teacher_and_budget(terms)),
        *power_notes(comparisons, terms),
        markdown_text(excluded_runs(terms)),
    ]
    for env in summary["env"].unique():
        paragraphs.append(f"## {markdown_text(str(env))}")
        if rows is not None:
            paragraphs += map(markdown_text, warnings(rows[rows["env"] == env], terms))
        pairs, methods = (frame[frame["env"] == env] for frame in (comparisons, summary))
        for metric_type in returns:
            tests = pairs[pairs["metric_type"] == metric_type]
            means = methods[methods["metric_type"] == metric_type]
            paragraphs += _paragraphs(tests, means, terms)
        paragraphs.append(_orders(methods, terms))
        if limits is not None:
            paragraphs += _limits(limits[limits["env"] == env], terms)
        paragraphs += _reward_models(pairs, methods, terms)
    if published:
        paragraphs += ["## Against published values", _against(summary, published, terms)]
    return "\n\n".join(filter(None, paragraphs)) + "\n"


def in_brief(
    comparisons: pd.DataFrame,
    summary: pd.DataFrame,
    terms: Terms,
    limits: pd.DataFrame | None = None,
) -> str:
    """What was found, in Markdown: a paragraph for each environment, from the same statistics.

    It names the order by the main endpoint, the differences that were shown in it and in the reward
    model's accuracy, and what limits the return.
    """
    paragraphs = []
    for env in summary["env"].unique():
        pairs, methods = (frame[frame["env"] == env] for frame in (comparisons, summary))
        means = methods[methods["metric_type"] == "endpoint"]
        places = decimals([*means["mean"], *means["sd"]])
        ordered = means.sort_values("mean", ascending=False, kind="stable")
        order = [
            f"{markdown_text(str(row['method']))} {number(row['mean'], places)}"
            for row in ordered.to_dict("records")
        ]
        said = [
            f"**{markdown_text(str(env))}**, {terms.metric('endpoint')} (mean, "
            f"{seeds(means['n'])}): {', '.join(order)}.",
            capital(_shown(pairs, "endpoint", terms)),
        ]
        if limits is not None and len(
            own := limits[(limits["env"] == env) & (limits["metric_type"] == "endpoint")]
        ):
            places = decimals([*own["mean_true"], *own["gap"]])
            said.append(capital(_conclusion(own, places, terms)))
        if len(pairs[pairs["metric_type"] == REWARD_ACCURACY]):
            said.append(
                f"In {terms.metric(REWARD_ACCURACY)}: {_shown(pairs, REWARD_ACCURACY, terms)}"
            )
        paragraphs.append(" ".join(filter(None, said)))
    return "\n\n".join(paragraphs) + "\n"


def _shown(pairs: pd.DataFrame, metric_type: str, terms: Terms) -> str:
    """The differences in one endpoint that were shown, or that none was."""
    rows = pairs[pairs["metric_type"] == metric_type]
    if rows.empty:
        return ""
    shown = rows[rows["reject_null"].astype(bool)]
    tests = f"{len(rows)} test" + "s" * (len(rows) > 1)
    if shown.empty:
        return f"no difference between any two methods was shown ({tests}, {seeds(rows['n'])})."
    rest = len(rows) - len(shown)
    more = f" In the other {rest} of {tests}, none was shown." if rest else ""
    return _in_brief(shown, metric_type, terms) + more


def findings_of_study(tables: Mapping[str, pd.DataFrame], study: Mapping[str, Any]) -> str:
    """The page of findings of a study: within each variant, then each selector's variants.

    tables: the statistics `comparisons`, `summary` and `limits`, `variants` of a study that has
    any, `rows` of imported runs, and `tuning`, the outcome of a sweep; study: as for `Terms.of`,
    and `published`.
    """
    published, names = study.get("published"), study.get("variants")
    three = tables["comparisons"], tables["summary"], tables["limits"]
    if not names:
        return findings(*three[:2], Terms.of(study), published, three[2], tables.get("rows"))
    parts = ["# Findings"]
    if "tuning" in tables:
        terms = Terms.of(study)
        parts += ["## Tuning", about_tuning(tables["tuning"], terms)]
        parts += tuning_findings(tables["tuning"], terms)
    for name in names:
        comparisons, summary, limits = (within(table, name) for table in three)
        own = findings(comparisons, summary, Terms.of(study, name), published, limits)
        title = f"# Within variant {markdown_text(name)}"
        parts.append(re.sub("^#", "##", own.replace("# Findings", title, 1), flags=re.MULTILINE))
    between = list(_between(tables["variants"], Terms.of(study)))
    parts += ["## Variants of each selector", *between]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _between(variants: pd.DataFrame, terms: Terms) -> Iterator[str]:
    """Each selector's variants against its first, an endpoint and environment at a time."""
    if variants.empty:
        yield "No selector has two variants."
        return
    yield (
        f"Each variant against the selector's first. {terms.test}; Holm within selector × "
        f"environment × endpoint, α = {terms.alpha:g}."
    )
    yield from power_notes(variants, terms)
    for selector in variants["selector"].unique():
        yield f"### {markdown_text(str(selector))}"
        own = variants[variants["selector"] == selector]
        for (env, metric_type), rows in own.groupby(["env", "metric_type"], sort=False):
            if of_reward_model(str(metric_type)):
                where = f"On {markdown_text(str(env))}, {terms.metric(str(metric_type))}"
                yield f"{where}: {_in_brief(rows, str(metric_type), terms)}"
            else:
                yield from _differences(rows, str(env), str(metric_type), terms)


def _paragraphs(rows: pd.DataFrame, summary: pd.DataFrame, terms: Terms) -> Iterator[str]:
    """One endpoint on one environment: means, differences that were shown, and those not shown."""
    env, metric_type = summary[["env", "metric_type"]].iloc[0]
    metric = terms.metric(metric_type)
    places = decimals([*summary["mean"], *summary["sd"]])
    order = [
        f"{markdown_text(str(row['method']))} {number(row['mean'], places)}"
        + (f" ± {number(row['sd'], places)}" if np.isfinite(row["sd"]) else "")
        for row in summary.sort_values("mean", ascending=False, kind="stable").to_dict("records")
    ]
    yield f"**{capital(metric)}** (mean ± sd, {seeds(summary['n'])}): {', '.join(order)}."
    yield from _differences(rows, str(env), metric_type, terms)


def _reward_models(rows: pd.DataFrame, summary: pd.DataFrame, terms: Terms) -> Iterator[str]:
    """The reward model's endpoints on one environment, a line for each."""
    measured = summary[summary["metric_type"].map(of_reward_model).astype(bool)]
    lines = []
    for name, group in measured.groupby("metric_type", sort=False):
        metric_type, lower = str(name), lower_is_better(str(name))
        places = decimals([*group["mean"], *group["sd"]], metric_type)
        order = [
            f"{markdown_text(str(row['method']))} {number(row['mean'], places)}"
            + (f" ± {number(row['sd'], places)}" if np.isfinite(row["sd"]) else "")
            for row in group.sort_values("mean", ascending=lower, kind="stable").to_dict("records")
        ]
        tests = _in_brief(rows[rows["metric_type"] == name], metric_type, terms)
        better = "smaller" if lower else "larger"
        metric = capital(terms.metric(metric_type))
        lines.append(f"- {metric} ({better} is better): {', '.join(order)}. {tests}".rstrip())
    if lines:
        yield (
            f"**Reward models on the probe set** (mean ± sd, {seeds(measured['n'])}), "
            f"{OF_SESSIONS} and over labels ({OF_LABELS}):"
        )
        yield "\n".join(lines)


def _in_brief(rows: pd.DataFrame, metric_type: str, terms: Terms) -> str:
    """The differences that were shown, with the better one first, and the pairs without one."""
    places = decimals([*rows["hodges_lehmann"], *rows["sd_delta"]], metric_type)
    shown, not_shown = [], []
    for row in rows.to_dict("records"):
        above, below, effect = _oriented(row, places, terms)
        better, worse = (below, above) if lower_is_better(metric_type) else (above, below)
        if row["reject_null"]:
            shown.append(f"{better} is better than {worse} by {effect}.")
        else:
            not_shown.append(f"{better} and {worse}")
    if not_shown:
        shown.append(f"No difference was shown between {'; '.join(not_shown)}.")
    return " ".join(shown)


def _limits(rows: pd.DataFrame, terms: Terms) -> Iterator[str]:
    """Whether labels limit the main endpoint on one environment, and, in brief, those beside it."""
    said: list[str] = []
    for metric_type, group in rows.groupby("metric_type", sort=False):
        first, metric = group.iloc[0], terms.metric(str(metric_type))
        places = decimals([*group["mean_true"], *group["gap"]])
        if said:
            said.append(f"{capital(metric)}: {_conclusion(group, places, terms)}")
            continue
        gaps = [
            f"{markdown_text(str(row['method']))} {number(row['gap'], places)} "
            f"{interval(row['ci_gap_low'], row['ci_gap_high'], places)}"
            for row in group.to_dict("records")
        ]
        ends = interval(first["ci_true_low"], first["ci_true_high"], places)
        rho = interval(first["ci_spearman_low"], first["ci_spearman_high"], 2)
        said.append(
            f"**What limits the return.** The same agent on the true reward reaches a {metric} of "
            f"{number(first['mean_true'], places)} {ends} (n = {int(first['n_true'])}). It exceeds "
            f"that of each method by (HL, {seeds(group['n_pairs'])}): {', '.join(gaps)}. Over "
            f"{int(first['runs'])} runs, Spearman's ρ of {terms.metric(QUALITY)} and return is "
            f"{number(first['spearman'], 2)} {rho}. {capital(_conclusion(group, places, terms))}"
        )
    if said:
        yield " ".join(said)


def _conclusion(rows: pd.DataFrame, places: int, terms: Terms) -> str:
    """The verdict in words, and why."""
    first, fewest = rows.iloc[0], int(rows["n_pairs"].min())
    most = f"{number(rows['ci_gap_high'].max(), places)} more with the true reward"
    if first["verdict"] == LABELS:
        return (
            "labels limit the return here: the true reward leads to more, and better reward models "
            "go with higher returns."
        )
    if first["verdict"] == OTHER:
        return (
            "labels are not the bottleneck here, as far as these runs show: the true reward was "
            "not shown to lead to more, nor better reward models to go with higher returns. So "
            "only fewer labels, or the endpoints of the reward model, can tell selectors apart. "
            f"Up to {most} is not excluded."
        )
    if smallest_p(fewest) > terms.alpha:
        why = f"there are too few seeds (n = {fewest})."
    elif np.isnan(first["ci_spearman_low"]):
        why = "the correlation is undefined, as returns or reward models do not differ."
    elif first["ci_spearman_low"] > 0:
        why = (
            "better reward models go with higher returns, but the true reward was not shown to "
            "lead to more."
        )
    elif (rows["ci_gap_low"] > 0).any():
        why = (
            "the true reward leads to more than the labels of some method, but better reward "
            "models were not shown to go with higher returns."
        )
    else:
        why = (
            f"neither was shown, but up to {most} is not excluded, and the true reward itself "
            f"gains {number(first['learned'], places)} over a random policy."
        )
    return f"whether labels are the bottleneck is unclear here: {why}"


def _orders(summary: pd.DataFrame, terms: Terms) -> str:
    """A sentence if `final` and `evaluation` order the means of methods differently."""
    names = {name: "endpoint" if name == terms.endpoint else name for name in ("final", EVALUATION)}
    means = summary[summary["metric_type"].isin(list(names.values()))].pivot(
        index="method", columns="metric_type", values="mean"
    )
    if not set(names.values()) <= set(means):
        return ""
    final, evaluation = (means[name] for name in names.values())
    opposed = any(
        (final[a] - final[b]) * (evaluation[a] - evaluation[b]) < 0
        for a, b in combinations(means.index, 2)
    )
    if not opposed:
        return ""
    orders = [
        f"{markdown_text(', '.join(map(str, values.sort_values(ascending=False).index)))} by "
        f"{terms.metric(name)}"
        for name, values in zip(names.values(), (final, evaluation), strict=True)
    ]
    return (
        f"On {markdown_text(str(summary['env'].iloc[0]))} the two returns order the means of the "
        f"methods differently: {orders[0]}, but {orders[1]}."
    )


def _differences(rows: pd.DataFrame, env: str, metric_type: str, terms: Terms) -> Iterator[str]:
    """The differences in one endpoint on one environment that were shown, and those not shown."""
    where, metric = f"On {markdown_text(env)}", terms.metric(metric_type)
    places = decimals([*rows["hodges_lehmann"], *rows["sd_delta"]])
    shown, not_shown = [], []
    for row in rows.to_dict("records"):
        above, below, effect = _oriented(row, places, terms)
        if row["reject_null"]:
            shown.append(f"- {where}, {above} exceeds {below} in {metric} by {effect}.")
        else:
            not_shown.append(f"- {above} and {below}: {effect}")
    yield "\n".join(shown)
    if not_shown:
        yield f"{where}, no difference in {metric} was shown between"
        yield "\n".join(not_shown)


def _oriented(row: Mapping[Any, Any], places: int, terms: Terms) -> tuple[str, str, str]:
    """The method with the larger values, the other one, and the difference in words."""
    above, below = markdown_text(str(row["method_a"])), markdown_text(str(row["method_b"]))
    sign = 1
    low, high = row["ci_hl_low"], row["ci_hl_high"]
    if row["hodges_lehmann"] < 0:
        above, below, sign, low, high = below, above, -1, -high, -low
    p = p_value(row["p_value_holm"], terms.alpha)
    effect = (
        f"{number(sign * row['hodges_lehmann'], places)} "
        f"[{terms.level} HL {interval(low, high, places)[1:]}, "
        f"Holm p {p if p.startswith('<') else f'= {p}'}, {terms.effect} = "
        f"{number(sign * row['dz'], 2)}, {_numbers(row)}"
    )
    return above, below, effect


def _numbers(row: Mapping[Any, Any]) -> str:
    """'n = 10', or of methods that are not paired 'n = 20 and 5'."""
    if row.get("design") == "unpaired":
        return f"n = {row['n_a']} and {row['n_b']}"
    return f"n = {row['n']}"


def _against(summary: pd.DataFrame, published: Published, terms: Terms) -> str:
    """A paragraph: our means and published ones, with Welch's intervals of the differences."""
    rows = summary[summary["metric_type"] == "endpoint"].to_dict("records")
    study = {(row["env"], row["method"]): row for row in rows}
    missing, parts, apart = [], [], 0
    for env, method, theirs in (
        (env, method, values)
        for env, methods in published.items()
        for method, values in methods.items()
    ):
        name = f"{markdown_text(method)} on {markdown_text(env)}"
        if (env, method) not in study:
            missing.append(name)
            continue
        ours = study[env, method]
        low, high = welch_interval(ours, theirs, 1 - terms.alpha)
        apart += low > 0 or high < 0
        places = decimals([ours["mean"], ours["sd"], theirs["mean"], theirs["sd"]])
        here, there = (
            f"{number(group['mean'], places)} ± {number(group['sd'], places)} (n = {group['n']})"
            for group in (ours, theirs)
        )
        parts.append(
            f"{name}: {here} here, {there} published, difference "
            f"{number(ours['mean'] - theirs['mean'], places)} {interval(low, high, places)}"
        )
    absent = f" Published but not in this study: {listed(missing)}." if missing else ""
    if not parts:
        return absent.strip()
    return (
        f"{capital(terms.metric('endpoint'))}, mean ± sd, with Welch's {terms.level} interval of "
        f"the difference, not corrected for the number of comparisons. {'; '.join(parts)}. "
        f"The interval excludes zero in {apart} of {len(parts)}; where it does not, a difference "
        f"was not shown, which does not make the values equal.{absent}"
    )


def welch_interval(
    ours: Mapping[Any, Any], theirs: Mapping[str, float], level: float
) -> tuple[float, float]:
    """Interval of the difference of two means from `mean, sd, n` of each (Welch 1947).

    NaN if one of them has fewer than two values or neither has any spread.
    """
    variances = [group["sd"] ** 2 / group["n"] for group in (ours, theirs)]
    total = sum(variances)
    if min(ours["n"], theirs["n"]) < 2 or not total > 0:
        return np.nan, np.nan
    freedom = total**2 / sum(
        variance**2 / (group["n"] - 1)
        for variance, group in zip(variances, (ours, theirs), strict=True)
    )
    half = scipy.stats.t.ppf((1 + level) / 2, freedom) * np.sqrt(total)
    difference = ours["mean"] - theirs["mean"]
    return float(difference - half), float(difference + half)
