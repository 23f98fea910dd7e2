"""Synthetic sessions: behaviour, a reward model and labels, all made up."""

import numpy as np

from active_rlhf.behaviour.store import SegmentStore
from active_rlhf.selection.candidates import independent_pairs
from active_rlhf.selection.context import Context
from active_rlhf.selection.pairs import Pairs
from active_rlhf.selection.selector import standardised
from active_rlhf.tasks.rollout import Rollout
from active_rlhf.teachers import History, Question

EPISODES, OPEN_END = (40, 25, 60, 33, 8), 20  # steps of those that ended, and of the last
LENGTH, POOL, BATCH = 10, 30, 6
OBSERVATIONS, ACTIONS, MEMBERS = 3, 1, 3


def behaviour() -> SegmentStore:
    """Episodes of several lengths, one of them shorter than a segment; true rewards are nan."""
    generator = np.random.default_rng(5)
    steps = sum(EPISODES) + OPEN_END
    ended = np.zeros(steps, bool)
    ended[np.cumsum(EPISODES) - 1] = True
    observations = generator.normal(size=(steps, OBSERVATIONS)).astype(np.float32)
    actions = 2 * generator.normal(size=(steps, ACTIONS)).astype(np.float32)
    schema = {"observation": ((OBSERVATIONS,), np.float32), "action": ((ACTIONS,), np.float32)}
    store = SegmentStore(steps, schema)
    nothing, never = np.full(steps, np.nan), np.zeros(steps, bool)
    rollout = Rollout(
        observations, actions, nothing, ended, never, observations[ended], [None] * len(EPISODES)
    )
    store.append(rollout)
    return store


def session(turn: int) -> Context:
    """What a selector may look at in session number `turn`."""
    store = behaviour()
    weights = np.random.default_rng(7).normal(size=(MEMBERS, OBSERVATIONS + ACTIONS))
    asked = independent_pairs(store, LENGTH, 5 * turn, None, np.random.default_rng(turn + 50))

    def segments(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return store.gather(ids, LENGTH)

    def rows(ids: np.ndarray) -> np.ndarray:
        return np.concatenate(segments(ids), axis=-1)

    def member_rewards(ids: np.ndarray) -> np.ndarray:
        return np.tanh(np.moveaxis(rows(ids) @ weights.T, -1, 0)).astype(np.float32)

    answers = np.random.default_rng(turn).choice([0.0, 0.5, 1.0, np.nan], len(asked))
    candidates, selector = np.random.SeedSequence(turn).spawn(2)
    return Context(
        store=store,
        segment_length=LENGTH,
        pool_size=POOL,
        segments=segments,
        member_rewards=member_rewards,
        features=lambda ids: np.repeat(rows(ids).sum(1)[None], MEMBERS, 0),
        embed=lambda ids: segments(ids)[0].mean(1),
        log_probabilities=lambda o, a: -((a - o[:, :ACTIONS]) ** 2).sum(1),
        train_accuracy=None if turn == 0 else 0.9,
        labelled=asked,
        answers=answers,
        session=turn,
        step=store.steps,
        candidate_generator=np.random.default_rng(candidates),
        selector_generator=np.random.default_rng(selector),
    )


def pairs(turn: int, swapped: bool = False) -> Pairs:
    """Candidate pairs of that session, in either order of their members."""
    context = session(turn)
    generator = np.random.default_rng(turn)
    ids = independent_pairs(context.store, LENGTH, POOL, None, generator)
    ids = ids[:, ::-1].copy() if swapped else ids
    latents = standardised(context.embed(ids.ravel()).astype(np.float64))
    return Pairs(context, ids, lambda: latents.reshape(len(ids), 2, -1))


def question(turn: int) -> tuple[Question, History]:
    """What a teacher is asked in that session."""
    generator = np.random.default_rng(turn)
    rewards = generator.normal(1, 1, (BATCH, 2, LENGTH))
    rewards[0, 1, -3:] = np.nan  # a segment that ended early
    actions = generator.normal(size=(BATCH, 2, LENGTH, ACTIONS))
    gaps, returns = np.abs(generator.normal(size=100)), generator.normal(100, 20, 10)
    asked = Question(rewards, actions, session=turn, step=1000 * turn, asked=BATCH * turn)
    return asked, History(gaps, returns, 100.0)
