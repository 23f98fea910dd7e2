"""Small made-up behaviour and models for the tests of selection."""

from typing import Any

import numpy as np

from active_rlhf.behaviour.store import SegmentStore
from active_rlhf.selection.context import Context
from active_rlhf.tasks.rollout import Rollout

OBSERVATIONS, ACTIONS, MEMBERS, LATENTS = 4, 2, 3, 3


def store(lengths: list[int], open_end: int = 0, seed: int = 0) -> SegmentStore:
    """Finished episodes of these lengths, then `open_end` steps of one under way; rewards NaN."""
    generator = np.random.default_rng(seed)
    steps = sum(lengths) + open_end
    ended = np.zeros(steps, bool)
    ended[np.cumsum(lengths, dtype=int) - 1] = bool(lengths)
    observations = generator.normal(size=(steps, OBSERVATIONS)).astype(np.float32)
    actions = 2 * generator.normal(size=(steps, ACTIONS)).astype(np.float32)
    schema = {"observation": ((OBSERVATIONS,), np.float32), "action": ((ACTIONS,), np.float32)}
    result = SegmentStore(steps, schema)
    nan, origins = np.full(steps, np.nan), [{} for _ in lengths]
    result.append(
        Rollout(
            *(observations, actions, nan, ended, np.zeros_like(ended)),
            *(observations[ended], origins),
        )
    )
    return result


def log_probabilities(observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
    return -((actions - observations[:, :ACTIONS]) ** 2).sum(1)


def member_rewards(observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
    weights = np.random.default_rng(7).normal(size=(MEMBERS, OBSERVATIONS + ACTIONS))
    return np.tanh(np.moveaxis(np.concatenate([observations, actions], -1) @ weights.T, -1, 0))


def context(
    behaviour: SegmentStore, length: int, size: int, seed: int = 0, **changes: Any
) -> Context:
    def segments(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return behaviour.gather(ids, length)

    def embed(ids: np.ndarray) -> np.ndarray:
        return segments(ids)[0].mean(1)[:, :LATENTS]

    def features(ids: np.ndarray) -> np.ndarray:
        return np.stack([(e + 1) * segments(ids)[1].sum(1) for e in range(MEMBERS)])

    streams = np.random.SeedSequence(seed).spawn(2)
    given: dict[str, Any] = {
        "store": behaviour,
        "segment_length": length,
        "pool_size": size,
        "log_probabilities": log_probabilities,
        "segments": segments,
        "member_rewards": lambda ids: member_rewards(*segments(ids)),
        "features": features,
        "embed": embed,
        "train_accuracy": 0.9,
        "labelled": np.empty((0, 2), np.int64),
        "answers": np.empty(0),
        "session": 0,
        "step": behaviour.steps,
        "candidate_generator": np.random.default_rng(streams[0]),
        "selector_generator": np.random.default_rng(streams[1]),
    }
    return Context(**given | changes)


def unordered(pairs: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(map(int, pair)) for pair in pairs}
