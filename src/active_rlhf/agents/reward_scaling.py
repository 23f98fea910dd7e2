"""Scaling rewards by the running sd of their discounted return."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

LIMIT = 10.0


@dataclass
class RewardScale:
    """gymnasium's NormalizeReward for whole rollouts: the moments count a rollout, then scale it.

    The policy's rewards all go through this, true or learned. The discounted return starts anew
    wherever an episode ends; gymnasium's goes on past a time limit (docs/fidelity.md says why).
    """

    gamma: float
    carried: float = 0.0
    mean: float = 0.0
    variance: float = 1.0
    count: float = 1e-4

    def __call__(self, rewards: np.ndarray, ended: np.ndarray) -> np.ndarray:
        """Scaled rewards float64 [T] within +-10, for rewards [T] and episode ends bool [T]."""
        returns = np.empty(len(rewards))
        for t, reward in enumerate(rewards):
            self.carried = self.carried * self.gamma + reward
            returns[t] = self.carried
            if ended[t]:
                self.carried = 0.0
        n, total = len(rewards), self.count + len(rewards)
        delta = returns.mean() - self.mean
        squares = self.variance * self.count + returns.var() * n + delta**2 * self.count * n / total
        self.mean += delta * n / total
        self.variance, self.count = squares / total, total
        return np.clip(rewards / np.sqrt(self.variance + 1e-8), -LIMIT, LIMIT)

    def state_dict(self) -> dict[str, float]:
        return dict(vars(self))

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        vars(self).update(state)
