"""Sweeps: what is tuned, on which seeds, with how many trials; and the stages that follow.

A trial is one choice of values for a selector. Trials are suggested round by round, each from the
results of all rounds before. With `halving`, a round has several stages: the better share of its
trials goes on to more seeds or to longer runs.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, field_validator, model_validator

from active_rlhf.study.sections import Section, setting

Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Sampler = Literal["tpe", "random", "grid", "cmaes", "qmc"]


class Dimension(Section):
    """The values that one setting may take: all between `low` and `high`, or `choices`."""

    low: float | None = setting(None, "lowest value", unit="the setting's")
    high: float | None = setting(None, "highest value", unit="the setting's")
    log: bool = setting(False, "whether the range is searched by its logarithm")
    step: float | None = setting(
        None, "distance between values, counted from the lowest", unit="the setting's", gt=0
    )
    whole: bool | None = setting(
        None, "whether only whole numbers are tried", shown="if the setting takes no others"
    )
    choices: tuple[JsonValue, ...] | None = setting(
        None, "values to choose from: numbers, texts or lists", unit="list", min_length=2
    )
    selectors: tuple[str, ...] | None = setting(
        None, "those whose setting it is", unit="list of names", shown="all", min_length=1
    )

    @model_validator(mode="after")
    def _possible(self) -> "Dimension":
        ends = (self.low, self.high)
        if self.choices is not None:
            if ends != (None, None) or self.log or self.step or self.whole is not None:
                raise ValueError("has `choices`, so nothing else but `selectors`")
            if any(one in self.choices[:i] for i, one in enumerate(self.choices)):
                raise ValueError("`choices` lists a value twice")
            return self
        if None in ends:
            raise ValueError("must have `low` and `high`, or `choices`")
        low, high = self.range
        if not low < high:
            raise ValueError(f"low = {low:g} is not below high = {high:g}")
        if self.log and low <= 0:
            raise ValueError(f"`log` needs values above 0, not low = {low:g}")
        if self.log and self.step:
            raise ValueError("`log` and `step` do not go together")
        if self.step and self.step > high - low:
            raise ValueError(f"step = {self.step:g} leads out of the range")
        if self.whole and not all(v == int(v) for v in (low, high, self.step or 1)):
            raise ValueError("the setting takes whole numbers only; so must low, high and step be")
        return self

    @property
    def range(self) -> tuple[float, float]:
        """Lowest and highest number, where there are no `choices`."""
        assert self.low is not None and self.high is not None
        return self.low, self.high

    @property
    def values(self) -> list[Any] | None:
        """Every value, if they can be counted; None for numbers without a step."""
        if self.choices is not None:
            return list(self.choices)
        low, high = self.range
        step = self.step or (1 if self.whole else None)
        if step is None:
            return None
        every = [low + step * i for i in range(math.floor((high - low) / step + 1e-9) + 1)]
        return [int(value) for value in every] if self.whole else every

    def holds(self, value: Any) -> bool:
        """Whether this is one of the values."""
        if (known := self.values) is not None:
            near = [one for one in known if isinstance(one, float) and isinstance(value, float)]
            return value in known or any(math.isclose(one, value) for one in near)
        low, high = self.range
        return isinstance(value, (int, float)) and low <= value <= high

    @property
    def ends(self) -> list[Any]:
        """The lowest and the highest value, or all choices: if these can be set, all others can."""
        if self.choices is not None:
            return list(self.choices)
        return [int(value) if self.whole else value for value in self.range]


class Objective(Section):
    """What is maximised."""

    endpoint: Literal["evaluation", "final", "auc"] = setting(
        "evaluation",
        "a run's result: `evaluation` (the deterministic policy at the end), `final` (mean of its "
        "last 10 episodes) or `auc` (mean return over training)",
        unit="name",
    )
    over: Literal["mean", "iqm"] = setting(
        "mean",
        "how a trial's runs are summed up: their `mean`, or the mean of the middle half (`iqm`), "
        "over seeds and environments. With several environments returns are normalised first, "
        "which takes `baselines: true`",
        unit="`mean`, `iqm`",
    )


class Rung(Section):
    """A stage of a round with halving."""

    seeds: int = setting(..., "how many of the tuning seeds trials are run with", ge=1)
    steps: float = setting(1.0, "length of the runs", unit="share of `total_steps`", gt=0, le=1)


class Sweep(Section):
    """Tuning of each selector by itself, with equal numbers of trials."""

    seeds: tuple[Seed, ...] = setting(
        ..., "of the trials; none may be one of the study's `seeds`", unit="list", min_length=1
    )
    trials: int = setting(..., "trials of each selector", unit="trials", ge=1)
    per_round: int = setting(
        8, "trials that are suggested at once, and so can be run side by side", unit="trials", ge=1
    )
    sampler: Sampler = setting(
        "tpe",
        "how values are suggested, by Optuna: `tpe` (tree-structured Parzen estimator), `random`, "
        "`grid` (every combination, in an order of its own), `cmaes`, `qmc` (a Sobol sequence)",
        unit="name",
    )
    seed: Seed = setting(0, "of the sampler")
    space: dict[str, Dimension] = setting(
        ...,
        "`<section>.<setting>` to the values it may take: `{low: 1e-5, high: 1e-2, log: true}`, "
        "`{low: 2, high: 8, step: 2}`, `{choices: [[64, 64], [256, 256]]}`; "
        "`selection.<part>.<setting>` for those of a selector. `selectors: [...]` limits one to "
        "the selectors that have it",
        unit="mapping",
        min_length=1,
    )
    objective: Objective = setting(Objective(), "what is maximised")
    halving: tuple[Rung, ...] = setting(
        (),
        "stages of each round, as in `[{seeds: 2, steps: 0.5}, {seeds: 2}, {seeds: 4}]`: the "
        "better share of the trials goes on to the next",
        unit="list of `{seeds, steps}`",
        shown="one stage, all seeds",
    )
    keep: float = setting(
        0.5, "share of a stage's trials that goes on to the next", unit="share", gt=0, lt=1
    )

    @field_validator("halving")
    @classmethod
    def _grows(cls, rungs: tuple[Rung, ...]) -> tuple[Rung, ...]:
        for one, other in pairwise(rungs):
            if (other.seeds, other.steps) <= (one.seeds, one.steps) or other.steps < one.steps:
                raise ValueError(
                    "each stage must have more seeds or longer runs than the one before"
                )
        if rungs and rungs[-1].steps < 1:
            raise ValueError("the runs of the last stage must have all `total_steps` (`steps: 1`)")
        return rungs

    @model_validator(mode="after")
    def _seeds_suffice(self) -> "Sweep":
        for i, seed in enumerate(self.seeds):
            if seed in self.seeds[:i]:
                raise ValueError(f"seeds: {seed} is listed twice")
        for rung in self.halving:
            if rung.seeds > len(self.seeds):
                raise ValueError(
                    f"halving: asks for {rung.seeds} seeds, and there are {len(self.seeds)}"
                )
        return self

    @property
    def rounds(self) -> int:
        """The last may have fewer trials than the others."""
        return math.ceil(self.trials / self.per_round)

    def space_of(self, selector: str) -> dict[str, Dimension]:
        """The settings that are tuned for a selector."""
        return {
            key: dimension
            for key, dimension in self.space.items()
            if dimension.selectors is None or selector in dimension.selectors
        }


@dataclass(frozen=True)
class Stage:
    """Trials of one round that are run with the same seeds and length."""

    round: int
    """Counted from 1."""
    rung: int
    """Counted from 0; the trials of later ones are chosen from those of the one before."""
    size: int
    """How many trials there are."""
    first: int
    """The number of the round's first trial."""
    seeds: tuple[int, ...]
    """Every seed that its trials have runs of."""
    new_seeds: tuple[int, ...]
    """Those that it adds; the runs of the others are those of the stages before."""
    steps: float
    """Length of the runs as a share of the study's."""

    @property
    def name(self) -> str:
        """As in folders: `round-02`, and `round-02-rung-1` for what goes on."""
        return f"round-{self.round:02d}" + (f"-rung-{self.rung}" if self.rung else "")

    def folder(self, slot: int) -> str:
        """The folder of the runs of one of its trials: of its own, or of one that goes on."""
        return f"trial-{self.first + slot:03d}" if self.rung == 0 else f"place-{slot + 1}"


def stages(sweep: Sweep) -> list[Stage]:
    """Every stage of a sweep, in order. The number of trials never changes earlier rounds."""
    rungs = sweep.halving or (Rung(seeds=len(sweep.seeds)),)
    found = []
    for number in range(sweep.rounds):
        first = number * sweep.per_round
        size = min(sweep.per_round, sweep.trials - first)
        done = 0
        for i, rung in enumerate(rungs):
            if i:
                size = math.ceil(size * sweep.keep)
                if rung.steps != rungs[i - 1].steps:
                    done = 0  # runs of another length are other runs
            seeds = sweep.seeds[: rung.seeds]
            found.append(Stage(number + 1, i, size, first, seeds, seeds[done:], rung.steps))
            done = rung.seeds
    return found


def tree(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by dotted keys as nested mappings: what a study file would say."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        *sections, name = key.split(".")
        inner = found
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[name] = list(value) if isinstance(value, tuple) else value
    return found
