"""B-Pref's simulated teachers (Lee, Smith, Dragan and Abbeel, 2021)."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from active_rlhf.teachers import Answers, History, Question


@dataclass(frozen=True)
class BPref:
    """A teacher with four irrationalities, each off at its neutral value.

    With m, the return that the current policy collects in H steps (H/T times the mean of its last
    true returns):

    - skip: if neither true return exceeds `eps_skip` * m, there is no answer;
    - equal: if the true returns differ by less than `eps_equal` * m, the answer is "equal";
    - myopia: otherwise segments are compared by G = sum_t gamma^(H-t) r_t;
    - noise: the first wins with probability sigmoid(beta * (G1 - G2)); with beta <= 0 the larger G
      wins, and the same G is "equal";
    - mistake: the answer is turned round with probability `eps_mistake` ("equal" is not).

    Both thresholds scale a return that is expected to be positive. Where m <= 0 or no episode has
    finished they say nothing, and pairs are neither skipped nor called equal.
    """

    beta: float
    gamma: float
    eps_skip: float
    eps_equal: float
    eps_mistake: float

    def __call__(
        self, question: Question, history: History, generator: np.random.Generator
    ) -> Answers:
        rewards = np.nan_to_num(question.rewards)
        steps = rewards.shape[-1]
        returns = rewards.sum(-1)
        weighted = (rewards * self.gamma ** np.arange(steps - 1, -1, -1)).sum(-1)
        difference = weighted[:, 0] - weighted[:, 1]
        # Both draws are made whatever the settings, so that teachers share their random numbers.
        choice, slip = generator.random((2, len(rewards)))
        if self.beta > 0:
            preference = (choice < expit(self.beta * difference)).astype(float)
        else:
            preference = 0.5 + 0.5 * np.sign(difference)
        preference = np.where(slip < self.eps_mistake, 1.0 - preference, preference)
        recent = history.recent_returns
        margin = steps / history.episode_length * float(np.mean(recent)) if len(recent) else 0.0
        if margin > 0:
            gap = np.abs(returns[:, 0] - returns[:, 1])
            preference[gap < self.eps_equal * margin] = 0.5
            if self.eps_skip > 0:
                preference[returns.max(-1) <= self.eps_skip * margin] = np.nan
        return Answers(preference, np.where(np.isnan(preference), 0.0, 1.0))


build = BPref
