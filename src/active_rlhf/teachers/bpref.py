"""B-Pref's simulated teachers (Lee, Smith, Dragan and Abbeel, 2021)."""

import numpy as np

from active_rlhf.parts import teacher
from active_rlhf.study.sections import Section, setting
from active_rlhf.teachers import Answers, History, Question


class BPrefSettings(Section):
    """Irrationalities, each switched off by default."""

    beta: float = setting(
        0.0,
        "the first is chosen with probability sigmoid(beta x difference); 0: the larger always "
        "wins",
        "1 / return",
    )
    gamma: float = setting(1.0, "discount of earlier steps", unit="per step", ge=0, le=1)
    eps_skip: float = setting(
        0.0,
        "skip a pair if both returns are at most this share of m, the mean recent return over as "
        "many steps",
        unit="share of m",
        ge=0,
        le=1,
    )
    eps_equal: float = setting(
        0.0,
        "answer `equal` if the returns differ by less than this share of m",
        unit="share of m",
        ge=0,
        le=1,
    )
    eps_mistake: float = setting(
        0.0, "probability of the opposite answer", unit="probability", ge=0, le=1
    )


@teacher
def bpref(
    question: Question, history: History, generator: np.random.Generator, settings: BPrefSettings
) -> Answers:
    """B-Pref's irrational teacher (Lee et al. 2021), every irrationality off.

    With m, the return that the current policy collects in H steps (H/T times the mean of its last
    true returns):

    - skip: if neither true return exceeds `eps_skip` * m, there is no answer;
    - equal: if the true returns differ by less than `eps_equal` * m, the answer is "equal";
    - myopia: otherwise segments are compared by G = sum_t gamma^(H-t) r_t;
    - noise: the first wins with probability sigmoid(beta * (G1 - G2)); with beta <= 0 the larger G
      wins, and equal G is "equal";
    - mistake: with probability `eps_mistake` the answer is reversed ("equal" stays).

    Both thresholds scale a return that is expected to be positive. Where m <= 0, or before any
    episode has finished, they do not apply, and no pair is skipped or called equal.
    """
    from scipy.special import expit  # not needed to check a config

    rewards = np.nan_to_num(question.rewards)
    steps = rewards.shape[-1]
    returns = rewards.sum(-1)
    weighted = (rewards * settings.gamma ** np.arange(steps - 1, -1, -1)).sum(-1)
    difference = weighted[:, 0] - weighted[:, 1]
    # Both draws are always made, so that teachers of any settings share their random numbers.
    choice, slip = generator.random((2, len(rewards)))
    if settings.beta > 0:
        preference = (choice < expit(settings.beta * difference)).astype(float)
    else:
        preference = 0.5 + 0.5 * np.sign(difference)
    preference = np.where(slip < settings.eps_mistake, 1.0 - preference, preference)
    recent = history.recent_returns
    margin = steps / history.episode_length * float(np.mean(recent)) if len(recent) else 0.0
    if margin > 0:
        gap = np.abs(returns[:, 0] - returns[:, 1])
        preference[gap < settings.eps_equal * margin] = 0.5
        if settings.eps_skip > 0:
            preference[returns.max(-1) <= settings.eps_skip * margin] = np.nan
    return Answers(preference, np.where(np.isnan(preference), 0.0, 1.0))
