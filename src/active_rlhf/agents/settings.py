"""The settings that agents with networks have in common."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from active_rlhf.study.sections import Section, setting

Width = Annotated[int, Field(ge=1)]

OF_CNN: Mapping[str, Any] = {"hidden": (512,), "activation": "relu"}  # other defaults


class NetworkSettings(Section):
    """Which networks an agent has."""

    network: Literal["mlp", "cnn"] = setting(
        "mlp",
        "`mlp`: a perceptron each for policy and values, on normalised observations; `cnn`: for "
        "pictures, three convolutions (Mnih et al. 2015) that policy and values share",
        unit="`mlp`, `cnn`",
    )
    hidden: tuple[Width, ...] = setting(
        (64, 64),
        "hidden units of the policy network and of the value network; with `cnn`, of the layers "
        "between the convolutions and both outputs, one of 512 by default",
        unit="units per layer",
        min_length=1,
    )
    activation: Literal["tanh", "relu"] = setting(
        "tanh",
        "activation between the layers of the networks; with `cnn` it is `relu`",
        unit="name",
    )

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_network(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and given.get("network") == "cnn":
            return {**OF_CNN, **given}
        return given
