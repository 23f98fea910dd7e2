"""B-Pref's simulated teachers (Lee, Smith, Dragan and Abbeel, 2021)."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from active_rlhf.parts import teacher
from active_rlhf.study.sections import setting
from active_rlhf.teachers import Answers, History, Question


@teacher(name="bpref")
@dataclass(frozen=True, kw_only=True)
class BPref:
    """B-Pref's teacher (Lee et al. 2021) with four irrationalities, each off at its neutral value.

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

    beta: Annotated[
        float,
        setting(
            ...,
            "of a Boltzmann choice between the returns; at most 0: the larger wins",
            unit="1/return",
        ),
    ] = 0.0
    gamma: Annotated[
        float,
        setting(..., "by which earlier steps weigh less", unit="factor a step", ge=0, le=1),
    ] = 1.0
    eps_skip: Annotated[
        float,
        setting(
            ...,
            "of the current return, that a segment must exceed to be worth a look",
            unit="share",
            ge=0,
            le=1,
        ),
    ] = 0.0
    eps_equal: Annotated[
        float,
        setting(
            ...,
            "of the current return, below which a difference is equal",
            unit="share",
            ge=0,
            le=1,
        ),
    ] = 0.0
    eps_mistake: Annotated[
        float,
        setting(..., "of answers that are turned round", unit="share", ge=0, le=1),
    ] = 0.0

    def __call__(
        self, question: Question, history: History, generator: np.random.Generator
    ) -> Answers:
        from scipy.special import expit  # not needed to check a config

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
