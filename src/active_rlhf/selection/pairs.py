"""What scores, filters and pickers are given: candidate pairs, and what is known about them."""

from collections.abc import Callable
from functools import partial

import numpy as np

from active_rlhf.selection.context import Context


def _read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


class _Once:
    """An array computed for all candidates when it is first needed; along its axis of pairs, only
    those in play are shown."""

    def __init__(self, compute: Callable[["Pairs"], np.ndarray], axis: int):
        self.compute, self.axis, self.__doc__ = compute, axis, compute.__doc__

    def __get__(self, pairs: "Pairs", _: type | None = None) -> np.ndarray:
        name, known = self.compute.__name__, pairs._known
        if name not in known:
            known[name] = _read_only(self.compute(pairs._all))
        if pairs._stay is None:
            return known[name]
        return known[name][(slice(None),) * self.axis + (pairs._stay,)]


def _once(axis: int) -> Callable[[Callable[["Pairs"], np.ndarray]], _Once]:
    return partial(_Once, axis=axis)


class Pairs:
    """m candidate pairs of segments: all of a session, or those that reached the picker.

    E is the number of members of the reward model, H that of steps in a segment. Do not write to
    the arrays. Standardising and scaling over the pool are over all candidates of the session.
    """

    scores: np.ndarray
    """[m], larger is better; all zero without a score, and before it."""

    def __init__(
        self,
        context: Context,
        ids: np.ndarray,
        latents: Callable[[], np.ndarray] | None = None,
    ):
        self._context, self._latents = context, latents
        self.scores = _read_only(np.zeros(len(ids)))
        # All candidates, what is known about them, and which of them are in play.
        self._all: Pairs = self
        self._known: dict[str, np.ndarray] = {"ids": _read_only(ids)}
        self._stay: np.ndarray | None = None

    def among(self, stay: np.ndarray, scores: np.ndarray) -> "Pairs":
        """The pairs at the indices `stay`, with `scores` of all pairs."""
        chosen = Pairs(self._context, self.ids[stay], self._latents)
        chosen._all, chosen._known, chosen._stay = self, self._known, stay
        chosen.scores = _read_only(scores[stay])
        return chosen

    def __len__(self) -> int:
        return len(self.scores)

    @_once(0)
    def ids(self) -> np.ndarray:
        """int64 [m, 2], names of the segments."""
        return self.ids

    # --- what the reward model predicts ---

    @_once(1)
    def rewards(self) -> np.ndarray:
        """Each member's predicted reward of every step, float64 [E, m, 2, H]."""
        return self._rewards(self.ids)

    @_once(1)
    def differences(self) -> np.ndarray:
        """Each member's predicted return of the first minus the second segment, [E, m]."""
        returns = self.rewards.sum(axis=-1)
        return np.asarray(returns[..., 0] - returns[..., 1])

    @_once(1)
    def returns(self) -> np.ndarray:
        """Each member's predicted return of both segments, [E, m, 2].

        Its rewards are scaled to mean 0 and sd 1 over the pool: preferences leave open where a
        member's rewards have their zero, so as they are they cannot be compared between members.
        """
        rewards = self.rewards
        mean, sd = (f(rewards, axis=(1, 2, 3), keepdims=True) for f in (np.mean, np.std))
        return np.asarray(((rewards - mean) / np.where(sd > 0, sd, 1)).sum(axis=-1))

    @_once(0)
    def step_differences(self) -> np.ndarray:
        """[m, H] predicted reward of the first minus the second segment, step by step: mean over
        members, each scaled to unit sd over the pool so that none dominates."""
        sd = self.rewards.std(axis=(1, 2, 3), keepdims=True)
        mean = (self.rewards / np.where(sd > 0, sd, 1)).mean(axis=0)
        return np.asarray(mean[:, 0] - mean[:, 1])

    @_once(1)
    def features(self) -> np.ndarray:
        """Each member's last hidden layer, summed over the segment, float64 [E, m, 2, k]: its
        predicted return is linear in them.

        Declare a part that uses them with features=True, as in `@picker(features=True)`: a study
        with a reward model that has none is then refused before it runs.
        """
        return self._features(self.ids)

    @property
    def labelled_features(self) -> np.ndarray:
        """[E, l, 2, k] the same of the pairs asked so far."""
        return self._features(self.labelled)

    @property
    def labelled_differences(self) -> np.ndarray:
        """[E, l] predicted return differences of the pairs asked so far."""
        returns = self._rewards(self.labelled).sum(axis=-1)
        return np.asarray(returns[..., 0] - returns[..., 1])

    def _rewards(self, pairs: np.ndarray) -> np.ndarray:
        return self._of_segments(self._context.member_rewards, pairs)

    def _features(self, pairs: np.ndarray) -> np.ndarray:
        return self._of_segments(self._context.features, pairs)

    def _of_segments(
        self, predict: Callable[[np.ndarray], np.ndarray], pairs: np.ndarray
    ) -> np.ndarray:
        """What the model says of each segment of pairs [m, 2], float64 [E, m, 2, ...]."""
        ids, index = np.unique(pairs, return_inverse=True)
        return predict(ids).astype(np.float64)[:, index.reshape(pairs.shape)]

    # --- what the segments contain ---

    @_once(0)
    def observations(self) -> np.ndarray:
        """Raw, [m, 2, H, o]."""
        return self._context.segments(self.ids)[0]

    @_once(0)
    def actions(self) -> np.ndarray:
        """As sampled from the policy, [m, 2, H, a]."""
        return self._context.segments(self.ids)[1]

    @_once(0)
    def points(self) -> np.ndarray:
        """[m, 2, d] the segments' observations in a row, standardised over the pool."""
        return self._points(self.ids, 0)

    @_once(0)
    def action_points(self) -> np.ndarray:
        """[m, 2, d'] the segments' actions, likewise."""
        return self._points(self.ids, 1)

    @property
    def labelled_points(self) -> np.ndarray:
        """[l, 2, d] the same of the pairs asked so far."""
        return self._all._points(self.labelled, 0)

    @property
    def labelled_action_points(self) -> np.ndarray:
        """[l, 2, d'] the same of the pairs asked so far."""
        return self._all._points(self.labelled, 1)

    def _points(self, ids: np.ndarray, part: int) -> np.ndarray:
        pool, steps = (self.observations, self.actions)[part], self._context.segments(ids)[part]
        mean, sd = pool.mean(axis=(0, 1, 2)), pool.std(axis=(0, 1, 2))
        in_a_row = len(ids), 2, pool.shape[2] * pool.shape[3]
        return np.asarray(((steps - mean) / np.where(sd > 0, sd, 1)).reshape(in_a_row))

    @_once(0)
    def latents(self) -> np.ndarray:
        """VAE latents [m, 2, z] of the segments, standardised over the pool.

        Only for parts declared with latents, as in `@score(latents=True)`: else a run has no VAE.
        """
        if self._latents is None:
            raise ValueError(
                "latents: used by a part that does not declare it; declare it with latents=True, "
                "as in @score(latents=True)"
            )
        return self._latents()

    # --- the session ---

    @property
    def generator(self) -> np.random.Generator:
        """The selector's random stream, which its picker draws from too."""
        return self._context.selector_generator

    @property
    def labelled(self) -> np.ndarray:
        """int64 [l, 2], ids of the pairs asked so far."""
        return self._context.labelled

    @property
    def answers(self) -> np.ndarray:
        """float64 [l], to these: 1 first, 0 second, 0.5 equal, nan skipped or held out."""
        return self._context.answers

    @property
    def train_accuracy(self) -> float | None:
        """Of the reward model on its training labels; None before there are any."""
        return self._context.train_accuracy

    @property
    def session(self) -> int:
        """Number of this session, from 0."""
        return self._context.session

    @property
    def step(self) -> int:
        """Environment steps so far."""
        return self._context.step

    @property
    def asked(self) -> int:
        """Queries so far."""
        return self._context.asked


def by_score(pool: Pairs) -> np.ndarray:
    """Indices from the best score to the worst; ties keep their order."""
    return np.argsort(-pool.scores, kind="stable")


def filled(chosen: np.ndarray, order: np.ndarray, batch: int) -> np.ndarray:
    """`chosen`, followed by others in the given order until there are `batch`."""
    return np.concatenate([chosen, order[~np.isin(order, chosen)]])[:batch].astype(np.int64)
