"""The settings of A2C."""

from typing import Literal

from active_rlhf.agents.settings import NetworkSettings
from active_rlhf.study.sections import setting


class A2CSettings(NetworkSettings):
    """Advantage actor-critic (Mnih et al. 2016), in several environments in step."""

    environments: int = setting(
        16,
        "environments that it acts in, in step; must divide `rollout_steps`",
        unit="environments",
        ge=1,
        le=1024,
    )
    rollout_steps: int = setting(
        80,
        "steps collected between two policy updates, in all environments together: each takes "
        "`rollout_steps / environments`, the n of n-step returns",
        unit="environment steps",
        ge=1,
    )
    precision: Literal["float32", "bfloat16"] = setting(
        "float32",
        "number type of what the layers of a `cnn` take and give (parameters and outputs stay "
        "float32): `bfloat16` is faster by a quarter where the processor has instructions for it, "
        "and slow elsewhere; `mlp` has none",
        unit="`float32`, `bfloat16`",
    )
    learning_rate: float = setting(7e-4, "RMSprop's initial learning rate", unit="step size", gt=0)
    anneal: bool = setting(False, "lower the learning rate linearly to 0", unit="true, false")
    decay: float = setting(
        0.99, "RMSprop's decay of the mean square of gradients", unit="per update", gt=0, lt=1
    )
    epsilon: float = setting(
        1e-5, "added to that mean square under its root", unit="squared gradient", gt=0
    )
    gamma: float = setting(0.99, "discount factor", unit="per step", ge=0, le=1)
    gae_lambda: float = setting(
        1.0,
        "lambda of generalised advantage estimation; 1: n-step returns",
        unit="per step",
        ge=0,
        le=1,
    )
    truncation: Literal["bootstrap", "terminal"] = setting(
        "bootstrap",
        "what is expected after a time limit: the value of the last observation (`bootstrap`), or "
        "nothing, as after a terminal state (`terminal`)",
        unit="`bootstrap`, `terminal`",
    )
    entropy_coefficient: float = setting(0.01, "weight of the entropy bonus", unit="weight", ge=0)
    value_coefficient: float = setting(
        0.25, "weight of the squared error of values", unit="weight", ge=0
    )
    max_grad_norm: float = setting(
        0.5, "largest norm of a gradient; larger ones are scaled down", unit="norm", gt=0
    )
