"""The settings of PPO."""

from typing import Annotated, Literal

from pydantic import Field

from active_rlhf.study.sections import Section, setting

Width = Annotated[int, Field(ge=1)]


class PPOSettings(Section):
    """Proximal policy optimisation, as in CleanRL's variant for continuous actions."""

    hidden: tuple[Width, ...] = setting(
        (64, 64), "of the policy and of the value network", unit="units per layer", min_length=1
    )
    activation: Literal["tanh", "relu"] = setting(
        "tanh", "between the layers of both networks", unit="name"
    )
    rollout_steps: int = setting(
        2048, "collected between two policy updates", unit="environment steps", ge=1
    )
    epochs: int = setting(10, "over each rollout", unit="passes", ge=1)
    minibatches: int = setting(
        32, "must divide `rollout_steps`, into two steps or more", unit="per pass", ge=1
    )
    learning_rate: float = setting(3e-4, "of Adam, at the start", unit="step size", gt=0)
    anneal: bool = setting(True, "lower the learning rate linearly to 0", unit="true, false")
    gamma: float = setting(0.99, "discount", unit="per step", ge=0, le=1)
    gae_lambda: float = setting(
        0.95, "of generalised advantage estimation", unit="per step", ge=0, le=1
    )
    clip: float = setting(0.2, "of the policy ratio, and of value changes", unit="ratio", gt=0)
    entropy_coefficient: float = setting(0.0, "of the entropy bonus", unit="weight", ge=0)
    value_coefficient: float = setting(0.5, "of the value loss", unit="weight", ge=0)
    max_grad_norm: float = setting(0.5, "to which gradients are clipped", unit="norm", gt=0)
