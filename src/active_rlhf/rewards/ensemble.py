"""What all ensembles of reward functions have in common.

A subclass adds `member_rewards`, `fit` and the rest of the RewardModel protocol.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from active_rlhf.agents.kernels import OBSERVATION_CLIP, VARIANCE_FLOOR
from active_rlhf.compute.layers import standardise
from active_rlhf.rewards.measures import first_preferred
from active_rlhf.rewards.settings import Sample

if TYPE_CHECKING:
    from active_rlhf.agents.normalise import Moments

SCALES = ("mean", "scale", "output_mean", "output_sd")


class Ensemble:
    """The normaliser of observations that members share, and the scale of their outputs."""

    def __init__(self, members: int, observations: int, actions: int):
        self.observations, self.actions = observations, actions
        self.mean, self.scale = np.zeros(observations), np.ones(observations)
        self.output_mean, self.output_sd = np.zeros(members), np.ones(members)

    def observe(self, moments: "Moments") -> None:
        """Take today's observation statistics as the members' normaliser."""
        self.mean = moments.mean.copy()
        self.scale = np.sqrt(moments.var + VARIANCE_FLOOR)

    def rows(
        self, observations: np.ndarray, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
        """Observations [n, o], actions [n, a] (one-hot if discrete), and the shape of the steps."""
        if actions.dtype.kind in "iu":
            actions = np.eye(self.actions, dtype=np.float32)[actions]
        *shape, width = actions.shape
        return observations.reshape(-1, self.observations), actions.reshape(-1, width), (*shape,)

    def inputs(
        self, observations: np.ndarray, actions: np.ndarray, out: np.ndarray | None = None
    ) -> np.ndarray:
        """Network inputs [..., o + a] for raw observations [..., o] and actions [..., a].

        They are written to `out`, in its number type, or to a new float32 array.
        """
        observations, actions, shape = self.rows(observations, actions)
        o, a = self.observations, self.actions
        if out is None:
            out = np.empty((*shape, o + a), np.float32)
        x = out.reshape(-1, o + a)
        standardise(observations, self.mean, self.scale, OBSERVATION_CLIP, x[:, :o])
        standardise(actions, np.zeros(a), np.ones(a), np.inf, x[:, o:])
        return out

    def member_rewards(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Each member's rewards float32 [E, ...] at raw observations [..., o], actions [..., a]."""
        raise NotImplementedError

    def calibrate(self, member_rewards: np.ndarray) -> None:
        """Set each member's output [E, ...] to mean 0 and sd 1 (Christiano 2017, 2.2.1)."""
        rewards = member_rewards.reshape(len(member_rewards), -1)
        self.output_mean = rewards.mean(1, dtype=np.float64)
        self.output_sd = rewards.std(1, dtype=np.float64) + 1e-8

    def combined(self, member_rewards: np.ndarray) -> np.ndarray:
        """Mean float64 [...] of the calibrated members' rewards [E, ...]."""
        shape = (-1, *[1] * (member_rewards.ndim - 1))
        mean, sd = self.output_mean.reshape(shape), self.output_sd.reshape(shape)
        return ((member_rewards - mean) / sd).mean(0)

    def rewards(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """The ensemble's reward float64 [...] at raw observations [..., o], actions [..., a]."""
        return self.combined(self.member_rewards(observations, actions))

    def preferences(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """P(first preferred) of each member, float64 [E, n], for pairs [n, 2, H, .]."""
        return first_preferred(self.member_rewards(observations, actions))

    def scales(self) -> dict[str, np.ndarray]:
        """The normaliser and the scale of outputs by name; the arrays are the ensemble's."""
        return {name: getattr(self, name) for name in SCALES}

    def load_scales(self, state: Mapping[str, np.ndarray]) -> None:
        """Take over the scales of another ensemble."""
        for name, array in self.scales().items():
            array[:] = state[name]


def batches(pairs: int, batch_size: int) -> int:
    """Minibatches of an epoch."""
    return -(-pairs // batch_size)


def bootstrap(
    pairs: int,
    batch_size: int,
    epochs: int,
    generator: np.random.Generator,
    sample: Sample = "session",
    importance: np.ndarray | None = None,
) -> Iterator[list[tuple[np.ndarray, np.ndarray]]]:
    """The minibatches of each epoch over one member's bootstrap sample of the pairs.

    The sample, as many draws with replacement as there are pairs, is the same in all epochs
    (`session`) or another in each (`epoch`); with `none` it is every pair once.

    A minibatch consists of positions of pairs [m] and their weights [m]. A pair drawn k times is
    visited once with weight k: the same expected gradient and number of steps as a pass over all
    draws, for a third less work. Weights sum to 1 per minibatch on average, so the mean over
    minibatches of the weighted sums of losses is the mean loss of a draw. `importance` [pairs] is
    how much each pair counts beside the others.
    """
    share = 1.0 if importance is None else importance / importance.mean()
    counts, number = np.ones(pairs, np.int64), batches(pairs, batch_size)
    for epoch in range(epochs):
        if sample == "epoch" or (sample == "session" and epoch == 0):
            counts = np.bincount(generator.integers(pairs, size=pairs), minlength=pairs)
        drawn = np.flatnonzero(counts)
        bounds = np.linspace(0, len(drawn), number + 1).astype(np.int64)
        parts = np.split(generator.permutation(drawn), bounds[1:-1])
        weights = counts * (number / pairs) * share
        yield [(part, weights[part]) for part in parts]
