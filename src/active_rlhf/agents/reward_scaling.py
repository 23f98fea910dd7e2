"""Scaling rewards by the running sd of their discounted return."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

LIMIT = 10.0


@dataclass
class RewardScale:
    """gymnasium's NormalizeReward for whole rollouts: the moments count a rollout, then scale it.

    The policy's rewards all go through this, true or learned. The discounted return starts anew
    wherever an episode ends; gymnasium's goes on past a time limit (docs/fidelity.md says why).
    Environments in step each have their own, and share the moments.
    """

    gamma: float
    carried: list[float] = field(default_factory=lambda: [0.0])  # by environment
    mean: float = 0.0
    variance: float = 1.0
    count: float = 1e-4

    @classmethod
    def of(cls, gamma: float, lanes: int) -> "RewardScale":
        """For rollouts of this many environments in step."""
        return cls(gamma, [0.0] * lanes)

    def __call__(self, rewards: np.ndarray, ended: np.ndarray) -> np.ndarray:
        """Scaled rewards float64 [T] within +-10, for rewards [T] and episode ends bool [T] of a
        rollout."""
        returns = np.empty(len(rewards))
        each = len(rewards) // len(self.carried)
        values, ends = rewards.tolist(), ended.tolist()
        for lane, carried in enumerate(self.carried):
            for t in range(lane * each, (lane + 1) * each):
                returns[t] = carried = carried * self.gamma + values[t]
                if ends[t]:
                    carried = 0.0
            self.carried[lane] = carried
        n, total = len(rewards), self.count + len(rewards)
        delta = returns.mean() - self.mean
        squares = self.variance * self.count + returns.var() * n + delta**2 * self.count * n / total
        self.mean += delta * n / total
        self.variance, self.count = squares / total, total
        return np.clip(rewards / np.sqrt(self.variance + 1e-8), -LIMIT, LIMIT)

    def state_dict(self) -> dict[str, Any]:
        return vars(self) | {"carried": list(self.carried)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)
