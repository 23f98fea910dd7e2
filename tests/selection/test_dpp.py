"""The pair kernel's four properties, and greedy MAP against determinants."""

from itertools import combinations, product
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from active_rlhf.parts import part
from active_rlhf.selection.pickers.dpp import greedy_map, latent_kernel, quality, reward_kernel

SETTINGS = {"beta": 0.5, "q_min": 0.5, "temperature": 1.0}


def pick(scores, differences, latents, batch, generator, **changes):
    pool = SimpleNamespace(scores=scores, step_differences=differences, latents=latents)
    return part("picker", "dpp").start(SETTINGS | changes)(pool, batch, generator)


@st.composite
def pools(draw):
    """Latents [m, 2, z] and reward differences [m, H], with repetitions and zeros among them."""
    m, z, length = draw(st.integers(1, 8)), draw(st.integers(1, 4)), draw(st.integers(1, 5))
    numbers = st.floats(-5, 5, width=32) | st.sampled_from([0.0, 1.0])
    return draw(arrays(float, (m, 2, z), elements=numbers)), draw(
        arrays(float, (m, length), elements=numbers)
    )


@given(pools(), st.sampled_from([0.0, 0.3, 0.5, 1.0]), st.integers(0, 255))
@settings(max_examples=200)
def test_kernel_is_one_over_pairs(pool, beta, mask):
    latents, differences = pool
    kernel = (1 - beta) * latent_kernel(latents) + beta * reward_kernel(differences)
    np.testing.assert_allclose(kernel, kernel.T, atol=1e-12)
    assert np.linalg.eigvalsh(kernel).min() > -1e-10
    np.testing.assert_allclose(np.diag(kernel), 1, atol=1e-12)
    swap = np.array([mask >> i & 1 for i in range(len(latents))], bool)
    swapped = np.where(swap[:, None, None], latents[:, ::-1], latents)
    negated = np.where(swap[:, None], -differences, differences)
    other = (1 - beta) * latent_kernel(swapped) + beta * reward_kernel(negated)
    np.testing.assert_allclose(other, kernel, atol=1e-12)


def test_kernels_are_their_formulas():
    generator = np.random.default_rng(0)
    latents, differences = generator.normal(size=(5, 2, 3)), generator.normal(size=(5, 4))

    def rbf(points):
        apart = [((x - y) ** 2).sum() for x, y in combinations(points, 2)]
        return lambda x, y: np.exp(-((x - y) ** 2).sum() / (2 * np.median(apart)))

    k = rbf(latents.reshape(10, 3))
    r = rbf(np.concatenate([differences, -differences]))

    def latent(p, q):
        (a, b), (c, d) = p, q
        return k(a, c) * k(b, d) + k(a, d) * k(b, c)

    def reward(x, y):
        return r(x, y) + r(x, -y)

    for made, points, function in (
        (latent_kernel(latents), latents, latent),
        (reward_kernel(differences), differences, reward),
    ):
        raw = np.array([[function(x, y) for y in points] for x in points])
        unit = raw / np.sqrt(np.outer(np.diag(raw), np.diag(raw)))
        np.testing.assert_allclose(made, unit, rtol=1e-10)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9), st.floats(0, 1), st.floats(0.1, 5))
def test_quality_rises_with_the_score_from_q_min_to_one(scores, q_min, temperature):
    scores = np.array(scores)
    q = quality(scores, q_min, temperature)
    assert (q >= q_min).all() and (q <= 1).all()
    assert q[np.argmax(scores)] == pytest.approx(1)
    assert (np.diff(q[np.argsort(scores)]) >= 0).all()
    if np.ptp(scores) > 0:
        assert q[np.argmin(scores)] == pytest.approx(q_min)
    middle = quality(np.array([0, 0.25, 1]), q_min, temperature)[1]
    assert middle == pytest.approx(q_min + (1 - q_min) * 0.25 ** (1 / temperature))


def random_kernel(m, seed):
    generator = np.random.default_rng(seed)
    q = generator.uniform(0.5, 1, m)
    latents, differences = generator.normal(size=(m, 2, 2)), generator.normal(size=(m, 3))
    kernel = (latent_kernel(latents) + reward_kernel(differences)) / 2
    return q[:, None] * kernel * q, q


@pytest.mark.parametrize("seed", range(20))
def test_greedy_map_takes_at_each_step_the_largest_determinant(seed):
    kernel, _ = random_kernel(9, seed)
    chosen: list[int] = []
    for _ in range(6):
        rest = [i for i in range(9) if i not in chosen]
        volume = [np.linalg.det(kernel[np.ix_([*chosen, i], [*chosen, i])]) for i in rest]
        chosen.append(rest[int(np.argmax(volume))])
    assert greedy_map(kernel, 6).tolist() == chosen


@pytest.mark.parametrize("batch", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(5))
def test_greedy_map_is_the_best_subset_where_pairs_are_alike_or_unlike(seed, batch):
    """With a kernel of blocks of equal pairs the best subset is known to greedy search."""
    generator = np.random.default_rng(seed)
    block = generator.integers(0, 4, 9)
    block[:4] = range(4)
    q = generator.uniform(0.5, 1, 9)
    kernel = q[:, None] * (block[:, None] == block) * q
    best = max(combinations(range(9), batch), key=lambda s: np.linalg.det(kernel[np.ix_(s, s)]))
    assert sorted(greedy_map(kernel, batch).tolist()) == list(best)


def test_greedy_map_stops_when_nothing_new_is_left_and_the_picker_fills_by_quality():
    differences = np.repeat([[1.0, 0], [0, 2], [3, 3]], 3, axis=0)
    latents = np.repeat(np.arange(6.0).reshape(3, 2, 1), 3, axis=0)
    scores = np.array([3, 1, 2, 6, 4, 5, 9, 7, 8.0])
    same = np.repeat(np.repeat(np.eye(3), 3, 0), 3, 1)
    assert len(greedy_map(same, 9)) == 3
    chosen = pick(scores, differences, latents, 6, np.random.default_rng(0))
    assert sorted(chosen[:3].tolist()) == [0, 3, 6]  # the best of each kind
    assert chosen[3:].tolist() == [8, 7, 5]  # then by quality


def test_ties_go_to_the_lower_index():
    assert greedy_map(np.eye(4), 3).tolist() == [0, 1, 2]


def test_equal_scores_are_chosen_by_diversity_alone_and_alike_pairs_are_avoided():
    generator = np.random.default_rng(0)
    kinds = generator.normal(size=(3, 2, 4)) * 3
    latents = np.concatenate([kinds[[0]] + 0.01 * generator.normal(size=(8, 2, 4)), kinds[1:]])
    latents[1:8:2] = latents[1:8:2, ::-1]  # the same pair in the other order is the same pair
    chosen = pick(np.ones(10), np.zeros((10, 3)), latents, 3, generator, beta=0.0)
    assert {8, 9} < set(chosen.tolist())


@pytest.mark.parametrize(("beta", "blind"), [*product([0.0, 1.0], ["latents", "differences"])])
def test_beta_weighs_latents_against_rewards(beta, blind):
    generator = np.random.default_rng(4)
    given = {
        "latents": generator.normal(size=(12, 2, 3)),
        "differences": generator.normal(size=(12, 5)),
    }
    other = given | {blind: generator.normal(size=given[blind].shape)}
    chosen = [
        pick(np.ones(12), **parts, batch=5, generator=generator, beta=beta)
        for parts in (given, other)
    ]
    unused = "differences" if beta == 0 else "latents"
    assert (chosen[0].tolist() == chosen[1].tolist()) == (blind == unused)
