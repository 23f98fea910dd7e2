"""Disagreement finds the pairs that say most; where answers are noise, nothing helps."""

import numpy as np
import pytest
from scipy import stats
from some_behaviour import context

from active_rlhf.behaviour.store import SegmentStore
from active_rlhf.rewards import build
from active_rlhf.selection.presets import PRESETS
from active_rlhf.selection.selector import Selector
from active_rlhf.tasks.rollout import Rollout

EPISODES, RARE, LENGTH, WIDTH = 90, 9, 4, 6
SESSIONS, BATCH, POOL, SEEDS = 6, 4, 40, 30
MODEL = {"hidden": [16], "learning_rate": 5e-3, "dropout": 0.0, "epochs": 25, "batch_size": 8}


def behaviour(rng):
    """Nine of ten episodes differ in the first number alone; the others in all the rest."""
    rare = np.isin(np.arange(EPISODES), rng.choice(EPISODES, RARE, replace=False))
    level = rng.normal(size=(EPISODES, WIDTH)) * np.where(rare[:, None], np.arange(WIDTH) > 0, 0)
    level[~rare, 0] = rng.normal(size=EPISODES - RARE)
    steps = 3 * LENGTH
    observations = np.repeat(level, steps, axis=0) + rng.normal(0, 0.02, (EPISODES * steps, WIDTH))
    observations = observations.astype(np.float32)
    actions, ended = np.zeros((len(observations), 1), np.float32), np.zeros(len(observations), bool)
    ended[steps - 1 :: steps] = True
    rewards = observations @ np.where(rng.random(WIDTH) < 0.5, -1.0, 1.0)
    made = SegmentStore(
        len(rewards), {"observation": ((WIDTH,), np.float32), "action": ((1,), np.float32)}
    )
    rollout = Rollout(
        *(observations, actions, rewards, ended, np.zeros_like(ended)),
        *(observations[ended], [{}] * EPISODES),
    )
    made.append(rollout)
    return made, np.flatnonzero(np.repeat(rare, steps))


def accuracy(selector, seed, noise):
    """Of pairs of the rare segments, after all sessions; with `noise`, answers are coin flips."""
    rng = np.random.default_rng(seed)
    store, rare = behaviour(rng)
    settings = MODEL | {"precision": "float32"}
    model = build("mlp", settings, WIDTH, 1, np.random.default_rng(seed))
    chooser, asked = Selector(selector), np.empty((0, 2), np.int64)
    answers = np.empty(0)
    for session in range(SESSIONS):
        made = context(
            store,
            LENGTH,
            POOL,
            seed=[seed, session],
            member_rewards=lambda ids: model.member_rewards(*store.gather(ids, LENGTH)),
            labelled=asked,
            answers=answers,
        )
        pairs = chooser.select(made, BATCH).pairs
        gaps = -np.diff(store.returns(pairs, LENGTH))[:, 0]
        new = rng.integers(2, size=BATCH) if noise else gaps > 0
        asked, answers = np.concatenate([asked, pairs]), np.concatenate([answers, new])
        model.fit(*store.gather(asked, LENGTH), answers)
    shown = rng.choice(rare[rare % (3 * LENGTH) <= 2 * LENGTH], (400, 2))
    apart = shown[:, 0] // (3 * LENGTH) != shown[:, 1] // (3 * LENGTH)
    first = model.preferences(*store.gather(shown[apart], LENGTH)).mean(0) > 0.5
    return (first == (np.diff(store.returns(shown[apart], LENGTH))[:, 0] < 0)).mean()


@pytest.mark.slow
@pytest.mark.parametrize("noise", [False, True])
def test_disagreement_beats_random_where_there_is_something_to_learn(noise):
    """Both draw from all episodes: `disagreement` from the last hundred, and there are fewer."""
    gains = np.array(
        [
            accuracy(PRESETS["disagreement"], seed, noise)
            - accuracy(PRESETS["random"], seed, noise)
            for seed in range(SEEDS // 2 if noise else SEEDS)
        ]
    )
    interval = stats.ttest_1samp(gains, 0).confidence_interval(0.99)
    if noise:
        assert interval.low < 0 < interval.high
    else:
        assert interval.low > 0.02
