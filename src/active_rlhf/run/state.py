"""Everything that a run's next step depends on, by name, for its checkpoints.

Every part of a run saves and restores itself (`state_dict`, `load_state_dict`); adding or removing
a part changes nothing for the others.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np

from active_rlhf.run import streams
from active_rlhf.run.loop import Run


class Saveable(Protocol):
    """A part of a run that checkpoints save."""

    def state_dict(self) -> Any:
        """A tree of mappings and lists whose leaves are arrays and JSON values."""

    def load_state_dict(self, state: Any) -> None:
        """Take over another one's `state_dict`."""


def _parts(run: Run) -> dict[str, Saveable]:
    parts: dict[str, Saveable] = {
        "agent": run.agent,
        **{f"{kind} scale": scale for kind, scale in run.scales.items()},
        "behaviour": run.behaviour,
        "clock": run.clock,
        "cost": run.cost,
    }
    return parts | ({"learner": run.learner} if run.learner else {})


def _streams(run: Run) -> dict[str, np.random.Generator]:
    return run.streams | {"judge": run.judge.stream}


def state_of(run: Run) -> dict[str, Any]:
    """Everything except the rows of the store of behaviour; and the spec, for readers."""
    return {
        "spec": run.spec.as_dict(),
        "done": run.done,
        "earned": run.earned,
        "episodes": run.episodes,
        "evaluations": run.evaluations,
        "streams": streams.states(_streams(run)),
        "task": run.task.state_dict(),
        "elapsed": run.task.elapsed,
        "parts": {name: part.state_dict() for name, part in _parts(run).items()},
    }


def restore(
    run: Run,
    state: Mapping[str, Any],
    rows: Iterable[np.ndarray],
    pictures: Iterable[np.ndarray] = (),
) -> None:
    """Bring a new run to the state of another, whose store gave `rows` and perhaps `pictures`.

    Raises NotReproducible if the environment cannot be restored.
    """
    for piece in rows:
        run.behaviour.extend(piece)
    if run.behaviour.pictures is not None:
        run.behaviour.pictures.extend(pictures)
    elapsed, many = state["elapsed"], run.behaviour.lanes > 1
    episodes = [run.behaviour.current(*of) for of in enumerate(elapsed if many else [elapsed])]
    actions = [run.behaviour.actions[rows] for rows in episodes]
    rewards = [run.behaviour.rewards[rows] for rows in episodes]
    if many:
        run.task.load_state_dict(state["task"], actions, rewards)
    else:
        run.task.load_state_dict(state["task"], actions[0], rewards[0])
    streams.restore(_streams(run), state["streams"])
    for name, part in _parts(run).items():
        part.load_state_dict(state["parts"][name])
    run.done, run.episodes, run.earned = state["done"], state["episodes"], state["earned"]
    run.evaluations = state["evaluations"]
