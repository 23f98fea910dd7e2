"""How numbers, metrics and tests are worded, alike in tables, figures and findings."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from active_rlhf.analysis.comparisons import STUDY_REWARD
from active_rlhf.analysis.endpoints import methods_of
from active_rlhf.analysis.frames import FrameError, require_alpha
from active_rlhf.analysis.power import EFFECT, families, family_warning, is_unpaired, sizes
from active_rlhf.errors import InputError
from active_rlhf.study.ending import UNFINISHED
from active_rlhf.study.measures import (
    EVALUATION,
    OVER_LABELS,
    beside,
    lower_is_better,
    of_reward_model,
)

# Name and definition of each endpoint, see analysis/endpoints.py. {row} is what a row of the runs
# is, {value} what it holds.
METRICS = {
    "final": ("final return", "mean {value} of a run's last {last} {rows}"),
    "last": ("last return", "{value} of a run's last {row}"),
    "ema": ("smoothed final return", "exponential moving average of {value}s at a run's end"),
    "best": ("best return", "largest {value} of any {row} of a run"),
    "last_steps": ("late return", "mean {value} in the last {window} of a run's steps"),
    "evaluation": (
        "evaluation return",
        "mean true return of the deterministic policy in the evaluation at a run's end",
    ),
    "auc": ("area under the curve", "mean {value} over training, by trapezoids"),
}
# What a row of imported runs is; runs of this package have training episodes with true returns.
ROWS = {
    "episodes": ("training episode", "training episodes"),
    "evaluations": ("evaluation", "evaluations"),
    "means": ("logged mean of episodes", "logged means of episodes"),
    "scores": ("score", "scores"),
    "rows": ("row", "rows"),
}
# the same of the reward model's endpoints, after the last session
REWARD_METRICS = {
    "reward_loss": ("reward-model loss", "cross-entropy on the probe set, in nats"),
    "reward_accuracy": (
        "reward-model accuracy",
        "share of probe pairs whose larger true return it prefers",
    ),
    "reward_correlation": (
        "reward-model correlation",
        "rank correlation of predicted and true returns of the probe set's segments",
    ),
    "reward_calibration": (
        "reward-model calibration error",
        "expected calibration error on the probe set",
    ),
}
REWARD_NOTE = (
    "After the last session or, over labels, its mean over the labels asked. Smaller is better for "
    "loss and calibration error, larger for accuracy and correlation."
)
OF_SESSIONS = "after the last session"
OF_LABELS = "mean over the labels asked, by trapezoids"
LAST = 10  # rows in `final`
NORMALISED = "0 is a random policy, 1 is PPO on the true reward, a yardstick and no ceiling"
TESTS = {
    "paired": "Wilcoxon signed-rank test, exact, two-sided, paired by seed",
    "unpaired": "Mann-Whitney test, two-sided, unpaired",
}
EFFECTS = {
    "paired": ("dz", "mean difference over its sd"),
    "unpaired": ("d", "mean difference over the sd within methods"),
}
COMMON = "Only seeds that both methods have are compared"


@dataclass(frozen=True)
class Terms:
    """What the captions of a study state.

    methods: display names in table order (empty: that of the data frame); interval: the kind around
    curves (bootstrap, t, sd); excluded: `env, method, seed, reason` of each run left out; asked:
    environment -> teacher and label budget (empty: unknown); variant: the one this is about;
    partial: how much of an unfinished study is finished; rows: what the rows of imported runs are,
    a key of ROWS; ends: what counts as 0 and 1 where returns are normalised; common: methods are
    compared on the seeds that they share, which need not be all. The other fields are the study's
    settings of that name. Raises InputError for an alpha that is not between 0 and 1.
    """

    methods: tuple[str, ...] = ()
    endpoint: str = "final"
    family: str = "environment"
    alpha: float = 0.05
    interval: str = "bootstrap"
    excluded: tuple[Mapping[str, Any], ...] = ()
    asked: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    variant: str = ""
    partial: str = ""
    design: str = "paired"
    common: bool = False
    window: int | None = None
    rows: str = ""
    ends: str = NORMALISED

    def __post_init__(self) -> None:
        require_alpha(self.alpha)

    @classmethod
    def of(cls, study: Mapping[str, Any], variant: str = "") -> "Terms":
        """The terms of a loaded study, or of one of its variants."""
        names = study.get("methods") or {}
        asked = study.get("asked") or {}
        if study.get("variants"):
            asked = asked.get(variant, {})
        return cls(
            methods=tuple(dict.fromkeys(names.values())),
            excluded=tuple(
                {**run, "method": names.get(run["method"], run["method"])}
                for run in study.get("exclude") or ()
                if run["reason"] != UNFINISHED  # the coverage table has them
            ),
            asked={env: tuple(own) for env, own in asked.items()},
            variant=variant,
            partial=partial if isinstance(partial := study.get("partial"), str) else "",
            design=(design := (study.get("statistics") or {}).get("design")) or cls.design,
            common=design == "paired",
            rows=rows_of(study.get("imported")),
            ends=ends_of(study),
            interval=(study.get("figures") or {}).get("interval", cls.interval),
            **{
                key: value
                for key, value in (study.get("statistics") or {}).items()
                if key in ("endpoint", "family", "alpha", "window")
            },
        )

    @property
    def row(self) -> str:
        """'training episode', or what else a row of the runs is."""
        return ROWS[self.rows or "episodes"][0]

    @property
    def plural(self) -> str:
        """'training episodes'."""
        return ROWS[self.rows or "episodes"][1]

    @property
    def value(self) -> str:
        """What a row holds."""
        return "return" if self.rows else "true return"

    @property
    def test(self) -> str:
        """The main test, and which runs it compares."""
        return TESTS[self.design] + (f". {COMMON}" if self.common else "")

    @property
    def exact(self) -> str:
        """'exact ', where the interval always is."""
        return "exact " if self.design == "paired" else ""

    @property
    def effect(self) -> str:
        """'dz' or, of runs that are not paired, 'd'."""
        return EFFECTS[self.design][0]

    @property
    def effect_defined(self) -> str:
        """'dz: mean difference over its sd'."""
        return ": ".join(EFFECTS[self.design])

    @property
    def level(self) -> str:
        """'95%'."""
        return f"{100 * (1 - self.alpha):.4g}%"

    def order(self, frame: pd.DataFrame) -> list[str]:
        """The methods that occur in the frame, in table order.

        It need not have all of `methods`, nor need these be all that it has. Raises FrameError if
        it has others alone: then `methods` are those of another table.
        """
        present = methods_of(frame)
        known = [method for method in self.methods or present if method in present]
        if present and not known:
            raise FrameError(
                f"terms.methods: no method {', '.join(self.methods)} in the table, which has "
                f"{', '.join(map(str, present))}; leave `methods` empty to take these"
            )
        return known

    def beside(self, frame: pd.DataFrame) -> list[str]:
        """Those of `final` and `evaluation` that the frame has beside the main endpoint."""
        there = set(frame["metric_type"])
        return [name for name in beside(self.endpoint, EVALUATION in there) if name in there]

    def measure(self, metric_type: str) -> str:
        """'Loss over labels': of the reward model, where it need not be said again."""
        return capital(self.metric(metric_type).removeprefix("reward-model "))

    def metric(self, metric_type: str, definition: bool = False) -> str:
        """'final return', or with its definition in brackets. Raises InputError if unknown."""
        if not of_reward_model(metric_type):
            key = self.endpoint if metric_type == "endpoint" else metric_type
            if key not in METRICS:
                raise InputError(f"unknown endpoint {key!r}; known: {', '.join(METRICS)}")
            name, meaning = METRICS[key]
            if self.rows == "scores" and key == "final":  # there is one, of no known step
                name, meaning = "score", "the one result that is known of a run"
            window = f"{self.window:,}" if self.window else "tenth"
            known = {"row": self.row, "rows": self.plural, "value": self.value}
            meaning = meaning.format(**known, last=LAST, window=window)
            return f"{name} ({meaning})" if definition else name
        name, meaning = REWARD_METRICS[metric_type.removesuffix(OVER_LABELS)]
        mean = metric_type.endswith(OVER_LABELS)
        if not definition:
            return f"{name} over labels" if mean else name
        better = "smaller" if lower_is_better(metric_type) else "larger"
        when = OF_LABELS if mean else OF_SESSIONS
        return f"{self.metric(metric_type)} ({meaning}, {when}; {better} is better)"


def decimals(values: Iterable[float], metric_type: str = "") -> int:
    """Decimals that show three significant digits of the largest finite value.

    At most 3, or 5 for the reward model's endpoints, which differ by little where they are good.
    """
    most = 5 if of_reward_model(metric_type) else 3
    largest = max((abs(float(v)) for v in values if np.isfinite(v)), default=0.0)
    return min(most, max(0, 2 - math.floor(math.log10(largest)))) if largest > 0 else 0


def number(value: float, places: int, sign: bool = False) -> str:
    """The value rounded, with a true minus sign and no negative zero; a dash for NaN."""
    if not np.isfinite(value):
        return "–" if np.isnan(value) else ("∞" if value > 0 else "−∞")
    value = round(float(value), places) + 0.0
    return f"{value:{'+' if sign and value else ''}.{places}f}".replace("-", "−")


def interval(low: float, high: float, places: int) -> str:
    """'[−12, 34]'; a dash where there is none."""
    if np.isnan(low) or np.isnan(high):
        return "–"
    return f"[{number(low, places)}, {number(high, places)}]"


def p_value(p: float, alpha: float = 0.05) -> str:
    """Three decimals, or '<0.001'; more if rounding would hide which side of alpha it is on."""
    if np.isnan(p):
        return "–"
    if p < 0.001 <= alpha:
        return "<0.001"
    digits = 3
    while round(p, digits) in (0, round(alpha, digits)) and p not in (0, alpha) and digits < 9:
        digits += 1
    return f"{p:.{digits}f}"


def duration(seconds: Iterable[float]) -> tuple[str, float]:
    """A unit that suits the longest of these times, and its seconds."""
    longest = max((s for s in seconds if np.isfinite(s)), default=0.0)
    return ("h", 3600.0) if longest >= 10_800 else ("min", 60.0) if longest >= 300 else ("s", 1.0)


def seeds(counts: Iterable[float]) -> str:
    """'n = 10' or, where the numbers of seeds differ, 'n = 9 to 10'."""
    ns = sorted({int(n) for n in counts}) or [0]
    return f"n = {ns[0]}" if len(ns) == 1 else f"n = {ns[0]} to {ns[-1]}"


def of_seeds(counts: Iterable[float]) -> str:
    """'n = 10 seeds', 'n = 1 seed'."""
    text = seeds(counts)
    return f"{text} seed" if text == "n = 1" else f"{text} seeds"


def capital(text: str) -> str:
    """The text with a capital first letter and the rest unchanged."""
    return text[:1].upper() + text[1:]


def listed(items: Sequence[str]) -> str:
    """'a', 'a and b', 'a, b and c'."""
    return " and ".join(filter(None, (", ".join(items[:-1]), *items[-1:])))


def family(comparisons: pd.DataFrame, terms: Terms) -> str:
    """Which tests Holm corrects together: 'Holm within environment × endpoint (6 tests)'."""
    sizes = sorted(set(comparisons["family"].value_counts()))
    scope = "the whole study" if terms.family == "study" else "environment × endpoint"
    if len(comparisons) and comparisons["family"].str.endswith(STUDY_REWARD).all():
        scope = "the reward models of the whole study"
    tests = "1 test" if sizes == [1] else f"{listed([str(size) for size in sizes]) or 'no'} tests"
    return f"Holm within {scope} ({tests})"


def power_notes(comparisons: pd.DataFrame, terms: Terms) -> list[str]:
    """The power of these families of tests, and a warning if they cannot reject anything."""
    if comparisons.empty:
        return [
            "No two methods have a seed in common here, or there is one only: nothing is tested."
        ]
    warnings: list[str] = []
    powers: list[str] = []
    effect = EFFECTS["unpaired" if is_unpaired(comparisons) else "paired"][0]
    for _, rows in families(comparisons):
        tests, fewest = len(rows), rows.sort_values("power", kind="stable").iloc[0]
        (n, other), (most, largest) = sizes(rows)
        if warning := family_warning(most, tests, terms.alpha, largest):
            warnings.append(warning)
            continue
        powers.append(
            f"Power at n = {n if other is None else f'{n} and {other}'} and Holm's first level "
            f"{terms.alpha:g}/{tests}: {fewest['power']:.2f} for an effect of {effect} = "
            f"{EFFECT:g}; 80% takes {fewest['n_for_80']} "
            f"{'seeds' if other is None else 'runs of each'}."
        )
    return list(dict.fromkeys([*warnings, *powers]))


def rows_of(imported: Mapping[str, Any] | None) -> str:
    """What the rows of a study's imported runs are; `rows` if it is not the same everywhere."""
    kinds = {source["rows"] for source in (imported or {}).values()}
    return kinds.pop() if len(kinds) == 1 else "rows" if kinds else ""


def ends_of(study: Mapping[str, Any]) -> str:
    """What counts as 0 and 1 where a study normalises returns."""
    if study.get("references"):
        names = study.get("methods") or {}
        low, high = (names.get(name := study["references"][end], name) for end in ("low", "high"))
        return f"0 is {low}, 1 is {high}, a yardstick and no ceiling"
    if study.get("scale"):
        return "0 and 1 are the two numbers that the study gives for each environment"
    return NORMALISED


def teacher_and_budget(terms: Terms, *envs: str) -> str:
    """A sentence naming teacher and label budget on these environments (by default all).

    The variant comes first, in a study that has any. Empty if both are unknown.
    """
    variant = f"Variant: {terms.variant}. " if terms.variant else ""
    cases: dict[tuple[str, int], list[str]] = {}
    for env, asked in terms.asked.items():
        if not envs or env in envs:
            cases.setdefault(asked, []).append(env)
    if len(cases) == 1:
        ((teacher, labels),) = cases
        return f"{variant}Teacher: {teacher}; label budget: {labels:,} per run."
    each = [f"{teacher}, {n:,} on {listed(where)}" for (teacher, n), where in cases.items()]
    budgets = f"Teacher and label budget per run: {'; '.join(each)}." if each else ""
    return (variant + budgets).strip()


def excluded_runs(terms: Terms, envs: Collection[str] | None = None) -> str:
    """Sentences naming the runs left out in these environments and why, or else in all.

    Of a partial study, how much is finished; empty if nothing is left out.
    """
    runs = [
        f"{run['method']} seed {run['seed']} on {run['env']} ({run['reason']})"
        for run in terms.excluded
        if envs is None or run["env"] in envs
    ]
    partial = f"Partial study: {terms.partial}; the coverage table names what is missing."
    left_out = f"Left out: {'; '.join(runs)}."
    return " ".join([partial] * bool(terms.partial) + [left_out] * bool(runs))
