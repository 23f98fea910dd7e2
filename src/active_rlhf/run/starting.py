"""Fine-tuning: an agent that begins with the policy of a finished run."""

import numpy as np

from active_rlhf.agents import Agent
from active_rlhf.agents.saved import BOUNDS
from active_rlhf.errors import InputError
from active_rlhf.run.saved import load_arrays
from active_rlhf.study.settings import Spec
from active_rlhf.study.starting import POLICY, Source, source_of


def start(agent: Agent, spec: Spec) -> Source:
    """Give a new agent the policy that its spec names; returns where it is from.

    What a run saves of its policy is taken over: the networks, value function included, and the
    moments of the observations. Optimisers are not saved, and theirs at the end of annealing would
    not fit a learning rate that starts anew. Raises InputError if the agent cannot take it.
    """
    try:
        found = source_of(spec)
    except InputError as error:
        raise InputError(f"start_from: {error}") from error
    path, own = found.folder / POLICY, agent.arrays()
    saved = load_arrays(path)

    def refuse(why: str) -> InputError:
        return InputError(f"start_from: {path} does not fit the agent {spec.agent.name}: {why}")

    if names := sorted(own.keys() ^ saved.keys()):
        raise refuse(f"only one of them has {', '.join(names[:3])}")
    for name, array in own.items():
        one, other = saved[name].shape, array.shape
        if one != other or saved[name].dtype != array.dtype:
            raise refuse(f"{name} has the shape {list(one)} there, and {list(other)} here")
        if not _is_learned(name, array) and not np.array_equal(saved[name], array):
            raise refuse(f"{name} is {saved[name].tolist()} there, and {array.tolist()} here")
    for name, array in own.items():
        if _is_learned(name, array):
            array[...] = saved[name]
    for name, array in agent.arrays().items():
        if not np.array_equal(saved[name], array):
            raise refuse(f"writing into its arrays() does not change {name}")
    return found


def _is_learned(name: str, array: np.ndarray) -> bool:
    """Whether it is part of the policy, and not of the spaces that it is for."""
    return name not in BOUNDS and array.dtype.kind == "f"
