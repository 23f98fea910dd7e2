"""Which settings a sweep leads to: those of the best trial, and those typical of the best tenth.

The second is the rule of the thesis (Kuen, 2025): the median of each number and the mode of each
other setting, over the tenth of the trials with the highest objective.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from active_rlhf.errors import InputError, line
from active_rlhf.files import atomic
from active_rlhf.study.settings import Study
from active_rlhf.study.sweep import Dimension, Sweep
from active_rlhf.study.tuning import identity, tuned_study
from active_rlhf.tuning.records import History

TOP = 0.1  # share of the trials that the typical values are of


@dataclass(frozen=True)
class Choice:
    """What a sweep says of one selector."""

    trials: int
    best: int
    """The number of the best trial."""
    value: float
    """Its objective."""
    top: Sequence[int]
    """The best tenth, best first."""
    own: Mapping[str, Any] | None
    """The study's own values, if they are the same in all environments."""
    values: Mapping[str, Mapping[str, Any]]
    """By variant: `best` and `typical`."""


def chosen(sweep: Sweep, selector: str, history: History, own: Mapping[str, Any] | None) -> Choice:
    """The choice from a whole sweep.

    Only trials that went through every stage are considered; of equal ones the earlier is better.
    """
    last = max(stage.rung for stage, _, _ in history)
    found = [result for stage, _, results in history if stage.rung == last for result in results]
    ranked = sorted(found, key=lambda result: (-result.value, result.trial))
    values = {trial.number: trial.values for _, content, _ in history for trial in content.trials}
    top = [result.trial for result in ranked[: max(1, int(TOP * len(values)))]]
    best = ranked[0]
    typical = typical_values(sweep.space_of(selector), [values[number] for number in top])
    return Choice(
        len(values),
        best.trial,
        best.value,
        top,
        own,
        {"best": values[best.trial], "typical": typical},
    )


def typical_values(
    space: Mapping[str, Dimension], best: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Median of numbers and mode of choices, over trials that are ordered best first.

    A median between two values goes to the nearest one that a whole number or a step allows; of
    equally frequent choices the one that a better trial has is taken.
    """
    return {
        key: _typical(dimension, [values[key] for values in best])
        for key, dimension in space.items()
    }


def _typical(dimension: Dimension, values: Sequence[Any]) -> Any:
    if dimension.choices is not None:
        texts = [json.dumps(value) for value in values]
        return values[texts.index(Counter(texts).most_common(1)[0][0])]
    median = float(np.median(values))
    allowed = dimension.values
    return median if allowed is None else min(allowed, key=lambda value: abs(value - median))


def differing(values: Mapping[str, Any], own: Mapping[str, Any] | None) -> dict[str, Any]:
    """Those values that are not the study's own."""
    return {key: value for key, value in values.items() if own is None or own[key] != value}


def variants(choices: Mapping[str, Choice]) -> dict[str, dict[str, dict[str, Any]]]:
    """What the test compares with the default: variant -> selector -> values that differ from it.

    A selector has no typical settings of its own if they are those of its best trial.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {"best": {}, "typical": {}}
    for selector, choice in choices.items():
        best, typical = (differing(choice.values[name], choice.own) for name in found)
        found["best"][selector] = best
        found["typical"][selector] = typical if typical != best else {}
    return found


def tuned(study: Study, results: Path) -> Study | None:
    """The study that tests what its sweep led to, None before its end.

    results: the study's folder. Raises InputError if what was chosen is damaged.
    """
    choices = read_choices(results / "sweep" / "choices.json", identity(study))
    return tuned_study(study, variants(choices)) if choices else None


def write_choices(made_for: str, choices: Mapping[str, Choice], path: str | Path) -> None:
    """Write what was chosen; the same sweep gives the same bytes. made_for: its `identity`."""
    content = {
        "made_for": made_for,
        "selectors": {name: vars(choice) for name, choice in choices.items()},
    }
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_choices(path: str | Path, made_for: str = "") -> dict[str, Choice] | None:
    """What was chosen, by selector; None if nothing was, or for another sweep than `made_for`.

    Raises InputError if the file is damaged.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        if made_for and content["made_for"] != made_for:
            return None
        return {name: Choice(**choice) for name, choice in content["selectors"].items()}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: is damaged ({line(error)}); delete it") from None
