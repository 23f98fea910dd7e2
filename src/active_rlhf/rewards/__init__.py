"""What was learned from the answers: reward models.

A reward model predicts the reward of a step from (observation, action) and is trained on pairs of
segments and a teacher's answers about them. `mlp` is the compiled default; `torch_mlp` is the same
in plain torch, to read and to copy; `cnn` is one for stacked frames; `ensemble` is what they share;
`clipping` shows any of them clipped actions; `measures` evaluates predictions.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from active_rlhf.agents.normalise import Moments


class RewardModel(Protocol):
    """E members that each predict rewards, and one reward that combines them.

    Observations [..., o] are raw; those of a model declared with pictures=True are [..., k, h, w]
    and may be `behaviour.stacks.Pictures`, which are read where needed. Actions [..., a] are as
    the policy sampled them, or clipped if `labels.actions` says so (a discrete choice is a number
    [...]). Pairs of segments have shape
    [n, 2, H, .].
    """

    @classmethod
    def sizes(
        cls, arrays: Mapping[str, np.ndarray], settings: Any
    ) -> tuple[int | tuple[int, int, int], int]:
        """What `build` takes as observations and actions, of the model of these settings that
        saved these `arrays`.

        Raises ValueError if it was no such model.
        """

    def observe(self, moments: "Moments") -> None:
        """Take today's observation statistics as the members' normaliser."""

    def fit(
        self,
        observations: np.ndarray,
        actions: np.ndarray,
        preferences: np.ndarray,
        importance: np.ndarray | None = None,
    ) -> float:
        """Train on pairs with answers [n] (1 first, 0 second, .5 equal); the last epoch's loss.

        importance [n], above 0: how much each answer counts; given only if a study weights answers
        by the teacher's confidence.
        """

    @property
    def parameters(self) -> np.ndarray:
        """Everything that `fit` changes and that must be finite."""

    def member_rewards(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Each member's rewards float32 [E, ...], on its own scale."""

    def features(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """For segments [N, H, .], float32 [E, N, k]: inputs of each member's last layer, which is
        linear, summed over steps.

        A model without such a layer leaves this out; selectors whose parts declare `features` are
        then refused.
        """

    def calibrate(self, member_rewards: np.ndarray) -> None:
        """Scale each member's output so that these [E, ...] have mean 0 and sd 1."""

    def combined(self, member_rewards: np.ndarray) -> np.ndarray:
        """One reward float64 [...] from the members' [E, ...]."""

    def rewards(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """The combined reward float64 [...]."""

    def preferences(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """P(first preferred) of each member, float64 [E, n], for pairs."""

    def state_dict(self) -> dict[str, Any]:
        """The state that `fit` continues from, without the random stream: a tree of arrays."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the state of a model of the same settings."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything that predictions need, by name; writing into the arrays changes the model."""


def build(
    name: str,
    given: Mapping[str, Any],
    observations: int | tuple[int, int, int],
    actions: int,
    generator: np.random.Generator,
    clipped_to: Mapping[str, np.ndarray] | None = None,
) -> RewardModel:
    """The reward model of that name for o observations and a actions (or choices).

    observations: o, or the shape of k stacked frames (k, h, w) for a model that is declared with
    pictures=True.

    given: its settings, with defaults for those left out. All its randomness comes from
    `generator`. clipped_to: bounds of what it sees of actions, as `agents.saved.bounds` names
    them. Raises InputError for an unknown name or setting.
    """
    from active_rlhf.parts import part
    from active_rlhf.rewards.clipping import ClippedActions

    model: RewardModel = part("reward_model", name).build(given, observations, actions, generator)
    return ClippedActions(model, clipped_to) if clipped_to else model
