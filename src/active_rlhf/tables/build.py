"""The tables of a study, as LaTeX (booktabs) and as Markdown from the same cells.

Cells, captions and notes hold plain Unicode text; the two templates escape it. Every builder takes
the whole frame of its statistic and picks its rows, because the size of a family of tests is only
known from the whole.
"""

import re
import textwrap
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import numpy as np
import pandas as pd

from active_rlhf.analysis import overhead as cost
from active_rlhf.analysis.wording import (
    TEST,
    Terms,
    capital,
    decimals,
    duration,
    excluded_runs,
    family,
    interval,
    listed,
    number,
    p_value,
    power_notes,
    seeds,
)
from active_rlhf.files import atomic


@dataclass(frozen=True)
class Cell:
    text: str
    bold: bool = False


@dataclass(frozen=True)
class Table:
    """`left` of the columns, the first ones, hold text and are aligned left."""

    name: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    left: int = 1


# --- text ---------------------------------------------------------------------------------------

_GREEK = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau"
_LATEX = {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "_": r"\_\allowbreak{}",
    **{character: f"\\{character}" for character in "{}$&#%"},
    # At the start of a row these would be arguments of the \\ before.
    "[": "{[}",
    "*": "{*}",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "∞": r"$\infty$",
    "→": r"$\to$",
    "Δ": r"$\Delta$",
    **{
        character: f"$\\{name}$"
        for character, name in zip("αβγδεζηθικλμνξπρστ", _GREEK.split(), strict=True)
    },
}
# Letters that LaTeX's standard fonts lack although their neighbours are there.
_MISSING = "ĦħĸĿŀŉŦŧ"


def latex_text(text: str) -> str:
    """Plain text as LaTeX. A character that LaTeX's T1 fonts lack becomes [U+XXXX]."""

    def one(character: str) -> str:
        known = character.isascii() or ("À" <= character <= "ž" and character not in _MISSING)
        plain = character if known and character.isprintable() else f"{{[}}U+{ord(character):04X}]"
        return _LATEX.get(character, plain)

    plain = " ".join(unicodedata.normalize("NFC", text).split())
    # Two hyphens would become a dash.
    return "-{}".join("".join(map(one, part)) for part in re.split("-(?=-)", plain))


def _heading(text: str) -> str:
    """A column's head as LaTeX, in several lines if it is long, so that the table stays narrow."""
    lines = [latex_text(line) for line in textwrap.wrap(text, 16)]
    return "\\shortstack[r]{" + r" \\ ".join(lines) + "}" if len(lines) > 1 else latex_text(text)


def markdown_text(text: str) -> str:
    """Plain text as Markdown, also inside a table's cell."""
    plain = " ".join(text.split())
    return re.sub(r"([\\`*_~|<$]|(?<=\])\()", r"\\\1", plain)


def _label(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("active_rlhf.tables"),
    undefined=jinja2.StrictUndefined,
    block_start_string="(*",
    block_end_string="*)",
    variable_start_string="(((",
    variable_end_string=")))",
    comment_start_string="(#",
    comment_end_string="#)",
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_TEMPLATES.filters |= {
    "heading": _heading,
    "label": _label,
    "latex": latex_text,
    "markdown": markdown_text,
}


def latex(table: Table, mark: str = "") -> str:
    """A LaTeX table that needs the packages booktabs and graphicx, for `\\input`.

    mark: what it was made from (`provenance.mark`), kept in a comment.
    """
    return _TEMPLATES.get_template("table.tex.jinja").render(table=table, mark=mark)


def markdown(table: Table) -> str:
    """The table in Markdown: caption, pipes, notes."""
    return _TEMPLATES.get_template("table.md.jinja").render(table=table)


def document(title: str, sections: Mapping[str, Sequence[str]], mark: str = "") -> str:
    """A LaTeX document of the tables in the files `<name>.tex` beside it: heading -> names."""
    template = _TEMPLATES.get_template("tables.tex.jinja")
    return template.render(title=title, sections=sections, mark=mark)


def write(table: Table, path_without_suffix: str | Path, mark: str = "") -> None:
    """Write `<path>.tex` and `<path>.md`."""
    for suffix, text in ((".tex", latex(table, mark)), (".md", markdown(table))):
        with atomic(f"{path_without_suffix}{suffix}") as path:
            path.write_text(text, encoding="utf-8")


# --- tables -------------------------------------------------------------------------------------


def summary(frame: pd.DataFrame, terms: Terms, env: str) -> Table:
    """Endpoint and area of each method on one environment, from `summary.csv`."""
    of_env = frame[frame["env"] == env]
    main, area = (
        rows.set_index("method").loc[terms.order(rows)]
        for rows in (of_env[of_env["metric_type"] == name] for name in ("endpoint", "auc"))
    )
    places, area_places = decimals([*main["mean"], *main["sd"]]), decimals(area["mean"])
    columns = [
        ("n", [Cell(str(n)) for n in main["n"]]),
        ("Mean ± sd", _bold(main["mean"], places, _mean_sd(main, places))),
        (f"{terms.level} interval", _intervals(main["ci_low"], main["ci_high"], places)),
        ("Median", _bold(main["median"], places)),
        ("IQM", _bold(main["iqm"], places)),
        ("Min", _numbers(main["min"], places)),
        ("Max", _numbers(main["max"], places)),
        ("AUC ± sd", _bold(area["mean"], area_places, _mean_sd(area, area_places))),
    ]
    return _table(
        f"summary {env}",
        f"{capital(terms.metric('endpoint', True))} on {env}, and AUC, the "
        f"{terms.metric('auc', True)}; {seeds(main['n'])} seeds. Interval: t interval of the mean. "
        "IQM: interquartile mean. Bold: best of a column, with ties at the precision shown.",
        [("Method", _texts(main.index)), *columns],
        ["No test is made here; see the pairwise comparisons.", excluded_runs(terms, env)],
    )


def summary_combined(frame: pd.DataFrame, terms: Terms, metric_type: str = "endpoint") -> Table:
    """Mean and sd of one endpoint for each method and environment, from `summary.csv`.

    The fewer of the two, methods or environments, are the columns.
    """
    frame = frame[frame["metric_type"] == metric_type]
    methods, envs = terms.order(frame), list(frame["env"].unique())
    by_env = {}
    for env in envs:
        rows = frame[frame["env"] == env].set_index("method").reindex(methods)
        places = decimals([*rows["mean"], *rows["sd"]])
        by_env[env] = _bold(rows["mean"], places, _mean_sd(rows, places))
    columns = [("Method", _texts(methods)), *by_env.items()]
    if len(envs) > len(methods):
        cells = zip(*by_env.values(), strict=True)
        columns = [
            ("Environment", _texts(envs)),
            *((method, list(row)) for method, row in zip(methods, cells, strict=True)),
        ]
    fewer = frame[frame["n"] < frame["n"].max()]
    fewer = [f"{row.method} on {row.env} ({row.n})" for row in fewer.itertuples()]
    return _table(
        f"summary {metric_type}",
        f"{capital(terms.metric(metric_type, True))}: mean ± sd over {seeds(frame['n'])} seeds. "
        "Bold: best mean on an environment, with ties at the precision shown.",
        columns,
        [
            "No test is made here; see the pairwise comparisons.",
            f"Fewer seeds: {'; '.join(fewer)}." if fewer else "",
            excluded_runs(terms),
        ],
    )


def significance(
    comparisons: pd.DataFrame, terms: Terms, env: str, metric_type: str = "endpoint"
) -> Table:
    """All pairwise comparisons of one endpoint on one environment, from `comparisons.csv`."""
    rows = comparisons[(comparisons["env"] == env) & (comparisons["metric_type"] == metric_type)]
    places = decimals([*rows["hodges_lehmann"], *rows["delta_mean"], *rows["sd_delta"]])
    reject = list(rows["reject_null"])
    families = comparisons[comparisons["family"].isin(rows["family"])]
    columns = [
        ("Comparison", _texts(f"{a} − {b}" for a, b in _pairs(rows))),
        ("n", [Cell(str(n)) for n in rows["n"]]),
        ("W", [Cell(f"{w:g}") for w in rows["w_statistic"]]),
        ("p", _texts(map(p_value, rows["p_value"]))),
        ("Holm p", _emphasised(map(p_value, rows["p_value_holm"]), reject)),
        ("HL", _emphasised((number(v, places) for v in rows["hodges_lehmann"]), reject)),
        (f"{terms.level} interval", _intervals(rows["ci_hl_low"], rows["ci_hl_high"], places)),
        ("Mean", _numbers(rows["delta_mean"], places)),
        ("dz", _numbers(rows["dz"], 2)),
        ("P(a > b)", _numbers(rows["prob_improvement"], 2)),
    ]
    return _table(
        f"significance {env} {metric_type}",
        f"Differences (a − b) in {terms.metric(metric_type, True)} on {env}; {seeds(rows['n'])} "
        f"seeds. {TEST}; {family(families, terms)}, α = {terms.alpha:g}. HL: "
        "Hodges-Lehmann estimate, with its exact interval, the dual of the uncorrected test. dz: "
        "mean difference over its sd. P(a > b): share of unpaired runs of a above runs of b. "
        "Bold: rejected.",
        columns,
        [*power_notes(families, terms), excluded_runs(terms, env)],
    )


def significance_combined(
    comparisons: pd.DataFrame, terms: Terms, metric_type: str = "endpoint"
) -> Table:
    """Estimate and Holm p of each pair on each environment, from `comparisons.csv`."""
    rows = comparisons[comparisons["metric_type"] == metric_type]
    pairs = list(dict.fromkeys(_pairs(rows)))
    families = comparisons[comparisons["family"].isin(rows["family"])]
    columns = [("Comparison", _texts(f"{a} − {b}" for a, b in pairs))]
    for env, group in rows.groupby("env", sort=False):
        places = decimals([*group["hodges_lehmann"], *group["sd_delta"]])
        cells = {
            (row["method_a"], row["method_b"]): Cell(
                f"{number(row['hodges_lehmann'], places)} ({p_value(row['p_value_holm'])})",
                row["reject_null"],
            )
            for row in group.to_dict("records")
        }
        columns.append((str(env), [cells.get(pair, Cell("–")) for pair in pairs]))
    return _table(
        f"significance {metric_type}",
        f"Differences (a − b) in {terms.metric(metric_type, True)}: Hodges-Lehmann estimate (Holm "
        f"p); {seeds(rows['n'])} seeds. {TEST}; {family(families, terms)}, "
        f"α = {terms.alpha:g}. Bold: rejected. The intervals are in the tables by environment.",
        columns,
        [*power_notes(families, terms), excluded_runs(terms)],
    )


def overhead(means: pd.DataFrame, terms: Terms, env: str = cost.COMBINED) -> Table:
    """Cost of each method and its change against the reference, from `overhead.overhead`."""
    rows = means[means["env"] == env]
    columns = [
        ("Method", _texts(rows["method"])),
        ("n", [Cell(str(n)) for n in rows["n"]]),
    ]
    for key, name in cost.MEASURES.items():
        if key == "gpu_s" and not rows[key].gt(0).any():
            continue
        unit, divisor = ("GB", 1e3) if key == "peak_rss_mb" else duration(rows[key])
        values = rows[key] / divisor
        changes = [
            Cell("–" if np.isnan(change) else f"{number(100 * change, 1, sign=True)}%")
            for change in rows[f"{key}_change"]
        ]
        columns += [(f"{name} ({unit})", _numbers(values, decimals(values))), ("change", changes)]
    by_hosts = rows.groupby("hosts", sort=False)["method"].agg(lambda names: listed(list(names)))
    if cost.hosts_differ(means if env == cost.COMBINED else rows):
        hosts = (
            "Warning: the methods ran on different hosts, so the changes are not those of the "
            f"methods alone: {'; '.join(f'{names} on {host}' for host, names in by_hosts.items())}."
        )
    else:
        hosts = f"Host: {'; '.join(by_hosts.index) or 'none'}."
    where = (
        f"over environments ({listed(cost.shared_environments(means))}) of the means over runs"
        if env == cost.COMBINED
        else f"over {seeds(rows['n'])} runs on {env}"
    )
    return _table(
        f"overhead {env}",
        f"Cost of a run, means {where}, and change relative to {means['reference'].iloc[0]}. "
        f"No interval, no test. {hosts}",
        columns,
        [excluded_runs(terms, None if env == cost.COMBINED else env)],
    )


def aggregates(frame: pd.DataFrame, terms: Terms, metric_type: str = "endpoint") -> Table:
    """Normalised scores across environments, from `aggregates.csv`; no rows without baselines."""
    rows = frame[frame["metric_type"] == metric_type]
    methods = terms.order(rows)
    columns = [("Method", _texts(methods))]
    names = {"iqm": "IQM", "median": "Median", "mean": "Mean", "optimality_gap": "Optimality gap"}
    for key, name in names.items():
        cells = rows[rows["statistic"] == key].set_index("method").loc[methods]
        texts = [
            f"{number(row['value'], 2)} {interval(row['ci_low'], row['ci_high'], 2)}"
            for _, row in cells.iterrows()
        ]
        columns.append((name, _bold(cells["value"], 2, texts, lowest=key == "optimality_gap")))
    return _table(
        f"aggregates {metric_type}",
        f"{capital(terms.metric(metric_type, True))} across environments, normalised: 0 is a "
        f"random policy, 1 PPO on the true reward. {seeds(rows['runs']) if methods else 'No'} runs "
        f"of a method. Interval: {terms.level} percentile bootstrap, stratified by environment. "
        "IQM: interquartile mean of all runs. Optimality gap: mean shortfall from 1. Bold: best, "
        "with ties at the precision shown.",
        columns,
        [
            f"Environments: {'; '.join(rows['environments'].unique())}."
            if methods
            else "There are no baselines to normalise by.",
            "No test is made here; see the pairwise comparisons.",
            excluded_runs(terms),
        ],
    )


def labels(frame: pd.DataFrame, terms: Terms, env: str) -> Table:
    """Labels needed for three levels of return on one environment, from `labels.csv`."""
    rows = frame[frame["env"] == env]
    methods = terms.order(rows)
    columns = [("Method", _texts(methods))]
    for share, group in rows.groupby("share", sort=False):
        places = decimals(group["threshold"])
        texts = [
            f"{number(row['median'], 0)} {interval(row['ci_low'], row['ci_high'], 0)}"
            f" {row['reached']}/{row['n']}"
            for _, row in group.set_index("method").loc[methods].iterrows()
        ]
        threshold = number(group["threshold"].iloc[0], places)
        columns.append((f"{share:.0%}: return {threshold}", _texts(texts)))
    reference = methods[0] if methods else "the first method"
    return _table(
        f"labels {env}",
        f"Labels used until the mean of ten episodes first reaches a level on {env}: median over "
        f"{seeds(rows['n']) if methods else 'no'} runs, interval, runs that reached it. The levels "
        f"are shares of the way from where runs begin to the mean final return of {reference}. "
        f"Interval: {terms.level} percentile bootstrap of the median; ∞: not reached.",
        columns,
        [
            "No test is made here." if methods else "These runs do not record labels.",
            excluded_runs(terms, env),
        ],
    )


Column = tuple[str, list[Cell]]


def _table(name: str, caption: str, columns: list[Column], notes: Iterable[str]) -> Table:
    heads, cells = zip(*columns, strict=True)
    notes = tuple(note for note in notes if note)
    return Table(name, caption, heads, tuple(zip(*cells, strict=True)), notes)


def _pairs(comparisons: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(comparisons["method_a"], comparisons["method_b"], strict=True))


def _texts(texts: Iterable[str]) -> list[Cell]:
    return [Cell(str(text)) for text in texts]


def _emphasised(texts: Iterable[str], bold: Iterable[bool]) -> list[Cell]:
    return [Cell(text, bool(mark)) for text, mark in zip(texts, bold, strict=True)]


def _numbers(values: Iterable[float], places: int) -> list[Cell]:
    return _texts(number(value, places) for value in values)


def _intervals(lows: Iterable[float], highs: Iterable[float], places: int) -> list[Cell]:
    return _texts(interval(*ends, places) for ends in zip(lows, highs, strict=True))


def _mean_sd(rows: pd.DataFrame, places: int) -> list[str]:
    """'12 ± 3', '12' where there is no sd (one seed), a dash where there is nothing."""
    return [
        number(mean, places) + ("" if np.isnan(sd) else f" ± {number(sd, places)}")
        for mean, sd in zip(rows["mean"], rows["sd"], strict=True)
    ]


def _bold(
    values: pd.Series, places: int, texts: list[str] | None = None, lowest: bool = False
) -> list[Cell]:
    """Cells of the values, bold where a value is shown with the same digits as the best one."""
    shown = [number(value, places) for value in values]
    best = number(values.min() if lowest else values.max(), places) if len(values) else ""
    marks = [text == best and np.isfinite(value) for text, value in zip(shown, values, strict=True)]
    return _emphasised(texts or shown, marks)
