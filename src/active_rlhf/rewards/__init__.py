"""What was learned from the answers: reward models.

A reward model predicts the reward of a step from (observation, action) and is trained on pairs of
segments and what a teacher said of them. `mlp` is the compiled one that runs use by default,
`torch_mlp` the same in plain torch, to read and to copy; `ensemble` is what they share, `measures`
what is said of predictions.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from active_rlhf.agents.normalise import Moments


class RewardModel(Protocol):
    """E members that each predict rewards, and one reward that combines them.

    Observations are raw [..., o], actions as the policy sampled them [..., a] (for a discrete
    choice, its number [...]); pairs of segments have [n, 2, H, .] of both.
    """

    @classmethod
    def sizes(cls, arrays: Mapping[str, np.ndarray], settings: Any) -> tuple[int, int]:
        """Numbers o and a of a model of these settings that left these `arrays`.

        Raises ValueError if none did.
        """

    def observe(self, moments: "Moments") -> None:
        """Take today's observation statistics as the members' normaliser."""

    def fit(self, observations: np.ndarray, actions: np.ndarray, preferences: np.ndarray) -> float:
        """Train on pairs with answers [n] (1 first, 0 second, .5 equal); the last epoch's loss."""

    @property
    def parameters(self) -> np.ndarray:
        """All that `fit` changes and that must be finite."""

    def member_rewards(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Each member's rewards float32 [E, ...], on a scale of its own."""

    def features(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """float32 [E, N, k] of segments [N, H, .]: what each member's last layer, which is linear,
        sees of them, summed over steps."""

    def calibrate(self, member_rewards: np.ndarray) -> None:
        """Make these [E, ...] of mean 0 and sd 1, each member's."""

    def combined(self, member_rewards: np.ndarray) -> np.ndarray:
        """One reward float64 [...] of the members' [E, ...]."""

    def rewards(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """The combined reward float64 [...]."""

    def preferences(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """P(first preferred) of each member, float64 [E, n], for pairs."""

    def state_dict(self) -> dict[str, Any]:
        """All that `fit` goes on from, but for the random stream: a tree of arrays."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the state of a model of the same settings."""

    def arrays(self) -> dict[str, np.ndarray]:
        """All that predictions need, by name; writing into them changes the model."""


def build(
    name: str,
    given: Mapping[str, Any],
    observations: int,
    actions: int,
    generator: np.random.Generator,
) -> RewardModel:
    """The reward model of that name for o observations and a actions (or choices).

    given: its settings, those left out are the default ones. All its randomness comes from
    `generator`. Raises InputError for a name or a setting that is not known.
    """
    from active_rlhf.parts import part

    return part("reward_model", name).build(given, observations, actions, generator)
