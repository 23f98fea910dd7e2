"""A torch module and its optimiser as arrays by name, for checkpoints and saved models."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn


def arrays(module: nn.Module) -> dict[str, np.ndarray]:
    """Parameters and buffers by name; writing into them changes the module."""
    return {name: tensor.numpy() for name, tensor in module.state_dict().items()}


def state(module: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, np.ndarray]:
    """A copy of these, and of what the optimiser keeps of every parameter, such as Adam's moments,
    as `optimiser.<name>.<moment>`."""
    found = dict(arrays(module))
    for name, parameter in module.named_parameters():
        for key, moment in optimiser.state.get(parameter, {}).items():
            found[f"optimiser.{name}.{key}"] = moment.numpy()
    return {name: array.copy() for name, array in found.items()}


def load_state(
    module: nn.Module, optimiser: torch.optim.Optimizer, saved: Mapping[str, np.ndarray]
) -> None:
    """Take over the `state` of another module of the same kind."""
    for name, tensor in module.state_dict().items():
        tensor.copy_(torch.from_numpy(np.asarray(saved[name], order="C")))
    parameters = dict(module.named_parameters())
    for name, moment in saved.items():
        if name.startswith("optimiser."):
            of, _, key = name.removeprefix("optimiser.").rpartition(".")
            optimiser.state[parameters[of]][key] = torch.from_numpy(moment.copy())
