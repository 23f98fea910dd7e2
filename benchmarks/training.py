"""What training costs: every figure beside its reference, measured in turns on one core.

    python benchmarks/training.py [--steps 40960] [--out benchmarks/results.json]

Ratios count, not seconds: machines drift, so a figure and its reference take turns and medians are
compared. The references are the physics alone (`mj_step` under random controls) and the same
algorithm in plain torch: PPO by autograd, reward networks with a DataLoader.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import mujoco
import numpy as np
import torch
from threadpoolctl import threadpool_limits

from active_rlhf import ppo, training
from active_rlhf.config import load_study, resolve_run
from active_rlhf.environments import ENVIRONMENTS
from active_rlhf.policy import Policy
from active_rlhf.reward_model import RewardEnsemble
from active_rlhf.rollout import Actor, collect

STUDY = Path(__file__).parents[1] / "config" / "thesis.yaml"
SELECTORS = ("random", "duo", "variquery", "hybrid")
TURNS = 7


def cpu_seconds(work: Callable[[], Any]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def in_turns(**works: Callable[[], Any]) -> dict[str, float]:
    """Median CPU seconds of each, after one call to warm up."""
    for work in works.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(TURNS):
        for name, work in works.items():
            times[name].append(cpu_seconds(work))
    return {name: median(values) for name, values in times.items()}


def physics(actor: Actor, steps: int) -> Callable[[], None]:
    """`steps` environment steps of nothing but MuJoCo, with random controls drawn beforehand."""
    env = actor.env
    controls = np.random.default_rng(0).uniform(actor.low, actor.high, (steps, len(actor.low)))

    def run() -> None:
        env.reset()
        for control in controls:
            env.data.ctrl[:] = control
            mujoco.mj_step(env.model, env.data, nstep=env.frame_skip)

    return run


def rollouts(environment: str) -> dict[str, Any]:
    actor, other = Actor(environment, 1), Actor(environment, 2)
    sizes = actor.observation_size, actor.action_size
    policy = Policy.initial(*sizes, np.random.default_rng(0))
    stream = np.random.default_rng(1)
    seconds = in_turns(
        rollout=lambda: collect(actor, policy, 2048, stream), physics=physics(other, 2048)
    )
    return {
        "env": environment,
        "steps_per_s": 2048 / seconds["rollout"],
        "physics_steps_per_s": 2048 / seconds["physics"],
        "share_of_physics_speed": seconds["physics"] / seconds["rollout"],
    }


def policy_update() -> dict[str, float]:
    spec = resolve_run(load_study(STUDY), "HalfCheetah-v5", "random", 1)["ppo"]
    actor = Actor("HalfCheetah-v5", 1)
    policy = Policy.initial(17, 6, np.random.default_rng(0))
    rollout = collect(actor, policy, 2048, np.random.default_rng(1))
    data = ppo.batch(rollout, rollout.rewards, policy, spec)
    state = ppo.optimiser(policy.parameters.flat.size)
    arguments = policy, state, data, spec, 1e-4, np.random.default_rng(2)
    seconds = in_turns(
        compiled=lambda: ppo.update(*arguments), eager=lambda: ppo.update_eager(*arguments)
    )
    return seconds | {"ratio": seconds["compiled"] / seconds["eager"]}


def reward_training(pairs: int = 400) -> dict[str, float]:
    """One epoch over `pairs` labels of the thesis's HalfCheetah ensemble."""
    spec = resolve_run(load_study(STUDY), "HalfCheetah-v5", "random", 1)
    config = spec["reward_model"] | {"epochs": 1}
    g = np.random.default_rng(0)
    observations = g.standard_normal((pairs, 2, 50, 17), np.float32)
    actions = g.uniform(-1, 1, (pairs, 2, 50, 6)).astype(np.float32)
    preferences = (observations[:, 0, :, 0].sum(1) > observations[:, 1, :, 0].sum(1)).astype(float)
    ensemble = RewardEnsemble(config, 17, 6, g)

    def network() -> torch.nn.Module:
        layers, inputs = [], 23
        for width in config["hidden"]:
            layers += [torch.nn.Linear(inputs, width), torch.nn.LeakyReLU()]
            layers += [torch.nn.Dropout(config["dropout"])]
            inputs = width
        return torch.nn.Sequential(*layers, torch.nn.Linear(inputs, 1))

    members = [network() for _ in range(config["members"])]
    rate, decay = config["learning_rate"], config["weight_decay"]
    adams = [torch.optim.Adam(m.parameters(), lr=rate, weight_decay=decay) for m in members]
    data = torch.utils.data.TensorDataset(
        torch.from_numpy(np.concatenate([observations, actions], -1)),
        torch.from_numpy(preferences).float(),
    )

    def plain() -> None:
        for member, adam in zip(members, adams, strict=True):
            sample = torch.utils.data.Subset(data, torch.randint(pairs, (pairs,)).tolist())
            loader = torch.utils.data.DataLoader(sample, config["batch_size"], shuffle=True)
            for segments, answer in loader:
                returns = member(segments)[..., 0].sum(-1)
                loss = torch.nn.functional.binary_cross_entropy_with_logits(
                    returns[:, 0] - returns[:, 1], answer
                )
                adam.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(member.parameters(), config["max_grad_norm"])
                adam.step()

    seconds = in_turns(
        compiled=lambda: ensemble.fit(observations, actions, preferences), plain_torch=plain
    )
    return seconds | {"ratio": seconds["compiled"] / seconds["plain_torch"]}


def runs(environment: str, steps: int) -> list[dict[str, Any]]:
    """Whole runs with the thesis's settings but `steps` steps and sessions in proportion."""
    sessions = max(2, round(50 * steps / 1_000_000))
    changes = {
        "ppo": {"total_steps": steps},
        "labels": {"sessions": sessions, "total": 10 * sessions, "initial": 10},
        "evaluation": {"every": steps, "episodes": 1},
    }
    rows = []
    for selector in ("true_reward", *SELECTORS):
        study = load_study(STUDY, overrides=changes | {"selectors": [selector]})
        spec = resolve_run(study, environment, selector, 1)
        actor = Actor(environment, 1)
        reference = median(cpu_seconds(physics(actor, 8192)) for _ in range(3)) / 8192
        with tempfile.TemporaryDirectory() as folder:
            cpu_s = cpu_seconds(lambda: training.train(spec, folder))  # noqa: B023
            result = json.loads((Path(folder) / "run.json").read_text())
        rows.append(
            {
                "env": environment,
                "selector": selector,
                "steps": result["steps"],
                "wall_s": result["wall_s"],
                "cpu_s": cpu_s,
                "physics_s": reference * result["steps"],
                "ratio_to_physics": cpu_s / (reference * result["steps"]),
                "seconds_by_stage": result["seconds"],
                "peak_rss_mb": result["peak_rss_mb"],
            }
        )
    base = next(row for row in rows if row["selector"] == "random")
    return [
        row | {"ratio_to_random": row["ratio_to_physics"] / base["ratio_to_physics"]}
        for row in rows
    ]


def startup() -> float:
    """Wall seconds from the command to the end of a run of one step, median of three."""
    command = [sys.executable, "-m", "active_rlhf.cli", "train", "--study", str(STUDY)]
    command += ["--env", "HalfCheetah-v5", "--selector", "true_reward", "--seed", "1"]
    tiny = ["ppo.total_steps=32", "ppo.rollout_steps=32", "evaluation.episodes=1"]
    command += ["--set", "selectors=[true_reward]"]
    command += [part for change in tiny for part in ("--set", change)]
    times = []
    for _ in range(3):
        with tempfile.TemporaryDirectory() as folder:
            begin = time.perf_counter()
            subprocess.run([*command, "--out", folder], check=True, stdout=subprocess.DEVNULL)
            times.append(time.perf_counter() - begin)
    return median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=40_960, help="of each whole run")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results.json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        results = {
            "machine": {"cpu": training._processor(), "python": platform.python_version()},
            "rollout": [rollouts(name) for name in ENVIRONMENTS],
            "update": policy_update(),
            "reward_training": reward_training(),
            "startup_s": startup(),
            "runs": [row for name in ("HalfCheetah-v5",) for row in runs(name, args.steps)],
        }
    args.out.write_text(json.dumps(results, indent=1) + "\n")
    for row in results["rollout"]:
        print(f"{row['env']:<16} rollout at {row['share_of_physics_speed']:.0%} of physics speed")
    for name in ("update", "reward_training"):
        print(f"{name:<16} {results[name]['ratio']:.2f} of plain torch")
    print(f"{'start-up':<16} {results['startup_s']:.1f} s")
    for row in results["runs"]:
        print(
            f"{row['env']} {row['selector']:<12} {row['ratio_to_physics']:.2f} x physics, "
            f"{row['ratio_to_random']:.2f} x random, {row['peak_rss_mb']:.0f} MB"
        )


if __name__ == "__main__":
    main()
