"""What a study may say about tuning, and the stages that follow from it."""

import itertools
from copy import deepcopy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_study import TINY

from active_rlhf.study.loading import load_study, resolve_run, stored_study
from active_rlhf.study.matrix import methods, study_runs
from active_rlhf.study.messages import ConfigError
from active_rlhf.study.sweep import Sweep, stages, tree
from active_rlhf.study.tuning import identity, own_values, trial_specs, tuned_study

SWEEPS = sorted((Path(__file__).parents[2] / "config/sweeps").glob("*.yaml"))
SWEEP = {
    "seeds": [101, 102],
    "trials": 8,
    "per_round": 4,
    "space": {
        "reward_model.learning_rate": {"low": 1e-5, "high": 1e-2, "log": True},
        "reward_model.epochs": {"low": 1, "high": 8},
        "reward_model.hidden": {"choices": [[16, 16], [32, 32]]},
        "selection.picker.beta": {"low": 0.1, "high": 0.9, "selectors": ["hybrid"]},
    },
}
STUDY = TINY | {"evaluation": {"every": 4096, "episodes": 10}}


def swept(sweep=(), space=(), **changes):
    own = deepcopy(SWEEP) | dict(sweep)
    own["space"] = {**own["space"], **dict(space)}
    return load_study("study.yaml", data=STUDY | {"sweep": own} | changes)


def test_whole_numbers_are_tried_where_a_setting_takes_no_others():
    study = swept()
    assert {key: one.whole for key, one in study.sweep.space.items()} == {
        "reward_model.learning_rate": False,
        "reward_model.epochs": True,
        "reward_model.hidden": None,
        "selection.picker.beta": False,
    }
    assert load_study("stored.yaml", data=study.as_dict()) == study == stored_study(study.as_dict())


def of(key, **dimension):
    return {"space": {key: dimension}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sweep": {"seeds": [101, 2]}}, "sweep.seeds[1]: 2 is one of the study's seeds"),
        ({"sweep": {"seeds": [101, 101]}}, "seeds: 101 is listed twice"),
        ({"sweep": {"trials": 0}}, "sweep.trials: must be at least 1, not 0"),
        ({"sweep": {"sampler": "bayes"}}, "sweep.sampler: must be one of tpe, random, grid, "),
        ({"sweep": {"sampler": "grid"}}, "learning_rate: a grid needs a `step` or `choices`"),
        ({"sweep": {"sampler": "cmaes"}}, "hidden: cmaes takes numbers only; use tpe or random"),
        ({"sweep": {"halving": [{"seeds": 2}, {"seeds": 1}]}}, "each stage must have more seeds"),
        ({"sweep": {"halving": [{"seeds": 3}]}}, "halving: asks for 3 seeds, and there are 2"),
        ({"sweep": {"halving": [{"seeds": 1, "steps": 0.5}]}}, "must have all `total_steps`"),
        (
            {"sweep": {"halving": [{"seeds": 1, "steps": 0.2}, {"seeds": 1}]}},
            "sweep.halving[0].steps: 0.2: ",
        ),
        (of("reward_model.learning_rate", low=-1, high=1), "learning_rate: -1.0: must be more th"),
        (of("reward_model.learning_rat", low=1, high=2), "unknown setting of mlp 'learning_rat'"),
        (of("reward_model.epochs", low=1.5, high=4), "epochs: 1.5: must be a whole number"),
        (of("reward_model.epochs", low=1, high=4, step=1.5), "takes whole numbers only"),
        (of("reward_model.epochs", low=4, high=1), "epochs: low = 4 is not below high = 1"),
        (of("reward_model.epochs", low=1), "epochs: must have `low` and `high`, or `choices`"),
        (of("reward_model.epochs", low=0, high=4, log=True), "`log` needs values above 0"),
        (of("reward_model.epochs", choices=[1, 2], log=True), "has `choices`, so nothing else but"),
        (of("reward_model.epochs", choices=[1, 1]), "`choices` lists a value twice"),
        (of("reward_model.epochs", choices=[1, 2], selectors=["duo"]), "unknown selector 'duo'"),
        (of("reward_model.name", choices=["mlp", "cnn"]), "names a part; list its alternatives as"),
        (of("labels.total", low=4, high=8), "labels.total: decides what a run is given or measur"),
        (of("teacher.name", choices=["oracle", "skip"]), "must be one of agent.<setting>, labels"),
        (
            of("selection.picker.q_min", low=0.1, high=0.9),
            "random: unknown setting 'q_min': there are none; limit it: selectors: ['hybrid']",
        ),
        (
            of("vae.latent", low=2, high=4),
            "vae.latent: random does not use it; limit it: selectors: ['hybrid']",
        ),
        (of("agent.minibatches", low=3, high=4), "agent.minibatches: 3: 3 does not divide"),
        ({"environments": ["Hopper-v5", "Ant-v5"]}, "objective: returns of several environments"),
        ({"evaluation": {"episodes": 3}}, "objective.endpoint: evaluation takes at least 10"),
        ({"variants": {"base": {}, "skip": {"teacher": "skip"}}}, "variants: a sweep compares its"),
    ],
)
def test_a_sweep_that_would_cheat_or_cannot_work_is_refused(changes, message):
    with pytest.raises(ConfigError) as error:
        swept(**changes)
    assert message in str(error.value) and str(error.value).startswith("study.yaml: ")


def test_more_trials_than_there_are_values_are_refused():
    space = {"reward_model.epochs": {"choices": [1, 2, 3]}}
    for sampler in ("grid", "tpe"):
        sweep = SWEEP | {"space": space, "sampler": sampler, "trials": 4}
        with pytest.raises(ConfigError, match="4 is more than the 3 choices of random"):
            load_study("study.yaml", data=STUDY | {"sweep": sweep})
    only_hybrid = {"selection.picker.beta": SWEEP["space"]["selection.picker.beta"]}
    with pytest.raises(ConfigError, match="random has nothing to tune; every selector is tuned"):
        load_study("study.yaml", data=STUDY | {"sweep": SWEEP | {"space": only_hybrid}})


@given(
    trials=st.integers(1, 60),
    more=st.integers(0, 30),
    per_round=st.integers(1, 12),
    rungs=st.lists(st.integers(1, 6), min_size=1, max_size=3, unique=True).map(sorted),
    keep=st.floats(0.1, 0.9),
)
def test_stages_use_every_seed_once_and_more_trials_leave_the_earlier_ones_alone(
    trials, more, per_round, rungs, keep
):
    def plan(number):
        return stages(
            Sweep(
                seeds=tuple(range(6)),
                trials=number,
                per_round=per_round,
                space={"agent.clip": {"low": 0.1, "high": 0.2}},
                halving=[{"seeds": seeds} for seeds in rungs],
                keep=keep,
            )
        )

    found = plan(trials)
    first_ones = [stage for stage in found if stage.rung == 0]
    numbers = [stage.first + slot for stage in first_ones for slot in range(stage.size)]
    assert numbers == list(range(trials))
    for number in {stage.round for stage in found}:
        own = [stage for stage in found if stage.round == number]
        assert (
            sum((stage.new_seeds for stage in own), ()) == own[-1].seeds == tuple(range(rungs[-1]))
        )
        assert all(0 < b.size <= a.size for a, b in itertools.pairwise(own))
    whole = [stage for stage in found if stage.first + per_round <= trials]
    assert whole == plan(trials + more)[: len(whole)]


def test_trials_are_runs_of_the_study_with_other_values_and_seeds():
    study = swept()
    (own,) = trial_specs(study, "hybrid", {})
    assert own == resolve_run(study, "Hopper-v5", "hybrid", 1)
    values = {"reward_model.epochs": 3, "selection.picker.beta": 0.25}
    (other,) = trial_specs(study, "hybrid", values, steps=0.5)
    assert other.reward_model.settings["epochs"] == 3 and other.selection.picker.beta == 0.25
    assert (other.total_steps, own.total_steps) == (2048, 4096)
    assert own_values(study, "random") == {
        "reward_model.learning_rate": own.reward_model.settings["learning_rate"],
        "reward_model.epochs": 1,
        "reward_model.hidden": [16, 16],
    }


def test_the_test_has_default_and_tuned_settings_on_the_studys_own_seeds():
    study = swept()
    values = {"reward_model.epochs": 3}
    choices = {"best": {"random": values, "hybrid": values}, "typical": {"random": {}}}
    tested = tuned_study(study, choices)
    assert methods(tested) == ["random", "hybrid", "random@best", "hybrid@best"]
    assert {seed for *_, seed in study_runs(tested)} == {1, 2}
    assert resolve_run(tested, "Hopper-v5", "random@best", 1).reward_model.settings["epochs"] == 3
    assert tested.sweep == study.sweep and identity(tested) == identity(study)
    assert load_study("stored.yaml", data=tested.as_dict()) == tested
    assert identity(swept({"trials": 9})) != identity(study) != identity(swept(total_steps=8192))


def test_values_by_dotted_keys_are_a_study_files_mappings():
    assert tree({"a.b.c": 1, "a.b.d": (2, 3), "e.f": "x"}) == {
        "a": {"b": {"c": 1, "d": [2, 3]}},
        "e": {"f": "x"},
    }


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_the_sweeps_that_come_with_the_package_load(path):
    study = load_study(path)
    assert study.study == path.stem and len(study.sweep.seeds) == 4
    # What was tuned before is where a sweep begins.
    (environment,) = study.environments.values()
    assert environment.agent.settings["value_coefficient"] == 0.55
