"""From a network's outputs to actions: a distribution for each kind of action space, in torch.

Exploration is drawn for a whole rollout at once by numpy, so that it comes from the run's own
stream; without noise an action is the greedy one.
"""

from typing import Any

import numpy as np
import torch
from torch.distributions import Categorical as CategoricalDistribution
from torch.distributions import Distribution, Independent, Normal


class Gaussian(torch.nn.Module):
    """Independent normals around the outputs [n, a], with a standard deviation of their own."""

    def __init__(self, actions: int):
        super().__init__()
        self.outputs = actions
        self.log_std = torch.nn.Parameter(torch.zeros(actions))

    def noise(self, stream: np.random.Generator, steps: int) -> np.ndarray:
        """Standard normal, float32 [steps, a]."""
        return stream.standard_normal((steps, self.outputs), np.float32)

    def action(self, outputs: torch.Tensor, noise: np.ndarray | None) -> np.ndarray:
        """Actions float32 [..., a]."""
        if noise is None:
            return outputs.numpy()
        return (outputs + torch.from_numpy(noise) * self.log_std.exp()).numpy()

    def distribution(self, outputs: torch.Tensor) -> Distribution:
        return Independent(Normal(outputs, self.log_std.exp()), 1)


class Categorical(torch.nn.Module):
    """One of k actions, with the outputs [n, k] as logits."""

    def __init__(self, choices: int):
        super().__init__()
        self.outputs = choices

    def noise(self, stream: np.random.Generator, steps: int) -> np.ndarray:
        """Standard Gumbel, float32 [steps, k]: the largest of logits + noise is a sample."""
        return stream.gumbel(size=(steps, self.outputs)).astype(np.float32)

    def action(self, outputs: torch.Tensor, noise: np.ndarray | None) -> np.ndarray:
        """Actions int64 [...]."""
        logits = outputs if noise is None else outputs + torch.from_numpy(noise)
        return logits.argmax(-1).numpy()

    def distribution(self, outputs: torch.Tensor) -> Distribution:
        return CategoricalDistribution(logits=outputs)


def head(action_space: Any) -> Gaussian | Categorical:
    """The head for a gymnasium Box [a] or Discrete."""
    if hasattr(action_space, "n"):
        return Categorical(int(action_space.n))
    return Gaussian(action_space.shape[0])
