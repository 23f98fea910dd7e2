"""What checkpoints cost in a run of a million steps, at the settings of the thesis.

    python benchmarks/checkpoints.py [SELECTOR]

Runs are filled with made-up behaviour instead of being trained. A checkpoint is written after as
many steps as training takes in about a minute.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from active_rlhf.run.checkpoint import LATEST, ROWS, Checkpoints
from active_rlhf.run.loop import Run
from active_rlhf.study.loading import load_study, resolve_run
from active_rlhf.tasks.rollout import collect
from active_rlhf.teachers import Answers

STUDY = Path(__file__).parents[1] / "config/thesis.yaml"
A_MINUTE = {"HalfCheetah-v5": 240_000, "Ant-v5": 100_000}  # steps


def new_run(spec: dict[str, Any], generator: np.random.Generator) -> Run:
    """A run whose labels and tables are as long as they get, with one rollout of behaviour."""
    run = Run(spec)
    rollout = collect(run.actor, run.policy, run.size, generator)
    run.store.append(rollout)
    learner = run.learner
    count, length = learner.ledger.budget, learner.length
    pairs = run.store.draw(generator, 2 * count, length).reshape(-1, 2)
    answers = Answers(np.ones(count), np.ones(count))
    gathered = run.store.gather(pairs, length)
    learner.ledger.record(pairs, *gathered, answers, 0, np.zeros(count, bool))
    learner.sessions = [{f"column {i}": generator.random() for i in range(17)} for _ in range(50)]
    for step in range(1000, run.rollouts * run.size, 1000):
        run.episodes.append({"step": step, "return": generator.random(), "length": 1000})
    networks = [learner.ensemble] + ([learner.vae] if learner.vae else [])
    for array in (a for network in networks for a in network.state_dict().values()):
        if isinstance(array, np.ndarray):
            array[:] = generator.standard_normal(array.shape)  # nothing a disk could compress
    return run


def measure(spec: dict[str, Any], between: int, folder: Path) -> dict[str, float]:
    """Seconds of checkpoints, without and with the rows between them, and megabytes."""
    generator = np.random.default_rng(0)
    run = new_run(spec, generator)
    checkpoints = Checkpoints(folder, {}, run.store.row, print)
    rollout = collect(run.actor, run.policy, run.size, generator)

    def save() -> float:
        begin = time.perf_counter()
        checkpoints.save(run.state_dict(), run.store.rows(checkpoints.rows_saved))
        return time.perf_counter() - begin

    seconds = []
    while run.store.steps < run.rollouts * run.size:
        until = min(run.store.steps + between, run.rollouts * run.size)
        while run.store.steps < until:
            rollout.observations[:] = generator.standard_normal(rollout.observations.shape)
            run.store.append(rollout)
        seconds.append(save())
    without_rows = [save() for _ in range(5)]
    begin = time.perf_counter()
    other = Run(spec)
    again = Checkpoints(folder, {}, other.store.row, print)
    again.load()
    for part in again.rows():
        other.store.extend(part)
    return {
        "first, s": seconds[0],
        "last but one, s": seconds[-2],
        "mean, s": float(np.mean(seconds[:-1])),
        "mean without rows, s": float(np.mean(without_rows)),
        "reading, s": time.perf_counter() - begin,
        f"{LATEST}, MB": (folder / LATEST).stat().st_size / 1e6,
        f"{ROWS}, MB": (folder / ROWS).stat().st_size / 1e6,
    }


def main() -> None:
    selector = sys.argv[1] if len(sys.argv) > 1 else "hybrid"
    study = load_study(STUDY)
    for environment, between in A_MINUTE.items():
        spec = resolve_run(study, environment, selector, study["seeds"][0])
        with tempfile.TemporaryDirectory() as folder:
            found = measure(spec, between, Path(folder) / "checkpoint")
        shown = ", ".join(f"{name} {value:.3g}" for name, value in found.items())
        print(f"{environment} {selector}: {shown}")


if __name__ == "__main__":
    main()
