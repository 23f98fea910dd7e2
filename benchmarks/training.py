"""The cost of a study: every figure with its reference, measured in turns on one core.

    python benchmarks/training.py [--steps 40960] [--out benchmarks/results.json]

Ratios count, not seconds: the speed of a machine varies, so a figure and its reference take turns,
and their medians are compared. The references (`reference.py`) are the physics alone and the same
algorithms written plainly in PyTorch.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from reference import PlainEnsemble, physics, plain_ppo
from threadpoolctl import threadpool_limits

from active_rlhf.agents.ppo.agent import CompiledPPO
from active_rlhf.agents.ppo.settings import PPOSettings
from active_rlhf.agents.ppo.update import TorchPPO
from active_rlhf.agents.reward_scaling import RewardScale
from active_rlhf.compute import compilation
from active_rlhf.rewards.mlp import MLPEnsemble
from active_rlhf.rewards.settings import MLPSettings
from active_rlhf.run import machine
from active_rlhf.study.loading import load_study, resolve_run
from active_rlhf.study.settings import Spec
from active_rlhf.tasks.gym import ENVIRONMENTS, GymTask

STUDY = Path(__file__).parents[1] / "config" / "thesis.yaml"
SELECTORS = ("true_reward", "random", "duo", "variquery", "hybrid")
SELECTION = ("candidates", "vae", "score", "pick")
TURNS = 7
ROLLOUT = 2048


def cpu_seconds(work: Callable[[], Any]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def in_turns(turns: int = TURNS, **works: Callable[[], Any]) -> dict[str, float]:
    """Median CPU seconds of each, after one call of each to warm up."""
    for work in works.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(turns):
        for name, work in works.items():
            times[name].append(cpu_seconds(work))
    return {name: median(values) for name, values in times.items()}


def thesis_run(environment: str, selector: str = "random", **changes: Any) -> Spec:
    """The thesis's settings of a run, some of them changed."""
    study = load_study(STUDY, overrides=changes | {"selectors": [selector]})
    return resolve_run(study, environment, selector, 1)


def ppo_settings(environment: str) -> PPOSettings:
    return PPOSettings(**thesis_run(environment).agent.settings)


def agent(environment: str) -> dict[str, Any]:
    """PPO on the true reward, rollout and update, against physics and a plain PPO."""
    settings, stream = ppo_settings(environment), np.random.default_rng(0)
    task = GymTask(environment, 1)
    ppo, scale = CompiledPPO(task, settings, stream), RewardScale(settings.gamma)

    def rollout() -> Any:
        return ppo.act(task, ROLLOUT, stream)

    def iteration() -> None:
        seen = rollout()
        ppo.learn(seen, scale(seen.rewards, seen.ended), 0.0, stream)

    works = {"agent": iteration, "rollout": rollout, "physics": physics(environment, ROLLOUT)}
    beside_plain = environment == "HalfCheetah-v5"
    if beside_plain:
        works["plain"] = plain_ppo(environment, settings)
    seconds = in_turns(3 if beside_plain else TURNS, **works)
    speeds = {f"{name}_steps_per_s": ROLLOUT / value for name, value in seconds.items()}
    return {
        "env": environment,
        "steps": ROLLOUT,
        "steps_per_s": speeds.pop("agent_steps_per_s"),
        **speeds,
        "ratio_to_physics": seconds["agent"] / seconds["physics"],
        "rollout_share_of_physics_speed": seconds["physics"] / seconds["rollout"],
        **({"times_plain": seconds["plain"] / seconds["agent"]} if beside_plain else {}),
    }


def policy_update() -> dict[str, float]:
    """Learning from a rollout, compiled against the same in plain torch."""
    settings, learning = ppo_settings("HalfCheetah-v5"), {}
    for name, made in (("compiled", CompiledPPO), ("eager", TorchPPO)):
        task, stream = GymTask("HalfCheetah-v5", 1), np.random.default_rng(0)
        ppo: Any = made(task, settings, stream)
        seen = ppo.act(task, ROLLOUT, stream)
        learning[name] = partial(ppo.learn, seen, seen.rewards, 0.0, stream)
    seconds = in_turns(**learning)
    return seconds | {"ratio": seconds["compiled"] / seconds["eager"]}


def reward_training(pairs: int = 400) -> dict[str, float]:
    """One epoch of the thesis's HalfCheetah ensemble over `pairs` labels."""
    chosen = thesis_run("HalfCheetah-v5").reward_model
    assert chosen
    settings = MLPSettings(**chosen.settings | {"epochs": 1})
    g = np.random.default_rng(0)
    observations = g.standard_normal((pairs, 2, 50, 17), np.float32)
    actions = g.uniform(-1, 1, (pairs, 2, 50, 6)).astype(np.float32)
    preferences = (observations[:, 0, :, 0].sum(1) > observations[:, 1, :, 0].sum(1)).astype(float)
    plain = PlainEnsemble(settings, 23)
    inputs = np.concatenate([observations, actions], -1)
    fits = {}
    for precision in ("bfloat16", "float32"):
        model = MLPEnsemble(17, 6, g, settings.model_copy(update={"precision": precision}))
        fits[precision] = partial(model.fit, observations, actions, preferences)
    seconds = in_turns(**fits, plain_torch=lambda: plain.fit(inputs, preferences))
    return seconds | {
        f"ratio_{precision}": seconds[precision] / seconds["plain_torch"] for precision in fits
    }


def run(environment: str, selector: str, steps: int) -> dict[str, Any]:
    """One run in a process of its own, with the thesis's settings and sessions to suit `steps`."""
    sessions = max(2, round(50 * steps / 1_000_000))
    spec = thesis_run(
        environment,
        selector,
        total_steps=steps,
        labels={"sessions": sessions, "total": 10 * sessions, "initial": 10},
        evaluation={"every": steps, "episodes": 1},
    )
    work = physics(environment, 8192)
    before = cpu_seconds(work)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "active_rlhf.cli", "train", "--spec", "/dev/stdin"]
        subprocess.run(
            [*command, "--out", folder],
            input=json.dumps(spec.as_dict()),
            text=True,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        result = json.loads((Path(folder) / "run.json").read_text())
    reference = (before + cpu_seconds(work)) / 2 / 8192 * result["steps"]
    return run_row(result, reference)


def run_row(result: dict[str, Any], physics_s: float) -> dict[str, Any]:
    """A run's record as a row of the table; its work is all stages, without process start."""
    return {
        "env": result["spec"]["environment"],
        "selector": result["spec"]["selector"],
        "steps": result["steps"],
        "wall_s": result["wall_s"],
        "cpu_s": result["cpu_s"],
        "work_s": sum(result["seconds"].values()),
        "physics_s": physics_s,
        "ratio_to_physics": sum(result["seconds"].values()) / physics_s,
        "seconds_by_stage": result["seconds"],
        "peak_rss_mb": result["peak_rss_mb"],
    }


def with_ratio_to_random(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    base = {row["env"]: row["ratio_to_physics"] for row in rows if row["selector"] == "random"}
    return [row | {"ratio_to_random": row["ratio_to_physics"] / base[row["env"]]} for row in rows]


def selectors(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Seconds that each run spent on selection, and their share of its work."""
    shares = []
    for row in rows:
        spent = {stage: row["seconds_by_stage"].get(stage, 0.0) for stage in SELECTION}
        share = sum(spent.values()) / row["work_s"]
        shares.append({"env": row["env"], "selector": row["selector"], **spent, "share": share})
    return [row for row in shares if row["selector"] != "true_reward"]


def startup() -> float:
    """Wall-clock seconds from the command to the first environment step, median of five."""
    spec = thesis_run(
        "HalfCheetah-v5",
        "random",
        total_steps=256,
        agent={"rollout_steps": 128},
        labels={"sessions": 2, "total": 10, "initial": 5, "probe_pairs": 2},
        evaluation={"every": 256, "episodes": 1},
    )
    command = [sys.executable, "-m", "active_rlhf.cli", "train", "--spec", "/dev/stdin"]
    times = []
    for _ in range(5):
        with tempfile.TemporaryDirectory() as folder:
            begin = time.time()
            subprocess.run(
                [*command, "--out", folder],
                input=json.dumps(spec.as_dict()),
                text=True,
                check=True,
                stdout=subprocess.DEVNULL,
            )
            result = json.loads((Path(folder) / "run.json").read_text())
            times.append(result["started"] + result["seconds"]["startup"] - begin)
    return median(times)


def side_by_side(steps: int) -> dict[str, float]:
    """Seconds of work of a run alone, and of each of as many at once as there are cores."""
    cores = os.cpu_count() or 1
    labels = {"sessions": 4, "total": 40, "initial": 10}
    spec = thesis_run("HalfCheetah-v5", "random", total_steps=steps, labels=labels)

    def work(count: int) -> float:
        command = [sys.executable, "-m", "active_rlhf.cli", "train", "--spec", "/dev/stdin"]
        with tempfile.TemporaryDirectory() as folder:
            outs = [Path(folder) / str(i) for i in range(count)]
            processes = [
                subprocess.Popen(
                    [*command, "--out", str(out)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    text=True,
                )
                for out in outs
            ]
            for process in processes:
                assert process.stdin
                process.stdin.write(json.dumps(spec.as_dict()))
                process.stdin.close()
            if any(process.wait() for process in processes):
                raise RuntimeError("a run failed")
            records = [json.loads((out / "run.json").read_text()) for out in outs]
        return sum(sum(record["seconds"].values()) for record in records) / count

    alone, together = [], []
    for _ in range(3):
        alone.append(work(1))
        together.append(work(cores))
    return {
        "runs": cores,
        "alone_s": median(alone),
        "together_s": median(together),
        "slower_by": median(together) / median(alone) - 1,
    }


def plans() -> list[dict[str, float]]:
    """`dag.py` in a small process of its own, as a child starts with its parent's peak memory."""
    command = [sys.executable, str(Path(__file__).with_name("dag.py"))]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def table(results: dict[str, Any]) -> str:
    """The results as text for a terminal."""
    lines = [
        f"{row['env']:<16} agent {row['ratio_to_physics']:.2f} x physics, rollout at "
        f"{row['rollout_share_of_physics_speed']:.0%} of its speed"
        + (f", {row['times_plain']:.1f} x plain PPO" if "times_plain" in row else "")
        for row in results["agent"]
    ]
    lines += [f"PPO update       {results['update']['ratio']:.3f} of eager torch"]
    reward = results["reward_training"]
    lines += [
        f"reward training  {reward['ratio_bfloat16']:.2f} (bfloat16), "
        f"{reward['ratio_float32']:.2f} (float32) of plain torch"
    ]
    lines += [f"first step after {results['startup_s']:.1f} s"]
    together = results["side_by_side"]
    lines += [f"{together['runs']} runs at once: each {together['slower_by']:.0%} slower"]
    lines += [
        f"{row['env']:<16} {row['selector']:<12} {row['ratio_to_physics']:.2f} x physics, "
        f"{row['ratio_to_random']:.2f} x random, {row['peak_rss_mb']:.0f} MB"
        for row in results["runs"]
    ]
    lines += [
        f"{row['runs']:>6} runs      {row['noop_cpu_s']} CPU s to find nothing to do, "
        f"{row['fresh_cpu_s']} to plan everything, {row['peak_rss_mb']} MB"
        for row in results["dag"]
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=40_960, help="of each whole run")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results.json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    compilation.prepare()
    with threadpool_limits(1):
        run("HalfCheetah-v5", "random", args.steps)  # not counted: the disk may be cold
        rows = [run(name, s, args.steps) for name in ENVIRONMENTS for s in SELECTORS]
        rows = with_ratio_to_random(rows)
        results = {
            "machine": {"cpu": machine.description()["cpu"], "python": platform.python_version()},
            "agent": [agent(name) for name in ENVIRONMENTS],
            "runs": rows,
            "update": policy_update(),
            "reward_training": reward_training(),
            "selectors": selectors(rows),
            "startup_s": startup(),
            "side_by_side": side_by_side(args.steps),
            "dag": plans(),
        }
    args.out.write_text(json.dumps(results, indent=1) + "\n")
    print(table(results))


if __name__ == "__main__":
    main()
