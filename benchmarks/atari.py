"""The cost of a study on Seaquest's pixels: A2C, its reward model, and memory.

    python benchmarks/atari.py [--steps 8000] [--reference PYTHON] [--out benchmarks/atari.json]

On one core, in turns with A2C of Stable-Baselines3 (`atari_reference.py`) if `--reference` names a
Python that has it, and with ale-py's vector environment acting alone. What the reward model adds is
worked out from its parts: the prediction of a step, and a session at two numbers of labels, between
and beyond which it is taken to be linear in them.
"""

import argparse
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil
import torch
from threadpoolctl import threadpool_limits

from active_rlhf.compute import compilation
from active_rlhf.run import machine
from active_rlhf.run.loop import Run
from active_rlhf.run.schedule import Plan
from active_rlhf.study.loading import load_study, resolve_run
from active_rlhf.study.settings import Spec
from active_rlhf.tasks import made
from active_rlhf.tasks.vector import TasksInStep

STUDY, GAME = Path(__file__).parents[1] / "config" / "seaquest.yaml", "ALE/Seaquest-v5"
TURNS, LANES = 5, 16
LABELS = (100, 300)  # at which a session is measured


def spec(selector: str, **changes: Any) -> Spec:
    return resolve_run(load_study(STUDY, changes), GAME, selector, 1)


def seconds(work: Callable[[], Any]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def advance(run: Run, steps: int) -> None:
    for _ in range(steps // run.plan.size):
        run.advance()


class Reference:
    """Stable-Baselines3 in a process of its own."""

    def __init__(self, python: str):
        self.process = subprocess.Popen(
            [python, str(Path(__file__).with_name("atari_reference.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )

    def __call__(self, steps: int) -> float:
        assert self.process.stdin and self.process.stdout
        print(steps, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())

    def end(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def emulators(steps: int) -> dict[str, Callable[[], None]]:
    """Acting at random without a network: this package's tasks, and ale-py's vector environment."""
    from ale_py.vector_env import AtariVectorEnv

    tasks = TasksInStep([made(GAME, seed) for seed in range(LANES)])
    vector = AtariVectorEnv("seaquest", LANES, num_threads=1)
    vector.reset(seed=0)
    actions = np.random.default_rng(0).integers(18, size=(steps // LANES, LANES))

    def ours() -> None:
        for row in actions:
            _, terminated, truncated = tasks.step(row)
            if (over := np.flatnonzero(terminated | truncated)).size:
                tasks.reset(over)

    def theirs() -> None:
        for row in actions:
            vector.step(row)

    return {"emulator": ours, "ale_vector": theirs}


def speeds(steps: int, python: str | None) -> dict[str, Any]:
    """Steps per CPU second of each, medians of TURNS; and the share of each stage of a run."""
    run = Run(spec("true_reward", total_steps=2 * (TURNS + 1) * steps))
    works = {"a2c": lambda: advance(run, steps), **emulators(steps)}
    measures = {name: (lambda work=work: seconds(work)) for name, work in works.items()}
    reference = Reference(python) if python else None
    if reference:
        measures["stable_baselines3"] = lambda: reference(steps)
    for measure in measures.values():
        measure()
    before = dict(run.clock.seconds)
    times: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(TURNS):
        for name, measure in measures.items():
            times[name].append(measure())
    if reference:
        reference.end()
    middle = {name: median(values) for name, values in times.items()}
    found = {f"{name}_steps_per_s": steps / value for name, value in middle.items()}
    if reference:
        found["times_stable_baselines3"] = middle["stable_baselines3"] / middle["a2c"]
    spent = {k: v - before.get(k, 0.0) for k, v in run.clock.seconds.items()}
    of = sum(spent.values())
    stages = {stage: value / of for stage, value in spent.items() if value > 0.001 * of}
    return {**found, "stages": stages, **memory(run)}


def memory(run: Run) -> dict[str, float]:
    """What a run of the study takes, from what this one does."""
    store, total = run.behaviour, Plan.of(spec("random")).steps
    assert store.pictures
    frames = sum(map(len, store.pictures.journal(0))) / store.steps
    others = 16 + 8 + 8 + 1  # numbers of frames, action, reward and flag
    now = psutil.Process().memory_info().rss
    return {
        "frame_bytes_a_step": frames,
        "now_mb": now / 1e6,
        "whole_run_mb": (now + (total - store.steps) * (frames + others)) / 1e6,
    }


def reward_model(a2c_steps_per_s: float, steps: int) -> dict[str, float]:
    """What predicting and sessions add to the study's runs."""
    asked = sum(LABELS)
    run = Run(
        spec(
            "random",
            total_steps=20 * steps,
            labels={"total": asked, "initial": LABELS[0], "sessions": 2, "probe_pairs": 10},
        )
    )
    learner = run.learner
    assert learner
    advance(run, steps)
    sessions = []
    for count in (LABELS[0], asked - LABELS[0]):
        sessions.append(seconds(lambda n=count: learner.session(run.agent, [0.0], n, n // 10)))
    rows = np.arange(run.plan.size)  # as many as in a rollout
    shown, actions = np.asarray(run.behaviour.observations[rows]), run.behaviour.actions[rows]
    times = [seconds(lambda: learner.model.rewards(shown, actions)) for _ in range(2 * TURNS)]
    predicting = median(times) / len(rows)
    # A session costs a + b x (labels so far); the first has few of them.
    slope = (sessions[1] - sessions[0]) / (asked - LABELS[0])
    plan = Plan.of(spec("random"))
    labels = np.cumsum(plan.queries)
    all_sessions = sum(max(0.0, sessions[0] + slope * (n - LABELS[0])) for n in labels.tolist())
    learned = plan.steps - plan.when[0] * plan.size
    added = (learned * predicting + all_sessions) / (plan.steps / a2c_steps_per_s)
    return {
        "prediction_us_a_step": predicting * 1e6,
        "first_session_s": sessions[0],
        "second_session_s": sessions[1],
        "all_sessions_s": all_sessions,
        "adds": added,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=8000, help="of each turn")
    parser.add_argument("--reference", help="a Python with stable-baselines3")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("atari.json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    compilation.prepare()
    with threadpool_limits(1):
        results: dict[str, Any] = {"machine": {"cpu": machine.description()["cpu"]}}
        results |= speeds(args.steps, args.reference)
        results["reward_model"] = reward_model(results["a2c_steps_per_s"], args.steps)
    args.out.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
