"""How good people's answers are."""

from typing import Any

import pandas as pd

from active_rlhf.analysis.wording import interval, number
from active_rlhf.tables.cells import Cell, Table, plain, table

KINDS = ("first", "second", "equal", "skipped")
SHARES = {
    "gold": "gold right",
    "repeat": "same when repeated",
    "mirror": "same when mirrored",
    "left": "left side",
    "true_return": "larger return",
    "agreement": "agrees with others",
    "reliability": "reliability",
}
CAPTION = (
    "People's answers, 95% intervals in brackets. Answers are counted as first, second, equal and "
    "skipped; gold right: of pairs whose true returns are far apart; left side: of answers for a "
    "side; larger return: of answers for a segment; reliability: by Dawid and Skene. Seconds: "
    "median, and 10th to 90th percentile."
)


def people(rows: pd.DataFrame) -> Table:
    """A row for each person, from the rows of `labelling.quality.as_rows`."""
    every: list[dict[str, Any]] = [
        {str(k): v for k, v in r.items()} for r in rows.to_dict("records")
    ]
    of = {(row["annotator"], row["other"], row["measure"]): row for row in every}
    names = list(dict.fromkeys(row["annotator"] for row in every if row["annotator"]))

    def values(measure: str) -> list[float]:
        return [of[name, "", measure]["value"] for name in names]

    counts = zip(*map(values, KINDS), strict=True)
    kinds = [" / ".join(number(count, 0) for count in each) for each in counts]
    times = zip(*map(values, ("seconds", "seconds_p10", "seconds_p90")), strict=True)
    columns = [
        ("Annotator", plain(names)),
        ("answers", plain(number(value, 0) for value in values("answers"))),
        ("first / second / equal / skipped", plain(kinds)),
        *(
            (head, plain(_with_interval(of[name, "", key]) for name in names))
            for key, head in SHARES.items()
        ),
        ("seconds", [Cell(_with_range(*time)) for time in times]),
    ]
    kappas = [row for row in every if row["measure"] == "kappa" and row["n"] > 0]
    return table("people", CAPTION, columns, [_alpha(of["", "", "alpha"]), _kappas(kappas)])


def _with_interval(row: dict[str, Any]) -> str:
    value, low, high = (row[name] for name in ("value", "low", "high"))
    if value != value:
        return "–"
    return number(value, 2) + ("" if low != low else f" {interval(low, high, 2)}")


def _with_range(median: float, low: float, high: float) -> str:
    return "–" if median != median else f"{number(median, 1)} {interval(low, high, 1)}"


def _alpha(row: dict[str, Any]) -> str:
    if not row["n"]:
        return "No two people answered the same query, so agreement is not known."
    return (
        f"Krippendorff's alpha (nominal): {_with_interval(row)}, from {row['n']:.0f} queries that "
        "several answered."
    )


def _kappas(rows: list[dict[str, Any]]) -> str:
    found = [
        f"{row['annotator']} and {row['other']} {_with_interval(row)} (n = {row['n']:.0f})"
        for row in rows
    ]
    return f"Cohen's kappa: {'; '.join(found)}." if found else ""
