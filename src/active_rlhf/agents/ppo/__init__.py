"""Proximal policy optimisation: `update.py` to read, `agent.py` compiled; which of them runs."""

from typing import Any

import numpy as np

from active_rlhf.agents import Agent
from active_rlhf.agents.ppo.settings import PPOSettings
from active_rlhf.parts import agent


def hindrance(task: Any, settings: PPOSettings) -> str | None:
    """Why the compiled path cannot run, or None if it can."""
    from active_rlhf.compute.compilation import compiles

    space = task.observation_space
    if not compiles():
        return "kernels do not compile here"
    if hasattr(task.action_space, "n"):
        return f"{task.name} has discrete actions, and only continuous ones are compiled"
    if len(space.shape) != 1 or space.dtype.kind != "f":
        return f"{task.name} observes {space}, and only flat floating-point ones are compiled"
    if settings.environments > 1:
        return f"{settings.environments} environments in step, and only one is compiled"
    if len(settings.hidden) != 2:
        return f"{len(settings.hidden)} hidden layers, and only two are compiled"
    if settings.activation != "tanh":
        return f"activation {settings.activation}, and only tanh is compiled"
    return None


def build(settings: PPOSettings, task: Any, stream: np.random.Generator) -> Agent:
    """The agent, compiled if possible. `stream` draws the initial weights."""
    because = hindrance(task, settings)
    if because is None:
        from active_rlhf.agents.ppo.agent import CompiledPPO

        return CompiledPPO(task, settings, stream)
    from active_rlhf.agents.ppo.update import TorchPPO

    return TorchPPO(task, settings, stream, because)


@agent
def ppo(task: Any, stream: np.random.Generator, settings: PPOSettings) -> Agent:
    """Proximal policy optimisation, as in CleanRL's variant for continuous actions."""
    return build(settings, task, stream)
