"""How good people's answers are, and how far they agree: docs/label_data.md has the definitions.

Everything is about answers that stand: one that was withdrawn or changed counts as what it became.
Intervals are of 95%.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from active_rlhf.analysis.intervals import percentile_interval
from active_rlhf.files import atomic
from active_rlhf.labelling.combining import JUDGED
from active_rlhf.labelling.queue import ANSWERS, WITHDRAWN
from active_rlhf.labelling.records import read
from active_rlhf.labelling.reliability import dawid_skene

RESAMPLES = 1000
Interval = tuple[float, float]


def report(folders: Sequence[Path]) -> dict[str, pd.DataFrame]:
    """Tables about the people who answered the runs in `folders`.

    `people`: a row for each annotator; `pairs`: for each two who answered some query both;
    `overall`: one row, with Krippendorff's alpha. A column `x_low`, `x_high` or `x_n` holds the
    interval of `x` and the number of answers (of queries, for agreement) that it is from; nan where
    there are none. Raises QueueError if a folder has neither a queue nor a record of answers.
    """
    said = [read(folder) for folder in sorted(folders)]  # the same in any order
    return of_answers(pd.concat(said, keys=range(len(said)), names=["run"]) if said else NOTHING)


def of_answers(said: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The same from tables of `records.read`, one below the other with an index level `run`."""
    answers = said.groupby(["run", "showing"], sort=False).tail(1)
    answers = answers[answers["answer"] != WITHDRAWN].reset_index("run")
    answers["item"] = list(zip(answers["run"], answers["query"], strict=True))
    asked = answers[answers["purpose"] == "query"]
    people = sorted(answers["annotator"].unique())
    judged = asked[asked["answer"] != "skipped"]
    items = {item: i for i, item in enumerate(judged["item"].unique())}
    said_of = np.full((len(people), len(items)), -1)  # the class that each person gave each item
    for person, item, answer in zip(
        judged["annotator"], judged["item"], judged["answer"], strict=True
    ):
        said_of[people.index(person), items[item]] = JUDGED.index(answer)
    overlapping = (said_of >= 0).sum(0) > 1
    found = dawid_skene(
        [(i, people[p], JUDGED[said_of[p, i]]) for p, i in np.argwhere(said_of >= 0)], JUDGED
    )
    rows = []
    for p, person in enumerate(people):
        own = answers[answers["annotator"] == person]
        shared = said_of[:, (said_of[p] >= 0) & overlapping]
        reliable = bool(shared.size) and person in found.confusion
        rows.append(
            _about(person, own)
            | _agreement(shared, p)
            | {"reliability": found.accuracy(person) if reliable else nan}
        )
    pairs = [
        {"annotator": one, "other": other, **_pair(said_of[i], said_of[j])}
        for (i, one), (j, other) in combinations(enumerate(people), 2)
        if ((said_of[i] >= 0) & (said_of[j] >= 0)).any()
    ]
    shared = said_of[:, overlapping]
    alpha, interval = krippendorff(shared)
    overall = {
        "people": len(people),
        "queries": len(items),
        "answers": len(judged),
        "alpha": alpha,
        "alpha_low": interval[0],
        "alpha_high": interval[1],
        "alpha_n": shared.shape[1],
    }
    nobody = _about("", NOTHING.reset_index("run")) | _agreement(said_of[:, :0], 0)
    return {
        "people": pd.DataFrame(rows, columns=[*nobody, "reliability"]),
        "pairs": pd.DataFrame(pairs, columns=["annotator", "other", *_pair(NONE, NONE)]),
        "overall": pd.DataFrame([overall]),
    }


def as_rows(found: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """All tables of a report as one: `annotator, other, measure, value, low, high, n`.

    `other` is empty but for pairs, and both are for what is overall.
    """
    return pd.DataFrame(_measures(found), columns=list(ROW))


def write(rows: pd.DataFrame, path: Path) -> None:
    """Write the rows of `as_rows` as CSV, unless they are there already: what is made from the file
    is then not made again."""
    text = rows.to_csv(index=False, lineterminator="\n")
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_rows(path: str | Path) -> pd.DataFrame:
    """The rows that `write` wrote."""
    numbers = dict.fromkeys(ROW[3:], "")
    return pd.read_csv(path, na_values=numbers, keep_default_na=False)


ROW = ("annotator", "other", "measure", "value", "low", "high", "n")


def _measures(found: Mapping[str, pd.DataFrame]) -> Iterator[tuple[Any, ...]]:
    for frame in (found["overall"], found["people"], found["pairs"]):
        for row in frame.to_dict("records"):
            who = row.pop("annotator", ""), row.pop("other", "")
            for name, value in row.items():
                if not str(name).endswith(("_low", "_high", "_n")):
                    rest = (row.get(f"{name}_{end}", nan) for end in ("low", "high", "n"))
                    yield (*who, name, value, *rest)


# --- one person ----------------------------------------------------------------------------------


def _about(person: str, own: pd.DataFrame) -> dict[str, Any]:
    """What one person's standing answers tell without the others'."""
    asked, tests = own[own["purpose"] == "query"], own[own["purpose"] != "practice"]
    seconds = tests["seconds"].dropna().astype(float)
    first = asked.set_index(["run", "query"])["answer"]
    times = np.quantile(seconds, (0.5, 0.1, 0.9)) if len(seconds) else (nan, nan, nan)
    sided = tests[tests["answer"].isin(("first", "second"))]
    left = (sided["answer"] == "first") != sided["mirrored"].astype(bool)
    differs = asked["first_return"] != asked["second_return"]
    return {
        "annotator": person,
        "answers": len(asked),
        **{answer: int((asked["answer"] == answer).sum()) for answer in ANSWERS},
        **_share("practice", _right(own[own["purpose"] == "practice"])),
        **_share("gold", _right(own[own["purpose"] == "gold"])),
        **_share("repeat", _same(own[own["purpose"] == "repeat"], first)),
        **_share("mirror", _same(own[own["purpose"] == "mirror"], first)),
        **_share("left", left),
        **_share("true_return", _right(asked[differs & asked["answer"].isin(("first", "second"))])),
        **dict(zip(("seconds", "seconds_p10", "seconds_p90"), map(float, times), strict=True)),
    }


def _right(answers: pd.DataFrame) -> pd.Series:
    """Whether answers name the segment of the larger true return, of those who could judge."""
    judged = answers[answers["answer"] != "skipped"]
    larger = np.where(judged["first_return"] > judged["second_return"], "first", "second")
    return judged["answer"] == larger


def _same(again: pd.DataFrame, first: pd.Series) -> pd.Series:
    """Whether answers are those given the first time, where both times they could judge."""
    before = first.reindex(pd.MultiIndex.from_frame(again[["run", "query"]])).to_numpy()
    kept = pd.notna(before) & (before != "skipped") & (again["answer"] != "skipped").to_numpy()
    return pd.Series(again["answer"].to_numpy()[kept] == before[kept])


def _share(name: str, hits: pd.Series) -> dict[str, Any]:
    """The share of hits, with its exact interval (Clopper and Pearson 1934)."""
    from scipy.special import betaincinv  # scipy.stats would take 50 MB of the server's memory

    n, k = len(hits), int(hits.sum())
    value, low, high = (k / n, 0.0, 1.0) if n else (nan, nan, nan)
    if k:
        low = float(betaincinv(k, n - k + 1, 0.025))
    if k < n:
        high = float(betaincinv(k + 1, n - k, 0.975))
    return {name: value, f"{name}_low": low, f"{name}_high": high, f"{name}_n": n}


# --- several people ------------------------------------------------------------------------------

NONE = np.empty(0, int)


def _agreement(shared: np.ndarray, person: int) -> dict[str, Any]:
    """How often others gave a person's answer: the mean over the queries that they share.

    shared: the class that each person gave each of them, -1 for none, [people, queries].
    """
    n = shared.shape[1]
    own = shared[person] if n else NONE
    others = np.delete(shared, person, 0) if n else shared[:0]
    same = ((others == own) & (others >= 0)).sum(0) / np.maximum((others >= 0).sum(0), 1)
    low, high = _resampled(same[:, None], lambda sums: sums[:, 0] / n)
    value = float(same.mean()) if n else nan
    return {"agreement": value, "agreement_low": low, "agreement_high": high, "agreement_n": n}


def _pair(one: np.ndarray, other: np.ndarray) -> dict[str, Any]:
    """Agreement of two people, and Cohen's kappa with its bootstrap interval over queries."""
    both = (one >= 0) & (other >= 0)
    one, other, n = one[both], other[both], int(both.sum())
    cells = np.eye(len(JUDGED) ** 2)[one * len(JUDGED) + other]  # [n, c * c]
    low, high = _resampled(cells, cohens_kappa)
    return {
        "agreement": float((one == other).mean()) if n else nan,
        "agreement_n": n,
        "kappa": float(cohens_kappa(cells.sum(0))) if n else nan,
        "kappa_low": low,
        "kappa_high": high,
        "kappa_n": n,
    }


def cohens_kappa(tables: np.ndarray) -> np.ndarray:
    """Cohen's kappa (1960) of tables [..., c * c] of how often two people gave which classes.

    nan where both gave one class only.
    """
    c = len(JUDGED)
    p = tables.reshape(*tables.shape[:-1], c, c) / tables.sum(-1)[..., None, None]
    agreed, expected = np.trace(p, axis1=-2, axis2=-1), (p.sum(-1) * p.sum(-2)).sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(expected < 1, (agreed - expected) / (1 - expected), nan)


def krippendorff(said: np.ndarray) -> tuple[float, Interval]:
    """Krippendorff's alpha for nominal classes (2019, chapter 12), with its bootstrap interval over
    queries.

    said: the class that each person gave each query, -1 for none, [people, queries]. A query that
    fewer than two answered does not count; nan where only one class was given.
    """
    votes = np.array([(said == answer).sum(0) for answer in range(len(JUDGED))]).T
    votes = votes[votes.sum(1) > 1]
    if not len(votes):
        return nan, (nan, nan)
    m = votes.sum(1, keepdims=True)
    disagreed = ((votes * (m - votes)).sum(1, keepdims=True)) / (m - 1)
    parts = np.hstack([disagreed, votes])

    def alpha(sums: np.ndarray) -> np.ndarray:
        observed, by_class = sums[..., 0], sums[..., 1:]
        n = by_class.sum(-1)
        expected = (n**2 - (by_class**2).sum(-1)) / (n - 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(expected > 0, 1 - observed / expected, nan)

    return float(alpha(parts.sum(0))), _resampled(parts, alpha)


def _resampled(rows: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray]) -> Interval:
    """The percentile bootstrap interval over n queries of a statistic of sums [..., k] of their
    rows [n, k]; nan for fewer than two.

    Of equal rows it matters only how many are drawn, so a resample is one draw from the distinct.
    """
    if len(rows) < 2:
        return nan, nan
    distinct, times = np.unique(rows, axis=0, return_counts=True)
    generator = np.random.default_rng(0)
    drawn = generator.multinomial(len(rows), times / len(rows), size=RESAMPLES)
    values = statistic(drawn @ distinct)
    values = values[np.isfinite(values)]
    low, high = percentile_interval(values) if len(values) else (nan, nan)
    return float(low), float(high)


NOTHING = pd.DataFrame(
    columns=[
        *("query", "purpose", "showing", "annotator", "answer", "mirrored", "seconds"),
        *("first_return", "second_return"),
    ],
    index=pd.MultiIndex.from_tuples([], names=["run", "row"]),
)
