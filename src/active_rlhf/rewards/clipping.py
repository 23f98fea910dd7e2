"""A reward model that sees actions as the environment receives them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from active_rlhf.agents.normalise import Moments
    from active_rlhf.rewards import RewardModel


class ClippedActions:
    """Any reward model, with the actions clipped to `bounds`, float32 [a] each, by two names.

    The lower ones come first. They are saved with the model, under these names.
    """

    def __init__(self, model: "RewardModel", bounds: Mapping[str, np.ndarray]):
        self._model, self._bounds = model, dict(bounds)

    def _clipped(self, actions: np.ndarray) -> np.ndarray:
        return np.clip(actions, *self._bounds.values())

    def observe(self, moments: "Moments") -> None:
        self._model.observe(moments)

    def fit(
        self,
        observations: np.ndarray,
        actions: np.ndarray,
        preferences: np.ndarray,
        importance: np.ndarray | None = None,
    ) -> float:
        given = (observations, self._clipped(actions), preferences)
        return (
            self._model.fit(*given) if importance is None else self._model.fit(*given, importance)
        )

    @property
    def parameters(self) -> np.ndarray:
        return self._model.parameters

    def member_rewards(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        return self._model.member_rewards(observations, self._clipped(actions))

    def features(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        return self._model.features(observations, self._clipped(actions))

    def calibrate(self, member_rewards: np.ndarray) -> None:
        self._model.calibrate(member_rewards)

    def combined(self, member_rewards: np.ndarray) -> np.ndarray:
        return self._model.combined(member_rewards)

    def rewards(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        return self._model.rewards(observations, self._clipped(actions))

    def preferences(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        return self._model.preferences(observations, self._clipped(actions))

    def state_dict(self) -> dict[str, Any]:
        return self._model.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._model.load_state_dict(state)

    def arrays(self) -> dict[str, np.ndarray]:
        return self._model.arrays() | self._bounds

    @classmethod
    def sizes(cls, arrays: Mapping[str, np.ndarray], settings: Any) -> tuple[int, int]:
        raise NotImplementedError("ask the model whose actions are clipped")
