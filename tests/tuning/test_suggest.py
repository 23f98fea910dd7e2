"""Which trials come next."""

import json
import math
from pathlib import Path

import optuna
import pytest

from active_rlhf.errors import InputError
from active_rlhf.study.messages import ConfigError
from active_rlhf.study.sweep import Sweep, stages
from active_rlhf.tuning.choice import chosen
from active_rlhf.tuning.records import Result, read_stage, write_stage
from active_rlhf.tuning.suggest import suggested
from active_rlhf.tuning.tables import importance_table, runs_table, trials_table, write_journal

NUMBERS = {
    "agent.clip": {"low": 0.1, "high": 0.9, "whole": False},
    "agent.learning_rate": {"low": 1e-5, "high": 1e-1, "log": True, "whole": False},
    "agent.epochs": {"low": 1, "high": 40, "whole": True},
}
MIXED = NUMBERS | {"agent.hidden": {"choices": [[8, 8], [16, 16]]}}
GRID = {
    "agent.clip": {"low": 0.1, "high": 0.5, "step": 0.1, "whole": False},
    "agent.epochs": {"low": 1, "high": 4, "whole": True},
}
SPACES = {"tpe": MIXED, "random": MIXED, "cmaes": NUMBERS, "qmc": NUMBERS, "grid": GRID}
DEFAULT = {"agent.clip": 0.2, "agent.learning_rate": 3e-4, "agent.epochs": 10}


def sweep_of(sampler, trials=20, **changes):
    given = {"seeds": (1, 2), "trials": trials, "per_round": 4, "space": SPACES[sampler]}
    return Sweep.model_validate({**given, "sampler": sampler, **changes})


def worth(values):
    """Largest at clip .3 and a learning rate of 1e-3; epochs do not matter."""
    rate = math.log10(values.get("agent.learning_rate", 1e-3)) + 3
    return -((values["agent.clip"] - 0.3) ** 2) - 0.05 * rate**2


def run(sweep, folder, default=None, resolve=lambda values: {"Hopper-v5": dict(values)}):
    """A whole sweep whose trials are worth what a formula says, through its files."""
    history = []
    for stage in stages(sweep):
        content = suggested(sweep, "duo", stage, history, resolve, default, "code")
        write_stage(content, folder / f"{stage.name}.json")
        content = read_stage(folder / f"{stage.name}.json")
        runs = [("Hopper-v5", seed, 0.0, 0.0) for seed in stage.seeds]
        results = [Result(t.number, worth(t.values), runs) for t in content.trials]
        history.append((stage, content, results))
    return history


def values_of(history):
    return [t.values for stage, content, _ in history for t in content.trials if not stage.rung]


@pytest.mark.parametrize("sampler", SPACES)
def test_suggestions_repeat_to_the_byte_and_go_on_where_a_shorter_sweep_ended(sampler, tmp_path):
    folders = [tmp_path / name for name in ("one", "again", "longer")]
    trials = [18, 18, 20]
    found = [
        values_of(run(sweep_of(sampler, number), folder))
        for number, folder in zip(trials, folders, strict=True)
    ]
    for path in folders[0].iterdir():
        assert path.read_bytes() == (folders[1] / path.name).read_bytes()
    assert found[0] == found[2][:18]
    assert len({json.dumps(values, sort_keys=True) for values in found[2]}) == 20, "tried twice"
    for key, given in SPACES[sampler].items():
        for values in found[2]:
            low, high = given.get("low", 0), given.get("high", 0)
            assert (
                values[key] in given["choices"]
                if "choices" in given
                else (low <= values[key] <= high and (not given["whole"] or values[key] % 1 == 0))
            )
    if sampler == "grid":
        points = {(round(v["agent.clip"], 9), v["agent.epochs"]) for v in found[2]}
        assert points == {(c / 10, e) for c in range(1, 6) for e in range(1, 5)}


def test_the_studys_own_values_are_the_first_trial_if_they_are_in_the_space(tmp_path):
    default = DEFAULT | {"agent.hidden": [16, 16]}
    assert values_of(run(sweep_of("tpe"), tmp_path, default))[0] == default
    outside = default | {"agent.clip": 0.95}
    found = values_of(run(sweep_of("tpe"), tmp_path, outside))
    assert outside not in found and found == values_of(run(sweep_of("tpe"), tmp_path))


def test_tpe_comes_closer_to_the_best_than_random_draws(tmp_path):
    def best(sampler, seed):
        space = {key: NUMBERS[key] for key in ("agent.clip", "agent.learning_rate")}
        history = run(sweep_of(sampler, 48, seed=seed, space=space), tmp_path)
        return max(result.value for *_, results in history for result in results)

    tpe, random = ([best(name, seed) for seed in range(5)] for name in ("tpe", "random"))
    assert sum(tpe) > sum(random)


def test_the_better_half_of_a_stage_goes_on(tmp_path):
    sweep = sweep_of("random", 12, halving=[{"seeds": 1}, {"seeds": 2}], per_round=5)
    history = run(sweep, tmp_path)
    assert [len(content.trials) for _, content, _ in history] == [5, 3, 5, 3, 2, 1]
    for (_, before, results), (_, after, _) in zip(history[::2], history[1::2], strict=True):
        ranked = sorted(results, key=lambda result: -result.value)
        expected = sorted(result.trial for result in ranked[: len(after.trials)])
        assert [trial.number for trial in after.trials] == expected
        known = {trial.number: trial.values for trial in before.trials}
        assert all(trial.values == known[trial.number] for trial in after.trials)

    table = trials_table(sweep, {"duo": history})
    assert list(table["trial"]) == list(range(12)) and table["complete"].sum() == 7
    assert list(table["runs"]) == [2 if complete else 1 for complete in table["complete"]]
    assert len(runs_table({"duo": history})) == 12 + 7
    choice = chosen(sweep, "duo", history, None)
    complete = table[table["complete"]]
    assert choice.best == complete.loc[complete["value"].idxmax(), "trial"]


def test_values_that_do_not_work_together_are_passed_over_and_listed(tmp_path):
    def resolve(values):
        if values["agent.clip"] > 0.4:
            raise ConfigError("too much")
        return {"Hopper-v5": {}}

    history = run(sweep_of("random"), tmp_path, resolve=resolve)
    assert len(values_of(history)) == 20
    assert all(values["agent.clip"] <= 0.4 for values in values_of(history))
    refused = [one for _, content, _ in history for one in content.refused]
    assert refused and all(one["values"]["agent.clip"] > 0.4 for one in refused)
    with pytest.raises(InputError, match="duo: no values are left that are new and work together"):
        run(sweep_of("grid"), tmp_path, None, resolve)


def test_the_journal_and_the_importances_are_optunas_own(tmp_path):
    sweep = sweep_of("random", 24, halving=[{"seeds": 1}, {"seeds": 2}])
    histories = {name: run(sweep, tmp_path / name) for name in ("duo", "hybrid")}
    path = tmp_path / "journal.log"
    write_journal("study", sweep, histories, path)
    backend = optuna.storages.journal.JournalFileBackend(str(path))
    storage = optuna.storages.JournalStorage(backend)
    assert optuna.get_all_study_names(storage) == ["study/duo", "study/hybrid"]
    loaded = optuna.load_study(study_name="study/duo", storage=storage)
    table = trials_table(sweep, histories).query("selector == 'duo'")
    assert [trial.value for trial in loaded.trials] == list(table["value"])
    states = [trial.state.name == "COMPLETE" for trial in loaded.trials]
    assert states == list(table["complete"])
    assert loaded.best_trial.number == chosen(sweep, "duo", histories["duo"], None).best

    found = importance_table(sweep, histories).query("selector == 'duo' and measure == 'fanova'")
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    # By what all trials were worth in the first stage.
    first = optuna.create_study(direction="maximize")
    for trial in loaded.trials:
        value, given = trial.intermediate_values[0], (trial.params, trial.distributions)
        first.add_trial(
            optuna.trial.create_trial(value=value, params=given[0], distributions=given[1])
        )
    expected = optuna.importance.get_param_importances(first, evaluator=evaluator)
    assert set(found["trials"]) == {24}
    assert dict(zip(found["setting"], found["importance"], strict=True)) == pytest.approx(expected)
    assert set(found["setting"].iloc[:2]) == {"agent.clip", "agent.learning_rate"}


def test_a_damaged_stage_is_named(tmp_path):
    path = Path(tmp_path / "round-01.json")
    path.write_text('{"trials": 3}')
    with pytest.raises(InputError, match=r"round-01\.json: is not the file of a stage"):
        read_stage(path)
