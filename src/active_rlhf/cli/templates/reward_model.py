"""A reward model: what is learned from the answers.

In a study:

    parts: [template_name.py]
    reward_model: {name: template_name, members: 5}

`active_rlhf/rewards/torch_mlp.py` is one of networks, in plain torch, to copy.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from active_rlhf.parts import reward_model
from active_rlhf.rewards.ensemble import Ensemble, bootstrap


@reward_model(name="template_name")
class TemplateName(Ensemble):  # which normalises observations, and combines members' rewards
    """Linear in observation and action."""

    def __init__(
        self,
        observations: int,
        actions: int,
        generator: np.random.Generator,
        *,
        # Every keyword-only parameter is a setting, with its type, range and a sentence.
        members: Annotated[int, Field(ge=1, description="members of the ensemble")] = 3,
        learning_rate: Annotated[
            float, Field(gt=0, description="step size of gradient descent")
        ] = 0.02,
        epochs: Annotated[int, Field(ge=1, description="passes over all labels per session")] = 20,
        batch_size: Annotated[int, Field(ge=1, description="pairs in one step")] = 32,
    ):
        super().__init__(members, observations, actions)
        self.generator, self.learning_rate = generator, learning_rate
        self.epochs, self.batch_size = epochs, batch_size
        # Draw all random numbers from `generator`.
        self.weights = generator.normal(0, 0.1, (members, observations + actions))

    def fit(self, observations: np.ndarray, actions: np.ndarray, preferences: np.ndarray) -> float:
        """Train on pairs [n, 2, H, .] with answers [n] (1 first, 0 second, .5 equal)."""
        sums = self.inputs(observations, actions).sum(axis=2, dtype=np.float64)  # [n, 2, o + a]
        difference = sums[:, 0] - sums[:, 1]
        losses = []
        for weights in self.weights:  # each member on its own bootstrap sample
            loss = 0.0
            for epoch in bootstrap(len(preferences), self.batch_size, self.epochs, self.generator):
                loss = 0.0
                for pairs, counts in epoch:
                    logits, wanted = difference[pairs] @ weights, preferences[pairs]
                    loss += counts @ (np.logaddexp(0, logits) - wanted * logits) / len(epoch)
                    slope = 1 / (1 + np.exp(-np.clip(logits, -500, 500))) - wanted
                    weights -= self.learning_rate * (counts * slope) @ difference[pairs]
            losses.append(loss)
        return float(np.mean(losses))

    @property
    def parameters(self) -> np.ndarray:
        return self.weights

    def member_rewards(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """float32 [E, ...] of raw observations [..., o] and actions [..., a]."""
        rewards = np.moveaxis(self.inputs(observations, actions) @ self.weights.T, -1, 0)
        return rewards.astype(np.float32)

    def features(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """What a member's last, linear layer sees of segments [N, H, .], summed, [E, N, k]."""
        sums = self.inputs(observations, actions).sum(axis=1)
        return np.repeat(sums[None], len(self.weights), axis=0)

    # Checkpoints hold this (everything `fit` continues from, except the generator) ...
    def state_dict(self) -> dict[str, Any]:
        return {"weights": self.weights} | self.scales()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.weights[:] = state["weights"]
        self.load_scales(state)

    # ... and saved models hold this, from which `sizes` tells what model to make.
    def arrays(self) -> dict[str, np.ndarray]:
        sizes = np.array([self.observations, self.actions])
        return {"weights": self.weights, "sizes": sizes} | self.scales()

    @classmethod
    def sizes(cls, arrays: Mapping[str, np.ndarray], settings: Any) -> tuple[int, int]:
        """Numbers of observations and actions. Raises ValueError for arrays of something else."""
        if "weights" not in arrays or len(arrays["weights"]) != settings.members:
            raise ValueError("holds no weights of that many members")
        observations, actions = map(int, arrays["sizes"])
        return observations, actions
