"""Small files of each kind of imported runs, two methods and two seeds, and what they say.

Made by the libraries that write them or, where a file is another program's, by its public format.
Each maker writes into a folder and returns the entry of a study and the expected rows
`method, seed, step, return`, which it computes itself.
"""

import bz2
import csv
import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pandas as pd

METHODS, SEEDS = ("sac", "ppo"), (1, 7)
EPISODES = 14
Row = tuple[str, int, int, float]
Made = tuple[dict[str, Any] | str, list[Row]]


def episodes(method: str, seed: int) -> list[tuple[int, float]]:
    """Steps and returns of a run's episodes of 100 steps, which tell run and episode apart."""
    return [(100 * k, len(method) * seed + METHODS.index(method) + k / 7) for k in range(1, 15)]


def rows() -> list[Row]:
    return [(m, s, *row) for m in METHODS for s in SEEDS for row in episodes(m, s)]


def frame(**names: str) -> pd.DataFrame:
    table = pd.DataFrame(rows(), columns=["method", "seed", "step", "return"])
    return table.rename(columns=names)


def each(folder: Path, pattern: str, write: Callable[[Path, str, int], None]) -> None:
    for method in METHODS:
        for seed in SEEDS:
            path = folder / pattern.format(method=method, seed=seed)
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path, method, seed)


def export(folder: Path) -> Made:
    table = frame(**{"return": "charts/episodic_return", "step": "global_step"})
    names = [
        f"Hopper-v5__{m}__{s}__17" for m, s in zip(table["method"], table["seed"], strict=True)
    ]
    table.assign(exp_name=names).drop(columns="method").to_csv(folder / "runs.csv", index=False)
    return "runs.csv", rows()


NAMES = {"method": "algo", "step": "env_steps", "return": "score"}


def long(folder: Path) -> Made:
    frame(**NAMES).assign(task="hopper", reward=0.0).to_csv(folder / "r.csv", index=False)
    columns = {"env": "task", "return": "score"}
    return {"files": "r.csv", "task": "hopper", "columns": columns}, rows()


def packed(opener: Any) -> Callable[[Path], Made]:
    def make(folder: Path) -> Made:
        with opener(folder / "r.csv.packed", "wt") as file:
            frame(**NAMES).to_csv(file, index=False)
        return "r.csv.packed", rows()

    return make


def semicolons(folder: Path) -> Made:
    frame(**NAMES).to_csv(folder / "r.csv", index=False, sep=";", decimal=",")
    return "r.csv", rows()


def tabs(folder: Path) -> Made:
    frame(**NAMES).to_csv(folder / "r.tsv", index=False, sep="\t", encoding="utf-8-sig")
    return "r.tsv", rows()


def parquet(folder: Path) -> Made:
    frame(**NAMES).to_parquet(folder / "r.parquet")
    return "r.parquet", rows()


def scores(folder: Path) -> Made:
    last = frame().groupby(["method", "seed"], sort=False)["return"].last().reset_index()
    last.to_csv(folder / "scores.csv", index=False)
    return "scores.csv", [(m, s, 0, r) for m, s, r in last.itertuples(index=False)]


class Rewards(gymnasium.Env):
    """Episodes of 100 steps whose rewards sum to the returns of a run."""

    observation_space = gymnasium.spaces.Box(-1, 1, (1,))
    action_space = gymnasium.spaces.Discrete(2)
    spec = gymnasium.spec("Hopper-v5")  # which the monitor notes

    def __init__(self, returns: list[float], length: int = 100):
        self.returns, self.length, self.at = iter(returns), length, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict]:
        self.at, self.left = 0, next(self.returns, 0.0)
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.at += 1
        ended = self.at == self.length
        return np.zeros(1, np.float32), self.left if ended else 0.0, False, ended, {}


def monitored(path: Path, returns: list[float], lengths: int = 100) -> None:
    """The file of Stable-Baselines3's Monitor."""
    from stable_baselines3.common.monitor import Monitor

    env = Monitor(Rewards(returns, lengths), str(path))
    for _ in returns:
        env.reset()
        while not any(env.step(0)[2:4]):
            pass
    env.close()


MONITORS = "logs/{method}/seed_{seed}/monitor.csv"


def monitor(folder: Path) -> Made:
    each(folder, MONITORS, lambda p, m, s: monitored(p, [r for _, r in episodes(m, s)]))
    return MONITORS, [(m, s, step, round(r, 6)) for m, s, step, r in rows()]  # as Monitor rounds


def monitors(folder: Path) -> Made:
    """Two environments in parallel, in the order of the library's own reader."""
    from stable_baselines3.common.monitor import load_results

    expected = []

    def write(path: Path, method: str, seed: int) -> None:
        returns = [r for _, r in episodes(method, seed)]
        for number, length in ((0, 60), (1, 90)):
            monitored(path.parent / f"{number}.monitor.csv", returns[number::2], length)
        seen = load_results(str(path.parent))
        pairs = zip(seen["l"].cumsum(), seen["r"], strict=True)
        expected.extend((method, seed, step, r) for step, r in pairs)

    each(folder, "{method}-{seed}/x", write)
    return "{method}-{seed}/*.monitor.csv", expected


def progress(folder: Path) -> Made:
    from stable_baselines3.common.logger import configure

    def write(path: Path, method: str, seed: int) -> None:
        logger = configure(str(path.parent), ["csv"])
        for k, (step, value) in enumerate(episodes(method, seed)):
            logger.record("time/total_timesteps", step)
            if k % 2:  # a line about something else
                logger.record("eval/mean_reward", 1e6)
            else:
                logger.record("rollout/ep_rew_mean", value)
            logger.dump(step)
        logger.close()

    each(folder, "{method}/{seed}/progress.csv", write)
    logged = [(m, s, *row) for m in METHODS for s in SEEDS for row in episodes(m, s)[::2]]
    return "{method}/{seed}/progress.csv", logged


EVALUATED = "{method}_{seed}/evaluations.npz"


def evaluations(folder: Path) -> Made:
    from stable_baselines3 import A2C
    from stable_baselines3.common.callbacks import EvalCallback
    from stable_baselines3.common.monitor import Monitor

    made: list[Row] = []

    def write(path: Path, method: str, seed: int) -> None:
        judged = Monitor(Rewards([len(method) * seed + k / 7 for k in range(99)], 5))
        callback = EvalCallback(
            judged, log_path=str(path.parent), eval_freq=20, n_eval_episodes=3, verbose=0
        )
        A2C("MlpPolicy", Rewards([0.0] * 999, 5), n_steps=5).learn(60, callback)
        with np.load(path) as held:
            made.extend(
                (method, seed, int(t), float(np.mean(r)))
                for t, r in zip(held["timesteps"], held["results"], strict=True)
            )

    each(folder, EVALUATED, write)
    return EVALUATED, made


def events(folder: Path) -> Made:
    """As CleanRL writes them: a folder for each run, named `<env>__<method>__<seed>__<time>`."""
    from torch.utils.tensorboard import SummaryWriter

    for method in METHODS:
        for seed in SEEDS:
            writer = SummaryWriter(str(folder / f"runs/Hopper-v5__{method}__{seed}__17"))
            writer.add_text("hyperparameters", "|a|b|")
            for step, value in episodes(method, seed):
                writer.add_scalar("charts/episodic_return", value, step)
                writer.add_scalar("losses/value_loss", 1.0, step)
            writer.close()
    return "runs/*/events.out.tfevents.*", [
        (m, s, t, float(np.float32(r))) for m, s, t, r in rows()
    ]


def panel(folder: Path) -> Made:
    """Steps of all runs, with gaps where a run has none; MIN and MAX beside each value."""
    wide: dict[int, dict[str, float]] = {}
    for m, s, step, value in rows():
        at = step + s  # runs log at steps of their own
        name = f"{m}-s{s} - charts/episodic_return"
        wide.setdefault(at, {}).update({name: value, f"{name}__MIN": value, f"{name}__MAX": value})
    table = pd.DataFrame.from_dict(wide, orient="index").sort_index().rename_axis("Step")
    table.reset_index().to_csv(folder / "wandb.csv", index=False, quoting=csv.QUOTE_ALL)
    expected = [(m, s, step + s, value) for m, s, step, value in rows()]
    return {"files": "wandb.csv", "runs": "{method}-s{seed}"}, expected


def history(folder: Path) -> Made:
    def write(path: Path, method: str, seed: int) -> None:
        lines = []
        for k, (step, value) in enumerate(episodes(method, seed)):
            shared = {"_runtime": k / 3, "_timestamp": 1.7e9 + k, "global_step": step}
            lines += [shared | {"_step": 2 * k, "charts/episodic_return": value}]
            lines += [shared | {"_step": 2 * k + 1, "losses/policy_loss": 0.5}]
        pd.DataFrame(lines).to_csv(path, index=False)

    each(folder, "{method}.{seed}.csv", write)
    return "{method}.{seed}.csv", rows()


def bpref(name: str) -> Callable[[Path], Made]:
    """B-Pref's logger sorts the columns; the learned return is not the true one."""

    def make(folder: Path) -> Made:
        def write(path: Path, method: str, seed: int) -> None:
            lines = [
                {"episode": k, "episode_reward": -1.0, "step": step, "true_episode_reward": value}
                | ({"total_feedback": 50.0 * min(k, 5), "duration": 1.5} if name == "train" else {})
                for k, (step, value) in enumerate(episodes(method, seed))
            ]
            table = pd.DataFrame(lines)
            table[sorted(table)].to_csv(path, index=False)

        pattern = f"exp/{{method}}/seed{{seed}}/{name}.csv"
        each(folder, pattern, write)
        return pattern, rows()

    return make


def _matrix(method: str) -> np.ndarray:
    return np.arange(6.0).reshape(3, 2) + METHODS.index(method) / 3


def rliable_npz(folder: Path) -> Made:
    np.savez(folder / "scores.npz", **{m: _matrix(m) for m in METHODS})
    expected = [(m, k, 0, value) for m in METHODS for k, value in enumerate(_matrix(m)[:, 1])]
    return {"files": "scores.npz", "task": 1}, expected


def rliable_json(folder: Path) -> Made:
    """A file for each method, `{game: scores}`, as published with rliable."""
    for m in METHODS:
        held = {"Hopper-v5": _matrix(m)[:, 1].tolist(), "Pong": [0.0]}
        (folder / f"{m}.json").write_text(json.dumps(held))
    expected = [(m, k, 0, value) for m in METHODS for k, value in enumerate(_matrix(m)[:, 1])]
    return "{method}.json", expected


# kind: what makes it, the format that is recognised, and what a row is
KINDS: dict[str, tuple[Callable[[Path], Made], str, str]] = {
    "export": (export, "export", "episodes"),
    "long": (long, "long", "episodes"),
    "gzip": (packed(gzip.open), "long", "episodes"),
    "bzip2": (packed(bz2.open), "long", "episodes"),
    "semicolons": (semicolons, "long", "episodes"),
    "tabs": (tabs, "long", "episodes"),
    "parquet": (parquet, "long", "episodes"),
    "scores": (scores, "long", "scores"),
    "monitor": (monitor, "monitor", "episodes"),
    "monitors": (monitors, "monitor", "episodes"),
    "progress": (progress, "progress", "means"),
    "evaluations": (evaluations, "evaluations", "evaluations"),
    "tensorboard": (events, "tensorboard", "episodes"),
    "wandb panel": (panel, "wandb_panel", "means"),
    "wandb history": (history, "wandb_history", "episodes"),
    "bpref train": (bpref("train"), "bpref", "episodes"),
    "bpref eval": (bpref("eval"), "bpref", "evaluations"),
    "rliable npz": (rliable_npz, "rliable", "scores"),
    "rliable json": (rliable_json, "rliable", "scores"),
}
NUMBERED = ("rliable npz", "rliable json")  # runs without seeds


def made(kind: str, folder: Path) -> Made:
    """Files of a kind in a folder, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return KINDS[kind][0](folder)
