"""Synthetic runs and the published ones, as the data frames that the analysis takes."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from active_rlhf.analysis.study import Baselines
from active_rlhf.results.export import read_runs

METHODS = {
    "prefppo_random_v2": "Random",
    "prefppo_random": "Random",
    "prefppo_variquery_v3": "VARIQuery",
    "prefppo_variquery": "VARIQuery",
    "prefppo_duo_prio": "DUO",
    "prefppo_hybrid_prio": "Hybrid",
    "prefppo_hybrid_prio_u_v6": "Hybrid",
}


@pytest.fixture(scope="session")
def published_names():
    """Method part of the published exp_name -> display name, in table order."""
    return METHODS


@pytest.fixture(scope="session")
def published_runs(published):
    paths = {
        "Walker2d-v5": published / "runs_walker_400.csv",
        "HalfCheetah-v5": published / "runs_halfcheetah_400.csv",
    }
    return read_runs(paths, METHODS)


@pytest.fixture
def make_runs():
    """Runs of two environments that learn at random speeds, with labels; names in table order."""

    def make(methods=("Random", "DUO", "Hybrid"), seeds=6, episodes=40, envs=("A", "B")):
        rng, frames, k = np.random.default_rng(5), [], np.arange(1, episodes + 1)
        for env, (rank, method), seed in product(envs, enumerate(methods), range(seeds)):
            speed = (1 + 0.3 * rank) * rng.uniform(0.5, 1.5)
            mean = 1000 * (1 - np.exp(-speed * k / episodes))
            keys = {"env": env, "method": method, "seed": seed, "step": 1000 * k}
            returns = {"return": mean + rng.normal(0, 40, episodes), "labels": 10 * (1 + k // 4)}
            frames.append(pd.DataFrame(keys | returns))
        runs = pd.concat(frames, ignore_index=True)
        return runs.astype({"method": pd.CategoricalDtype(methods, ordered=True)})

    return make


@pytest.fixture
def evaluate():
    """Evaluations of runs: halfway, and at the end, 50 above the last episode."""

    def made(runs, episodes=10):
        last = runs.groupby(["env", "method", "seed"], observed=True, sort=False).last()
        last = last.reset_index()[["env", "method", "seed", "step", "return"]]
        half = last.assign(step=last["step"] // 2, return_mean=0.0)
        ends = last.assign(return_mean=last["return"] + 50)
        return pd.concat([half, ends]).sort_values("step").assign(episodes=episodes)

    return made


@pytest.fixture
def baselines(make_runs, evaluate):
    """A policy that learns nothing, and one that learns fast."""
    runs = make_runs(("nothing", "fast"), seeds=5)
    runs.loc[runs["method"] == "nothing", "return"] *= 0.02
    return Baselines("nothing", "fast", runs, evaluate(runs))
