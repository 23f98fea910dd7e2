"""Sweeps of which nothing was trained: real suggestions, and returns that a formula gives."""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from synthetic import runs

from active_rlhf.analysis.study import statistics
from active_rlhf.analysis.variants import across, joined
from active_rlhf.analysis.wording import Terms
from active_rlhf.study.sweep import Sweep, stages
from active_rlhf.tuning.choice import Choice, chosen, variants
from active_rlhf.tuning.outcome import outcome
from active_rlhf.tuning.records import Result
from active_rlhf.tuning.suggest import suggested
from active_rlhf.tuning.tables import importance_table, trials_table

ENVS = ["Hopper-v5", "Ant-v5"]
SPACE: dict[str, Any] = {
    "agent.learning_rate": {"low": 1e-5, "high": 1e-2, "log": True, "whole": False},
    "agent.hidden": {"choices": [[64, 64], [256, 256, 256]]},
    "reward_model.learning_rate": {"low": 2e-4, "high": 9e-4, "log": True, "whole": False},
    "reward_model.members": {"low": 2, "high": 8, "whole": True},
    "labels.segment_length": {"choices": [25, 50, 75, 100]},
    "vae.kl_weight": {"low": -1, "high": 1, "whole": False},
    "selection.picker.beta": {"low": 0.1, "high": 0.9, "whole": False, "selectors": ["hybrid"]},
    "selection.picker.a_setting_with_a_long_name": {"low": 1, "high": 2, "whole": False},
    "agent.truncation": {"choices": ["bootstrap", "terminate", "ignored"]},
    "agent.anneal": {"choices": [True, False]},
}
OWN = {
    "agent.learning_rate": 3e-4,
    "agent.hidden": [64, 64],
    "reward_model.learning_rate": 3e-4,
    "reward_model.members": 3,
    "labels.segment_length": 50,
    "vae.kl_weight": 0.0,
    "selection.picker.beta": 0.5,
    "selection.picker.a_setting_with_a_long_name": 1.5,
    "agent.truncation": "bootstrap",
    "agent.anneal": True,
}


@dataclass
class Tuned:
    """A sweep and all that is known after it; names: selector -> its name in tables."""

    sweep: Sweep
    choices: Mapping[str, Choice]
    trials: pd.DataFrame
    summary: pd.DataFrame
    variants: pd.DataFrame
    outcome: pd.DataFrame
    names: Mapping[str, str]
    terms: Terms
    histories: Mapping[str, Any]

    @functools.cached_property
    def importance(self) -> pd.DataFrame:
        return importance_table(self.sweep, self.histories)


def worth(values: Mapping[str, Any], seed: int) -> float:
    """Best at a learning rate of 3e-3 and, where there is one, a beta of 0.8."""
    rate = math.log10(values["agent.learning_rate"]) + 2.5
    noise = np.random.default_rng([seed, int(1e6 * values["agent.learning_rate"])]).normal()
    beta = values.get("selection.picker.beta", 0.8)
    return float(1000 - 800 * rate**2 - 800 * (beta - 0.8) ** 2 + 20 * noise)


def tuned(
    names: Mapping[str, str],
    settings: int = len(SPACE),
    trials: int = 24,
    envs: int = 1,
    seeds: int = 6,
    gain: float = 3.0,
    default_is_best: bool = False,
    **changes: Any,
) -> Tuned:
    """A sweep of some settings and the test of what it led to, in which tuned settings are better
    by `gain` tenths of a run's spread."""
    space = dict(list(SPACE.items())[:settings])
    if "hybrid" not in names:
        space.pop("selection.picker.beta", None)
    given = {"seeds": (101, 102), "trials": trials, "space": space, "sampler": "random"}
    given["objective"] = {"endpoint": "final"}
    sweep = Sweep.model_validate(given | changes)
    histories, choices = {}, {}
    for selector in names:
        own = {key: OWN[key] for key in sweep.space_of(selector)}
        history: list[Any] = []
        for stage in stages(sweep):
            content = suggested(
                sweep, selector, stage, history, lambda values: {"Hopper-v5": {}}, own, "code"
            )
            results = []
            for trial in content.trials:
                scores = [worth(trial.values, seed) for seed in stage.seeds]
                if default_is_best and trial.number == 0:
                    scores = [2000.0 for _ in scores]
                rows = [
                    ("Hopper-v5", seed, score, score)
                    for seed, score in zip(stage.seeds, scores, strict=True)
                ]
                results.append(Result(trial.number, float(np.mean(scores)), rows))
            history.append((stage, content, results))
        histories[selector] = history
        choices[selector] = chosen(sweep, selector, history, own)
    table = trials_table(sweep, histories)
    within = {}
    for i, name in enumerate(("default", "best", "typical")):
        changed = variants(choices).get(name, {})
        kept = [names[one] for one in names if name == "default" or changed.get(one)]
        if kept:
            frame = runs(kept, ENVS[:envs], seeds)
            noise = np.random.default_rng(i).normal(size=len(frame))
            frame["return"] += (gain * (i > 0) + noise) * frame["return"].std() / 10
            within[name] = statistics(frame, resamples=100)
    frames = joined(within)
    summary, tests = frames["summary"], across(frames["endpoints"], resamples=100)
    terms = Terms(methods=tuple(names.values()))
    return Tuned(
        sweep,
        choices,
        table,
        summary,
        tests,
        outcome(sweep, choices, table, summary, tests, names, terms.endpoint),
        names,
        terms,
        histories,
    )
