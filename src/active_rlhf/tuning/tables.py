"""What a sweep's trials came to, as tables, as an Optuna journal, and how much settings matter."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, create_trial

from active_rlhf.files import atomic
from active_rlhf.study.sweep import Sweep
from active_rlhf.tuning.records import History
from active_rlhf.tuning.suggest import frozen_trials, parameters

EVALUATORS = ("fanova", "ped_anova")
FEWEST = 4  # trials without which nothing is said of importance


def trials_table(sweep: Sweep, histories: Mapping[str, History]) -> pd.DataFrame:
    """One row for each trial: `selector, trial, round, stage, runs, value, complete` and, under
    their own keys, the values it tried (lists as JSON texts).

    stage: the last one that it went to; complete: whether that is the round's last, so that it
    could be chosen; value: the objective there.
    """
    last = max(len(sweep.halving), 1) - 1
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    for selector, history in histories.items():
        values = {t.number: t.values for _, content, _ in history for t in content.trials}
        for stage, _, results in history:
            for result in results:
                rows[selector, result.trial] = {
                    "selector": selector,
                    "trial": result.trial,
                    "round": stage.round,
                    "stage": stage.name,
                    "runs": len(result.runs),
                    "value": result.value,
                    "complete": stage.rung == last,
                    **parameters(values[result.trial]),
                }
    frame = pd.DataFrame(list(rows.values()))
    return frame.sort_values(["selector", "trial"], kind="stable", ignore_index=True)


def runs_table(histories: Mapping[str, History]) -> pd.DataFrame:
    """One row for each run of a trial: `selector, trial, stage, environment, seed, return, score`.

    A run that counts in several stages is listed in the first.
    """
    rows: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for selector, history in histories.items():
        for stage, _, results in history:
            for result in results:
                for environment, seed, value, score in result.runs:
                    key = (selector, result.trial, stage.steps, environment, seed)
                    row = (selector, result.trial, stage.name, environment, seed, value, score)
                    rows.setdefault(key, row)
    names = ["selector", "trial", "stage", "environment", "seed", "return", "score"]
    return pd.DataFrame(list(rows.values()), columns=names)


def importance_table(sweep: Sweep, histories: Mapping[str, History]) -> pd.DataFrame:
    """How much each setting matters to the objective: `selector, measure, setting, importance,
    trials`.

    Importances of a selector and measure sum to 1. `fanova`: the share of the objective's variance
    that a setting explains alone or with others, by a random forest (Hutter, Hoos and
    Leyton-Brown, 2014); `ped_anova`: by how much the better trials' values are spread otherwise
    than all trials' (Watanabe, Bansal and Hutter, 2023). Of all trials, by their value in the first
    stage, where all have the same seeds and length: later ones hold only the better of them.
    Nothing is said of fewer than 4, or if all are equal.
    """
    evaluators = (FanovaImportanceEvaluator(seed=0), PedAnovaImportanceEvaluator())
    rows = []
    for selector, history in histories.items():
        study = optuna.create_study(direction="maximize")
        trials = frozen_trials(sweep, selector, history)
        study.add_trials([_in_first_stage(trial) for trial in trials])
        if len(trials) < FEWEST or len({t.intermediate_values[0] for t in trials}) == 1:
            continue
        for name, evaluator in zip(EVALUATORS, evaluators, strict=True):
            found = optuna.importance.get_param_importances(study, evaluator=evaluator)
            rows += [(selector, name, key, share, len(trials)) for key, share in found.items()]
    names = ["selector", "measure", "setting", "importance", "trials"]
    return pd.DataFrame(rows, columns=names)


def _in_first_stage(trial: FrozenTrial) -> FrozenTrial:
    value = trial.intermediate_values[0]
    return create_trial(value=value, params=trial.params, distributions=trial.distributions)


def write_journal(study: str, sweep: Sweep, histories: Mapping[str, History], path: Path) -> None:
    """Write all trials as an Optuna journal, which optuna-dashboard opens: a study for each
    selector, called `<study>/<selector>`."""
    with atomic(path) as temporary:
        storage = JournalStorage(JournalFileBackend(str(temporary)))
        for selector, history in histories.items():
            _study(sweep, selector, history, storage=storage, study_name=f"{study}/{selector}")


def _study(sweep: Sweep, selector: str, history: History, **options: Any) -> optuna.Study:
    study = optuna.create_study(direction="maximize", **options)
    study.add_trials(frozen_trials(sweep, selector, history))
    return study
