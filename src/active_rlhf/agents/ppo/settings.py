"""The settings of PPO."""

from typing import Literal

from active_rlhf.agents.settings import NetworkSettings
from active_rlhf.study.sections import setting


class PPOSettings(NetworkSettings):
    """Proximal policy optimisation, as in CleanRL's variant for continuous actions."""

    environments: int = setting(
        1,
        "environments that it acts in, in step; must divide `rollout_steps`. With more than one "
        "nothing is compiled",
        unit="environments",
        ge=1,
        le=1024,
    )
    rollout_steps: int = setting(
        2048,
        "steps collected between two policy updates, in all environments together",
        unit="environment steps",
        ge=1,
    )
    epochs: int = setting(10, "passes over each rollout", unit="passes", ge=1)
    minibatches: int = setting(
        32,
        "minibatches per pass; must divide `rollout_steps` into parts of two steps or more",
        unit="per pass",
        ge=1,
    )
    learning_rate: float = setting(3e-4, "Adam's initial learning rate", unit="step size", gt=0)
    anneal: bool = setting(True, "lower the learning rate linearly to 0", unit="true, false")
    gamma: float = setting(0.99, "discount factor", unit="per step", ge=0, le=1)
    gae_lambda: float = setting(
        0.95, "lambda of generalised advantage estimation", unit="per step", ge=0, le=1
    )
    truncation: Literal["bootstrap", "terminal"] = setting(
        "bootstrap",
        "what is expected after a time limit: the value of the last observation (`bootstrap`), or "
        "nothing, as after a terminal state (`terminal`)",
        unit="`bootstrap`, `terminal`",
    )
    clip: float = setting(
        0.2,
        "how far the policy ratio may move from 1, and a value from its old one",
        unit="ratio",
        gt=0,
    )
    entropy_coefficient: float = setting(0.0, "weight of the entropy bonus", unit="weight", ge=0)
    value_coefficient: float = setting(0.5, "weight of the value loss", unit="weight", ge=0)
    max_grad_norm: float = setting(
        0.5, "largest norm of a gradient; larger ones are scaled down", unit="norm", gt=0
    )
