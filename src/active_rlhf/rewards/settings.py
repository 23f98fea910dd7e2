"""The settings of the reward networks."""

from typing import Annotated, Literal

from pydantic import Field

from active_rlhf.study.sections import Section, setting

Width = Annotated[int, Field(ge=1)]


class NetworkSettings(Section):
    """What ensembles of networks have in common."""

    members: int = setting(3, "of the ensemble", unit="networks", ge=1)
    hidden: tuple[Width, ...] = setting(
        (256, 256, 256), "of each member", unit="units per layer", min_length=1
    )
    learning_rate: float = setting(8e-5, "of Adam", unit="step size", gt=0)
    weight_decay: float = setting(1e-5, "of Adam", unit="weight", ge=0)
    dropout: float = setting(0.1, "of each hidden unit", unit="probability", ge=0, lt=1)
    epochs: int = setting(5, "over all labels so far", unit="passes per session", ge=1)
    batch_size: int = setting(32, "of a step of training", unit="pairs", ge=1)
    max_grad_norm: float = setting(1.0, "to which gradients are clipped", unit="norm", gt=0)


class MLPSettings(NetworkSettings):
    """An ensemble of multilayer perceptrons."""

    precision: Literal["auto", "float32", "bfloat16"] = setting(
        "auto",
        "in which networks multiply: `bfloat16` (weights, sums and optimiser stay float32), "
        "`float32`, or `auto`: whichever is faster on the machine where the study is started, "
        "which the study then keeps everywhere",
        unit="`auto`, `float32`, `bfloat16`",
    )


class TorchMLPSettings(NetworkSettings):
    """The same in plain torch, always in float32."""
