"""Something that is learned in a second, and parts that know it or turn it round."""

from typing import Annotated, Any

import gymnasium
import numpy as np
from pydantic import Field

from active_rlhf.parts import part, reward_model, teacher
from active_rlhf.rewards.ensemble import Ensemble
from active_rlhf.teachers import Answers, History, Question

STEPS = 20  # an episode
STUDY: dict[str, Any] = {
    "study": "trivial",
    "seeds": [1],
    "environments": ["Trivial-v0"],
    "parts": ["trivial.py"],
    "total_steps": 14 * 160,
    "agent": {"rollout_steps": 160, "epochs": 8, "minibatches": 4, "learning_rate": 3e-3},
    "labels": {
        **{"total": 60, "initial": 20, "sessions": 5, "first_after": 0.02},
        **{"segment_length": 5, "oversampling": 5, "probe_pairs": 10},
    },
    "reward_model": {"hidden": [16], "learning_rate": 1e-2, "epochs": 20, "precision": "float32"},
    "vae": {"latent": 2, "channels": [4], "segments": 64, "batch_size": 32, "epochs": 1},
    "evaluation": {"every": 10_000, "episodes": 1},
}


class Trivial(gymnasium.Env):
    """What is seen means nothing; a step earns 1 and the action, so a random policy earns 20."""

    observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)

    def _seen(self) -> np.ndarray:
        return self.np_random.uniform(-1, 1, 2).astype(np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None):
        super().reset(seed=seed)
        return self._seen(), {}

    def step(self, action: np.ndarray):
        return self._seen(), 1.0 + float(action[0]), False, False, {}


def true_reward(actions: np.ndarray) -> np.ndarray:
    """Of actions as sampled [..., 1]; the task clips them."""
    return 1.0 + np.clip(actions[..., 0], -1, 1).astype(np.float64)


gymnasium.register("Trivial-v0", Trivial, max_episode_steps=STEPS)


@teacher
def inverted(
    question: Question,
    history: History,
    generator: np.random.Generator,
    *,
    of: Annotated[str, Field(description="the teacher")],
    given: Annotated[dict[str, float], Field(description="its settings")],
) -> Answers:
    """The opposite of what another teacher says."""
    answers = part("teacher", of).start(given)(question, history, generator)
    return Answers(1 - answers.preference, answers.confidence)


@reward_model
class Perfect(Ensemble):
    """The environment's own reward, whatever is answered."""

    def __init__(self, observations: int, actions: int, generator: np.random.Generator):
        super().__init__(1, observations, actions)
        self.parameters = np.zeros(1)

    def fit(self, observations, actions, preferences) -> float:
        return 0.0

    def member_rewards(self, observations, actions) -> np.ndarray:
        return true_reward(actions)[None]

    def features(self, observations, actions) -> np.ndarray:
        return true_reward(actions).sum(-1)[None, :, None]

    def combined(self, member_rewards: np.ndarray) -> np.ndarray:
        return member_rewards[0]
