"""The settings of the reward networks."""

from typing import Annotated, Literal

from pydantic import Field

from active_rlhf.study.sections import Section, setting

Width = Annotated[int, Field(ge=1)]
Sample = Literal["session", "epoch", "none"]  # when a member draws its sample of the labels


class NetworkSettings(Section):
    """What ensembles of networks have in common."""

    members: int = setting(3, "networks in the ensemble", unit="networks", ge=1)
    hidden: tuple[Width, ...] = setting(
        (256, 256, 256), "hidden units of each member", unit="units per layer", min_length=1
    )
    learning_rate: float = setting(8e-5, "Adam's learning rate", unit="step size", gt=0)
    weight_decay: float = setting(1e-5, "Adam's weight decay", unit="weight", ge=0)
    dropout: float = setting(
        0.1, "probability that a hidden unit is dropped in training", unit="probability", ge=0, lt=1
    )
    epochs: int = setting(5, "passes over all labels so far", unit="passes per session", ge=1)
    bootstrap: Sample = setting(
        "session",
        "when each member draws its own sample of the labels, with replacement: once per "
        "`session`, anew in each `epoch`, or `none`: all members learn from all labels",
        unit="`session`, `epoch`, `none`",
    )
    batch_size: int = setting(32, "pairs in one training step", unit="pairs", ge=1)
    max_grad_norm: float = setting(
        1.0, "largest norm of a gradient; larger ones are scaled down", unit="norm", gt=0
    )


class MLPSettings(NetworkSettings):
    """An ensemble of multilayer perceptrons."""

    precision: Literal["auto", "float32", "bfloat16"] = setting(
        "auto",
        "number type of matrix products: `bfloat16` (weights, sums and optimiser stay float32), "
        "`float32`, or `auto`: whichever is faster on the machine where the study starts, which "
        "then keeps it everywhere",
        unit="`auto`, `float32`, `bfloat16`",
    )


class TorchMLPSettings(NetworkSettings):
    """The same in plain torch, always in float32."""


class CNNSettings(Section):
    """An ensemble of convolutional networks on stacked frames."""

    members: int = setting(3, "networks in the ensemble", unit="networks", ge=1)
    units: int = setting(64, "units between convolutions and reward", unit="units", ge=1)
    batch_norm: bool = setting(
        True, "normalise what each convolution gives over the minibatch", unit="true, false"
    )
    dropout: float = setting(
        0.5,
        "probability that what a convolution gives is dropped in training, one by one",
        unit="probability",
        ge=0,
        lt=1,
    )
    learning_rate: float = setting(3e-4, "Adam's learning rate", unit="step size", gt=0)
    weight_decay: float = setting(1e-5, "Adam's weight decay", unit="weight", ge=0)
    epochs: int = setting(2, "passes over all labels so far", unit="passes per session", ge=1)
    bootstrap: Sample = setting(
        "session",
        "when each member draws its own sample of the labels, with replacement: once per "
        "`session`, anew in each `epoch`, or `none`: all members learn from all labels",
        unit="`session`, `epoch`, `none`",
    )
    batch_size: int = setting(4, "pairs in one training step", unit="pairs", ge=1)
    max_grad_norm: float = setting(
        1.0, "largest norm of a gradient; larger ones are scaled down", unit="norm", gt=0
    )
