"""What a user's part sees of a session."""

from typing import Annotated

import numpy as np
import pytest
from pydantic import Field
from some_behaviour import MEMBERS, context, member_rewards, store, unordered

from active_rlhf import parts
from active_rlhf.parts import PartError, candidates, filter, picker, score
from active_rlhf.selection.selector import Selector

LENGTH, SIZE, BATCH = 5, 30, 6
BEHAVIOUR = store([20, 15, 25, 18, 22], open_end=9)
SEEN = {}


@pytest.fixture(autouse=True)
def declared():
    """Parts as a user's module declares them; forgotten afterwards."""

    @score
    def looks(pairs, *, power: Annotated[float, Field(ge=1, le=3)] = 2.0):
        SEEN["score"] = pairs
        return np.abs(pairs.differences).mean(axis=0) ** power

    @score(latents=True)
    def apart(pairs):
        return np.linalg.norm(pairs.latents[:, 0] - pairs.latents[:, 1], axis=-1)

    @score
    def greedy(pairs):
        return pairs.latents[:, 0, 0]

    @filter
    def some(pairs, *, share: float = 0.5):
        return np.arange(len(pairs)) < share * len(pairs)

    @picker
    def best(pool, batch, generator):
        SEEN["pool"] = pool
        return np.argsort(-pool.scores)[:batch]

    @candidates
    def first(context, count, generator, *, ids: int = 9):
        every = np.array([(i, j) for i in range(ids) for j in range(i)])
        return generator.permutation(every)[:count]

    yield
    parts.load_parts([])


def made(**changes):
    asked = np.array([[0, 20], [3, 40]])
    given = {"labelled": asked, "answers": np.array([1.0, np.nan]), "session": 4, "step": 109}
    return context(BEHAVIOUR, LENGTH, SIZE, **given | changes)


def test_a_score_sees_the_session_and_has_settings():
    selector = Selector({"score": {"name": "looks", "power": 3}, "picker": "top"})
    selection = selector.select(made(), BATCH)
    pairs = SEEN["score"]
    rewards = member_rewards(*BEHAVIOUR.gather(pairs.ids, LENGTH))  # [E, m, 2, H]
    np.testing.assert_allclose(pairs.rewards, rewards)
    returns = rewards.sum(-1)
    np.testing.assert_allclose(pairs.differences, returns[..., 0] - returns[..., 1])
    observations, actions = BEHAVIOUR.gather(pairs.ids, LENGTH)
    np.testing.assert_array_equal(pairs.observations, observations)
    np.testing.assert_array_equal(pairs.actions, actions)
    for e in range(MEMBERS):
        np.testing.assert_allclose(pairs.features[e], (e + 1) * actions.sum(2), rtol=1e-6)
    assert (pairs.session, pairs.step, pairs.asked, pairs.train_accuracy) == (4, 109, 2, 0.9)
    assert pairs.labelled.tolist() == [[0, 20], [3, 40]]
    np.testing.assert_array_equal(pairs.answers, [1.0, np.nan])
    best = np.argsort(-(np.abs(pairs.differences).mean(0) ** 3))[:BATCH]
    assert selection.pairs.tolist() == pairs.ids[best].tolist()
    assert selection.score_selected > selection.score_pool


def test_a_picker_sees_the_same_of_the_pairs_that_reached_it():
    composition = {"filter": "some", "score": "looks", "keep": 0.8, "picker": "best"}
    Selector(composition).select(made(), BATCH)
    pairs, pool = SEEN["score"], SEEN["pool"]
    assert len(pairs) == SIZE and len(pool) == 12  # of the 15 that pass, the better 0.8
    at = [pairs.ids.tolist().index(pair) for pair in pool.ids.tolist()]
    assert max(at) < 15
    for name in ("rewards", "differences", "features"):
        np.testing.assert_array_equal(getattr(pool, name), getattr(pairs, name)[:, at])
    for name in ("observations", "actions", "step_differences", "points", "action_points"):
        np.testing.assert_array_equal(getattr(pool, name), getattr(pairs, name)[at])
    np.testing.assert_allclose(pool.scores, np.abs(pool.differences).mean(0) ** 2)
    assert pool.labelled_points.shape == (2, 2, pool.points.shape[-1])
    assert pool.labelled_action_points.shape == (2, 2, pool.action_points.shape[-1])
    assert (pool.session, pool.asked) == (4, 2)


def test_latents_are_available_to_parts_that_declare_them():
    apart = Selector({"score": "apart", "picker": "top"})
    assert apart.needs_latents
    selection = apart.select(made(), BATCH)
    assert selection.score_selected > selection.score_pool and selection.seconds["vae"] > 0
    undeclared = Selector({"score": "greedy", "picker": "top"})
    assert not undeclared.needs_latents
    with pytest.raises(PartError, match=r"score greedy .*declare it with latents=True"):
        undeclared.select(made(), BATCH)


def test_a_candidate_generator_draws_from_what_it_likes():
    selection = Selector({"candidates": {"name": "first", "ids": 5}}).select(made(), BATCH)
    assert selection.pool_size == 10
    assert all(max(pair) < 5 for pair in unordered(selection.pairs))


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ([[0, 1], [1, 0]], "gave a pair twice"),
        ([[0, 0]], "gave a pair of a segment with itself"),
        ([0, 1], r"gave int64 \(2,\), not pairs of ids"),
        ([[0.5, 1]], r"gave float64 \(1, 2\), not pairs"),
    ],
)
def test_invalid_candidates_are_refused(pairs, said):
    @candidates
    def wrong(context, count, generator):
        return np.array(pairs)

    with pytest.raises(PartError, match=rf"candidates wrong .*{said}"):
        Selector({"candidates": "wrong"}).select(made(), 1)
