"""The probe set: what it shows, that it is the same for all, and that measuring changes nothing."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from tiny_study import small

from active_rlhf.errors import InputError
from active_rlhf.files import sha256
from active_rlhf.rewards import measures
from active_rlhf.rewards.probe import ProbeSet
from active_rlhf.run.probe import make
from active_rlhf.run.training import Stopped, train
from active_rlhf.study.loading import load_study, resolve_run
from active_rlhf.study.probes import probe_for, probe_name, probe_of, probes

STUDY = small(
    seeds=[1, 2],
    environments=["Pendulum-v1"],
    selectors=["random", "duo"],
    total_steps=24 * 64,
    agent={"epochs": 1, "hidden": [8]},
    labels={"total": 30, "initial": 10, "sessions": 5, "probe_pairs": 40}
    | {"validation_fraction": 0.2},
    evaluation={"every": 640},
)


def study(**changes):
    return load_study("small.yaml", data=STUDY | changes)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("probes") / "Pendulum-v1.npz"
    make(probe_for(study(), "Pendulum-v1", "duo"), path)
    return path


def test_it_shows_random_and_learning_behaviour_in_equal_parts(made):
    with np.load(made) as file:
        shown = dict(file)
    assert shown["observations"].shape == (40, 2, 20, 3) and shown["returns"].shape == (40, 2)
    assert np.bincount(shown["source"].ravel()).tolist() == [20, 20, 20, 20]
    assert (shown["source"][:, 0] != shown["source"][:, 1]).mean() > 0.5  # paired at random
    # Pendulum's reward is a function of observation and torque: the returns are those of what is
    # shown (torque is clipped to 2).
    angle = np.arctan2(shown["observations"][..., 1], shown["observations"][..., 0])
    torque = np.clip(shown["actions"][..., 0], -2, 2)
    costs = angle**2 + 0.1 * shown["observations"][..., 2] ** 2 + 0.001 * torque**2
    np.testing.assert_allclose(shown["returns"], -costs.sum(-1), rtol=1e-4)


def test_it_is_the_same_for_all_selectors_seeds_and_teachers(made, tmp_path):
    asked = {
        json.dumps(probe_of(resolve_run(of, "Pendulum-v1", selector, seed)).as_dict())
        for of in (study(), study(seeds=[7, 8], teacher="mistake"))
        for selector in ("random", "duo")
        for seed in of.seeds
    }
    assert len(asked) == 1
    make(probe_of(resolve_run(study(seeds=[9]), "Pendulum-v1", "duo", 9)), tmp_path / "again.npz")
    assert sha256(tmp_path / "again.npz") == sha256(made)
    other = study(labels=STUDY["labels"] | {"probe_seed": 1})
    make(probe_for(other, "Pendulum-v1", "duo"), tmp_path / "other.npz")
    assert sha256(tmp_path / "other.npz") != sha256(made)


def test_one_that_was_stopped_goes_on_and_gives_the_same_bytes(made, tmp_path):
    spec, path = probe_for(study(), "Pendulum-v1", "duo"), tmp_path / "cut.npz"
    looks = iter([False] * 10)
    with pytest.raises(Stopped, match="goes on from step 640"):
        make(spec, path, stopping=lambda: next(looks, True))
    assert not path.exists()
    make(spec, path, stopping=lambda: False)
    assert sha256(path) == sha256(made)
    assert {file.name for file in tmp_path.iterdir()} == {"cut.npz", "cut.json"}
    before = path.stat().st_mtime_ns
    make(spec, path)
    assert path.stat().st_mtime_ns == before


def test_variants_share_it_unless_they_change_what_it_shows():
    variants = {
        "base": {},
        "mistake": {"teacher": "mistake"},
        "slow": {"agent": {"learning_rate": 1e-5}},
        "short": {"labels": {"segment_length": 10}},
        "shorter": {"labels": {"segment_length": 10, "total": 20}},
        "heavy": {"options": {"g": 20.0}},
    }
    of = study(variants=variants)
    names = {
        v: probe_name(of, "Pendulum-v1", "duo" if v == "base" else f"duo@{v}") for v in variants
    }
    assert names == {
        **dict.fromkeys(("base", "mistake", "slow"), "Pendulum-v1"),
        **dict.fromkeys(("short", "shorter"), "Pendulum-v1@short"),
        "heavy": "Pendulum-v1@heavy",
    }
    sets = probes(of)
    assert list(sets) == ["Pendulum-v1", "Pendulum-v1@short", "Pendulum-v1@heavy"]
    assert sets["Pendulum-v1@heavy"].options == {"g": 20.0}
    assert sets["Pendulum-v1@short"].segment_length == 10
    assert probes(study(selectors=["true_reward"])) == {}


def test_it_changes_nothing_but_its_own_columns(made, tmp_path):
    spec = resolve_run(study(), "Pendulum-v1", "duo", 1)
    train(spec, tmp_path / "without")
    train(spec, tmp_path / "with", probe=made)
    for name in ("episodes.csv", "evaluations.csv", "labels.npz"):
        assert (tmp_path / "with" / name).read_bytes() == (tmp_path / "without" / name).read_bytes()
    for name in ("policy", "reward_model"):
        a, b = (tmp_path / run / f"{name}.safetensors" for run in ("with", "without"))
        assert a.read_bytes() == b.read_bytes()
    tables = [pd.read_csv(tmp_path / run / "sessions.csv") for run in ("with", "without")]
    measured = [name for name in tables[0] if name.startswith("probe_")]
    assert len(measured) == 4 and tables[0][measured].notna().all(axis=None)
    assert tables[1][measured].isna().all(axis=None)
    pd.testing.assert_frame_equal(*(table.drop(columns=measured) for table in tables))
    results = [json.loads((tmp_path / run / "run.json").read_text()) for run in ("with", "without")]
    assert [result.get("probe") for result in results] == [sha256(made), None]


def test_measures_are_of_the_models_preferences_and_returns():
    """A model that predicts rewards by the first entry of an action."""
    generator = np.random.default_rng(0)
    actions = generator.normal(size=(50, 2, 4, 1)) / 4
    returns = actions.sum((-1, -2)) + generator.normal(size=(50, 2))
    model = SimpleNamespace(
        member_rewards=lambda observations, actions: np.stack([actions[..., 0]] * 2),
        combined=lambda members: members.mean(0),
    )
    probe = ProbeSet(np.zeros((50, 2, 4, 3)), actions, returns, "")
    predicted = actions.sum((-1, -2))
    p = 1 / (1 + np.exp(predicted[:, 1] - predicted[:, 0]))
    right = (returns[:, 0] > returns[:, 1]).astype(float)
    assert probe.measured(model) == pytest.approx(
        {
            "probe_accuracy": ((p > 0.5) == right).mean(),
            "probe_loss": measures.cross_entropy(p, right),
            "probe_calibration": measures.calibration_error(p, right),
            "probe_correlation": measures.rank_correlation(predicted.ravel(), returns.ravel()),
        }
    )


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.write_bytes(b"PK\3\4 no archive"), "not a probe set"),
        (lambda path: np.savez(path, actions=np.zeros(3)), "not a probe set"),
    ],
)
def test_files_that_are_no_probe_set_are_refused_by_name(tmp_path, write, message):
    write(tmp_path / "p.npz")
    with pytest.raises(InputError, match=f"p.npz: {message}"):
        ProbeSet.load(tmp_path / "p.npz")


def test_a_probe_set_of_other_segments_is_refused(made, tmp_path):
    spec = resolve_run(
        study(labels=STUDY["labels"] | {"segment_length": 10}), "Pendulum-v1", "duo", 1
    )
    with pytest.raises(InputError, match=r"segments of 20 steps, .*; this run needs 10"):
        train(spec, tmp_path, probe=made)


def test_an_environment_whose_episodes_are_too_short_is_refused(tmp_path):
    labels = STUDY["labels"] | {"sessions": 2, "segment_length": 10}
    agent = STUDY["agent"] | {"rollout_steps": 512}
    changes = {"environments": ["CartPole-v1"], "total_steps": 1024, "labels": labels}
    spec = probe_for(study(**changes, agent=agent), "CartPole-v1", "random")
    with pytest.raises(InputError, match=r"no episode .* CartPole-v1 is as long as 400 steps"):
        make(spec.model_copy(update={"segment_length": 400}), tmp_path / "p.npz")
