"""Advantage actor-critic: `agent.py` in plain torch."""

from typing import Any

import numpy as np

from active_rlhf.agents import Agent
from active_rlhf.agents.a2c.settings import A2CSettings
from active_rlhf.parts import agent


@agent
def a2c(task: Any, stream: np.random.Generator, settings: A2CSettings) -> Agent:
    """Advantage actor-critic (A2C) in several environments in step, as for Atari."""
    from active_rlhf.agents.a2c.agent import A2C

    return A2C(task, settings, stream)
