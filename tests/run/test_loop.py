"""Whole runs: what they write, that they learn, and that they depend on the spec alone."""

import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from active_rlhf.behaviour.ledger import Ledger
from active_rlhf.results.verify.consistency import faults
from active_rlhf.rewards import measures
from active_rlhf.run.directory import RunLocked, locked
from active_rlhf.run.saved import load_reward_model
from active_rlhf.run.training import train
from active_rlhf.study.loading import load_study, resolve_run
from active_rlhf.study.precision import settled_run, with_precision
from active_rlhf.study.settings import Spec
from active_rlhf.tasks.gym import make

SHORT = {
    "total_steps": 6144,
    "agent": {"rollout_steps": 1024},
    "labels": {"total": 25, "initial": 7, "sessions": 4, "segment_length": 20, "probe_pairs": 20},
    "reward_model": {"hidden": [16, 16], "epochs": 2},
    "vae": {"segments": 64, "batch_size": 32, "epochs": 1, "latent": 4},
    "evaluation": {"every": 3000, "episodes": 1},
}
# Everything in these files is a function of the spec.
RESULTS = (
    *("episodes.csv", "evaluations.csv", "sessions.csv", "labels.npz"),
    *("policy.safetensors", "reward_model.safetensors"),
)


def spec(selector: str, seed: int = 1, **sections) -> Spec:
    data = {
        "study": "test",
        "seeds": [seed],
        "environments": ["Hopper-v5"],
        "selectors": [selector],
        **SHORT,
        **{
            name: SHORT[name] | value if isinstance(SHORT.get(name), dict) else value
            for name, value in sections.items()
        },
    }
    study = load_study("config/test.yaml", data=data)
    return resolve_run(study, "Hopper-v5", selector, seed)


def run(tmp_path: Path, selector: str, name: str = "run", **change) -> Path:
    train(spec(selector, **change), tmp_path / name)
    return tmp_path / name


@pytest.fixture(scope="module")
def of(tmp_path_factory) -> Callable[[str], Path]:
    """The finished run of a selector, trained once."""
    folder = tmp_path_factory.mktemp("of")
    return cache(lambda selector: run(folder, selector, selector))


def same(a: Path, b: Path) -> None:
    for name in RESULTS:
        assert (a / name).read_bytes() == (b / name).read_bytes(), name


@pytest.mark.slow
def test_runs_in_parallel_equal_runs_alone(tmp_path, of):
    context = multiprocessing.get_context("spawn")
    workers = {
        selector: context.Process(target=train, args=(spec(selector), tmp_path / selector))
        for selector in ("variquery", "duo")
    }
    for worker in workers.values():
        worker.start()
    for selector, worker in workers.items():
        worker.join()
        assert worker.exitcode == 0
        same(of(selector), tmp_path / selector)


def test_every_library_of_linear_algebra_is_held_to_one_thread():
    """Even if no environment variable says so: sums depend on how they are split."""
    code = """
from active_rlhf.agents import kernels
from active_rlhf.compute import compilation
from active_rlhf.agents.ppo.policy import Policy
from threadpoolctl import threadpool_info, threadpool_limits
import numpy as np
compilation.prepare()
with threadpool_limits(1):
    kernels.network(np.ones((64, 8), np.float32), Policy.initial(
        8, 2, np.random.default_rng(0)).parameters.actor)
    pools = threadpool_info()
    assert len([pool for pool in pools if pool["user_api"] == "blas"]) >= 2, pools
    assert all(pool["num_threads"] == 1 for pool in pools), pools
"""
    environment = {name: v for name, v in os.environ.items() if "NUM_THREADS" not in name}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def test_a_run_writes_what_it_promises(of):
    out = of("duo")
    result = json.loads((out / "run.json").read_text())
    assert result["status"] == "complete" and result["steps"] == 6144 and result["queries"] == 25
    assert result["spec"] == settled_run(spec("duo"), out)[0].as_dict()
    assert result["cpu_s"] > 0 and result["peak_rss_mb"] > 50
    stages = {"environment", "policy_update", "reward_model", "candidates", "score", "pick"}
    assert stages <= set(result["seconds"])

    sessions = pd.read_csv(out / "sessions.csv")
    assert sessions.asked.tolist() == [7, 6, 6, 6] and sessions.labels.tolist() == [7, 13, 19, 25]
    assert sessions.step.tolist() == [1024, 2048, 4096, 5120]
    assert sessions.held_out.sum() == 5 and (sessions.pool == 10 * sessions.asked).all()
    assert sessions.train_accuracy.between(0, 1).all()

    ledger = Ledger.load(out / "labels.npz")
    assert ledger.asked == 25 and len(ledger.training().preferences) == 20
    with np.load(out / "labels.npz") as file:
        assert file["observations"].shape == (25, 2, 20, 11)
        assert file["actions"].shape == (25, 2, 20, 3)

    episodes = pd.read_csv(out / "episodes.csv")
    assert (episodes.length == 1000).all() and episodes.step.tolist() == [
        1000 * k for k in range(1, 7)
    ]
    assert episodes["return"].tail(10).mean() == pytest.approx(result["final_return"])
    evaluations = pd.read_csv(out / "evaluations.csv")
    assert evaluations.step.tolist() == [3072, 6144]
    progress = json.loads((out / "progress.json").read_text())
    assert progress["status"] == "complete" and progress["step"] == 6144


def test_without_held_out_pairs_all_answers_are_learned_from(tmp_path):
    given = spec("duo", labels={"validation_fraction": 0})
    train(given, tmp_path)
    sessions = pd.read_csv(tmp_path / "sessions.csv")
    assert (sessions.held_out == 0).all() and sessions.train_accuracy.between(0, 1).all()
    assert sessions[["validation_loss", "validation_accuracy"]].isna().all(axis=None)
    assert len(Ledger.load(tmp_path / "labels.npz").training().preferences) == 25
    assert list(faults(tmp_path, given, json.loads((tmp_path / "run.json").read_text()))) == []


@pytest.mark.slow
def test_clipped_actions_are_all_that_the_reward_model_sees(tmp_path, of):
    out = run(tmp_path, "hybrid", labels={"actions": "clipped"})
    model = load_reward_model(out)
    with np.load(out / "labels.npz") as labels:
        observations, actions = labels["observations"], labels["actions"]
    within = np.clip(actions, -1, 1)
    assert (actions != within).mean() > 0.2
    rewards = model.rewards(observations, actions)
    np.testing.assert_array_equal(rewards, model.rewards(observations, within))
    latest, other = (pd.read_csv(x / "sessions.csv").iloc[-1] for x in (out, of("hybrid")))
    assert latest.train_loss != other.train_loss
    # The saved model is the one that was measured, so it was trained on what it now sees.
    ledger = Ledger.load(out / "labels.npz")
    chosen = ~ledger.column("held_out") & np.isfinite(ledger.column("preferences"))
    p = model.preferences(observations[chosen], within[chosen]).mean(0)
    measured = measures.cross_entropy(p, ledger.training().preferences)
    assert latest.train_loss == pytest.approx(measured, rel=1e-6)


@pytest.mark.slow
def test_selectors_with_the_same_seed_start_from_the_same_behaviour(tmp_path, of):
    """Environment, initial policy and candidates are shared; what is asked differs."""
    runs = *map(of, ("random", "duo", "true_reward")), run(tmp_path, "true_reward", seed=2)
    first, *others, seed2 = (pd.read_csv(out / "episodes.csv")["return"][0] for out in runs)
    assert set(others) == {first} != {seed2}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first_after", "precision"), [(0, "bfloat16"), (0.5, "bfloat16"), (0.5, "float32")]
)
def test_no_selector_pays_for_loading_torch(first_after, precision):
    """Nor do the first steps wait for it, and no float32 needs it."""
    code = """
import json, sys
from active_rlhf.run.loop import Run
from active_rlhf.study.settings import Spec
run = Run(Spec(**json.loads(sys.argv[1])))
assert "torch" not in sys.modules
predict, loaded = run.learner.model.member_rewards, []
def watched(*behaviour):
    loaded.append("torch" in sys.modules)
    return predict(*behaviour)
run.learner.model.member_rewards = watched
run.advance()
assert loaded and set(loaded) == {sys.argv[2] == "bfloat16"}
"""
    labels = {"total": 10, "initial": 7, "sessions": 2, "first_after": first_after}
    given = with_precision(spec("duo", labels=labels), precision).as_dict()
    subprocess.run([sys.executable, "-c", code, json.dumps(given), precision], check=True)


def test_true_reward_asks_nothing(of):
    out = of("true_reward")
    assert not (out / "labels.npz").exists() and not (out / "sessions.csv").exists()
    assert json.loads((out / "run.json").read_text())["queries"] == 0


@pytest.mark.slow
def test_the_random_policy_acts_uniformly_and_never_learns(tmp_path):
    """In evaluations too: doing nothing lets Hopper fall the same way every time."""
    data = {"study": "t", "seeds": [1], "environments": ["Hopper-v5"], "selectors": ["random"]}
    short = {"total_steps": 40960, "agent": {"rollout_steps": 1024}}
    study = load_study("config/test.yaml", data=data | SHORT | short | {"baselines": True})
    random_spec = resolve_run(study, "Hopper-v5", "random_policy", 1)
    assert random_spec.total_steps == 20480  # enough, as nothing is learned
    train(random_spec, tmp_path)
    returns = pd.read_csv(tmp_path / "episodes.csv")["return"]
    evaluated = pd.read_csv(tmp_path / "evaluations.csv")["return_mean"]
    env, limit = make("Hopper-v5")
    env.reset(seed=0)
    env.action_space.seed(0)
    expected = []
    for _ in range(10):
        env.reset()
        expected.append(sum(env.step(env.action_space.sample())[1] for _ in range(limit)))
    assert stats.mannwhitneyu(returns, expected).pvalue > 0.01
    assert stats.mannwhitneyu(evaluated, expected).pvalue > 0.01 and evaluated.std() > 10


@pytest.mark.slow
def test_tracking_changes_nothing_but_leaves_event_files(tmp_path, of):
    train(spec("random"), tmp_path / "tracked", tracking="tensorboard")
    same(of("random"), tmp_path / "tracked")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    named = tmp_path / "tracked/tensorboard/Hopper-v5/random/1"
    events = EventAccumulator(str(named))
    events.Reload()
    tags = events.Tags()["scalars"]
    assert {"charts/episodic_return", "losses/policy", "reward_model/train_loss"} <= set(tags)
    assert [e.step for e in events.Scalars("losses/policy")] == [1024 * k for k in range(1, 7)]


def test_two_processes_never_train_one_run(tmp_path):
    with locked(tmp_path / "run"), pytest.raises(RunLocked, match="another process"):
        train(spec("random"), tmp_path / "run")
    assert not (tmp_path / "run" / "run.json").exists()


def test_a_reward_that_is_not_finite_stops_the_run(tmp_path, monkeypatch):
    from active_rlhf.rewards.ensemble import Ensemble

    monkeypatch.setattr(Ensemble, "rewards", lambda self, o, a: np.full(o.shape[:-1], np.nan))
    with pytest.raises(FloatingPointError, match=r"step 1024: prediction: rewards not finite"):
        run(tmp_path, "random")
    assert not (tmp_path / "run" / "run.json").exists()


@pytest.mark.slow
def test_ppo_on_the_true_reward_learns(tmp_path):
    change = {"rollout_steps": 2048, "gamma": 0.98, "gae_lambda": 0.9}
    data = {
        "study": "test",
        "seeds": [1],
        "environments": ["HalfCheetah-v5"],
        "selectors": ["true_reward"],
        "total_steps": 61440,
        "agent": change,
        "evaluation": {"every": 61440, "episodes": 1},
    }
    study = load_study("config/test.yaml", data=data)
    train(resolve_run(study, "HalfCheetah-v5", "true_reward", 1), tmp_path)
    returns = pd.read_csv(tmp_path / "episodes.csv")["return"]
    assert returns[:5].mean() < -100 and returns[-5:].mean() > 200


def test_answers_agree_with_the_true_returns_beside_them(tmp_path):
    out = run(tmp_path, "random", teacher={"name": "oracle", "tie_quantile": 0.3})
    with np.load(out / "labels.npz") as file:
        gap = file["returns"][:, 0] - file["returns"][:, 1]
        preferences = file["preferences"]
    assert set(preferences) == {0.0, 0.5, 1.0}
    clear = preferences != 0.5
    np.testing.assert_array_equal(preferences[clear] == 1, gap[clear] > 0)
    assert np.abs(gap[~clear]).max() < np.quantile(np.abs(gap), 0.9)
