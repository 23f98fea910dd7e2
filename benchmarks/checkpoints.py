"""What checkpoints cost in a run of a million steps, at the settings of the thesis.

    python benchmarks/checkpoints.py [SELECTOR]

Runs are filled with synthetic behaviour instead of being trained. A checkpoint is written after as
many steps as a minute of training takes.
"""

import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from active_rlhf.run.checkpoint import LATEST, ROWS, Checkpoints
from active_rlhf.run.loop import Run
from active_rlhf.run.state import state_of
from active_rlhf.study.loading import load_study, resolve_run
from active_rlhf.study.settings import Spec
from active_rlhf.tasks.rollout import Rollout
from active_rlhf.teachers import Answers

STUDY = Path(__file__).parents[1] / "config/thesis.yaml"
A_MINUTE = {"HalfCheetah-v5": 240_000, "Ant-v5": 100_000}  # steps


def new_run(spec: Spec, generator: np.random.Generator) -> tuple[Run, Rollout]:
    """A run whose labels and tables are as long as they get, and its one rollout of behaviour."""
    run = Run(spec)
    rollout = run.agent.act(run.task, run.plan.size, generator)
    run.behaviour.append(rollout)
    learner = run.learner
    assert learner
    count, length = learner.ledger.budget, learner.length
    pairs = run.behaviour.draw(generator, 2 * count, length).reshape(-1, 2)
    tickets = learner.ledger.ask(pairs, session=0, held_out=np.zeros(count, bool))
    learner.ledger.answer(tickets, Answers(np.ones(count), np.ones(count)))
    learner.records = [{f"column {i}": generator.random() for i in range(17)} for _ in range(50)]
    for step in range(1000, run.plan.steps, 1000):
        run.episodes.append({"step": step, "return": generator.random(), "length": 1000})
    networks = [learner.model] + ([learner.vae] if learner.vae else [])
    for array in (a for network in networks for a in arrays(network.state_dict())):
        array[...] = generator.standard_normal(array.shape)  # nothing a disk could compress
    return run, rollout


def arrays(state: Any) -> Iterator[np.ndarray]:
    """The arrays of a part's state."""
    if isinstance(state, np.ndarray):
        yield state
    elif isinstance(state, Mapping):
        for value in state.values():
            yield from arrays(value)


def measure(spec: Spec, between: int, folder: Path) -> dict[str, float]:
    """Seconds of checkpoints, without and with the rows between them, and megabytes."""
    generator = np.random.default_rng(0)
    run, rollout = new_run(spec, generator)
    behaviour, steps = run.behaviour, run.plan.steps
    checkpoints = Checkpoints(folder, {}, behaviour.row, print)

    def save() -> float:
        begin = time.perf_counter()
        checkpoints.save(state_of(run), behaviour.rows(checkpoints.rows_saved))
        return time.perf_counter() - begin

    seconds = []
    while behaviour.steps < steps:
        until = min(behaviour.steps + between, steps)
        while behaviour.steps < until:
            rollout.observations[:] = generator.standard_normal(rollout.observations.shape)
            behaviour.append(rollout)
        seconds.append(save())
    without_rows = [save() for _ in range(5)]
    begin = time.perf_counter()
    other = Run(spec)
    again = Checkpoints(folder, {}, other.behaviour.row, print)
    state = again.load()
    assert state
    for part in again.rows():
        other.behaviour.extend(part)
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
        spec = resolve_run(study, environment, selector, study.seeds[0])
        with tempfile.TemporaryDirectory() as folder:
            found = measure(spec, between, Path(folder) / "checkpoint")
        shown = ", ".join(f"{name} {value:.3g}" for name, value in found.items())
        print(f"{environment} {selector}: {shown}")


if __name__ == "__main__":
    main()
