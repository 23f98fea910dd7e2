"""Whole selectors: every composition works, and presets do what they say."""

import json
from itertools import cycle, product
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats
from some_behaviour import context, log_probabilities, member_rewards, store, unordered

from active_rlhf import parts
from active_rlhf.selection.candidates import independent_pairs
from active_rlhf.selection.candidates.on_policy import on_policy_weights
from active_rlhf.selection.candidates.pairing import pairs_across_clusters
from active_rlhf.selection.composition import needs_latents, validate_composition
from active_rlhf.selection.pairs import Pairs
from active_rlhf.selection.presets import PRESETS
from active_rlhf.selection.selector import STAGES, Selector

LENGTH, SIZE, BATCH = 5, 30, 6
BEHAVIOUR = store([20, 15, 25, 18, 22], open_end=9)
GENERATORS = ["uniform", "on_policy", {"name": "recent", "episodes": 2}, "policy_rank", "motion"]
PAIRINGS = [{}, {"pairing": "cross_cluster", "clusters": 3}]


def select(composition, made, batch):
    return Selector(composition).select(made, batch)


def candidates_of(generator, pairing):
    return ({"name": generator} if isinstance(generator, str) else generator) | pairing


def every_two():
    """Each generator and pairing with each score and each picker; each score with each picker."""
    scores, pickers = ["none", *parts.known("score")], cycle(parts.known("picker"))
    for score in scores:
        next(pickers)  # another picker for each generator than with the score before
        for generator, pairing in product(GENERATORS, PAIRINGS):
            yield generator, pairing, score, next(pickers)


@pytest.mark.parametrize(("generator", "pairing", "score", "picker"), every_two())
def test_every_generator_score_and_picker_selects(generator, pairing, score, picker):
    for gate, keep in ((None, None), ("consensual", 0.5)):
        composition = {
            "candidates": candidates_of(generator, pairing),
            "filter": gate,
            "score": score,
            "keep": keep,
            "picker": picker,
        }
        asked = np.array([[0, 20], [3, 40]])
        selection, again = (
            select(composition, context(BEHAVIOUR, LENGTH, SIZE, labelled=asked), BATCH)
            for _ in range(2)
        )
        assert selection.pairs.shape == (BATCH, 2) and selection.pairs.dtype == np.int64
        assert len(unordered(selection.pairs)) == BATCH
        assert all(len(pair) == 2 for pair in unordered(selection.pairs))
        assert selection.pool_size == SIZE
        assert set(selection.seconds) == set(STAGES)
        assert np.isnan(selection.score_pool) == np.isnan(selection.score_selected)
        assert np.isnan(selection.score_pool) == (score == "none")
        assert again.pairs.tolist() == selection.pairs.tolist()


def queries(composition, flip, monkeypatch):
    """What is asked if the members of the pairs marked in `flip` change places."""

    def swapped(pairs):
        marked = np.resize(flip, len(pairs)).reshape(-1, *[1] * (pairs.ndim - 1))
        return np.where(marked, pairs[:, ::-1], pairs)

    def made(given, ids, latents=None):
        return Pairs(given, swapped(ids), latents and (lambda: swapped(latents())))

    monkeypatch.setattr("active_rlhf.selection.selector.Pairs", made)
    asked = swapped(np.array([[0, 20], [3, 40], [50, 7]]))
    answers = np.where(flip[:3], 0.0, 1.0)
    given = context(BEHAVIOUR, LENGTH, SIZE, labelled=asked, answers=answers)
    return [frozenset(pair) for pair in select(composition, given, BATCH).pairs.tolist()]


SELECTORS = PRESETS | {
    f"{score}, {picker}": {"filter": "consensual", "score": score, "keep": 0.5, "picker": picker}
    for score, picker in [
        *product(parts.known("score"), ["top"]),
        *product(["range"], [*parts.known("picker"), {"name": "k_center", "actions": True}]),
    ]
}


@pytest.mark.parametrize("name", SELECTORS)
def test_swapping_the_members_of_pairs_asks_the_same_queries(name, monkeypatch):
    as_drawn = queries(SELECTORS[name], np.zeros(SIZE, bool), monkeypatch)
    for seed in range(2):
        flip = np.random.default_rng(seed).random(SIZE) < 0.5
        assert queries(SELECTORS[name], flip, monkeypatch) == as_drawn


@pytest.mark.parametrize("generator", GENERATORS)
@pytest.mark.parametrize("pairing", PAIRINGS)
def test_equal_candidate_settings_give_equal_candidates(generator, pairing):
    """All other parts may differ: with a batch as large as the pool, the pool is selected."""
    chosen = [
        select(
            {"candidates": candidates_of(generator, pairing), "score": score, "picker": picker},
            context(BEHAVIOUR, LENGTH, SIZE),
            SIZE,
        )
        for score, picker in (("none", "random"), ("bald", "top"), ("range", "dpp"))
    ]
    assert unordered(chosen[0].pairs) == unordered(chosen[1].pairs) == unordered(chosen[2].pairs)


def independent(seed, weights=None):
    """The pool that `select` sees with this seed, and its generator afterwards."""
    generator = context(BEHAVIOUR, LENGTH, SIZE, seed).candidate_generator
    return independent_pairs(BEHAVIOUR, LENGTH, SIZE, weights, generator), generator


def predictions(pairs):
    rewards = member_rewards(*BEHAVIOUR.gather(pairs, LENGTH))  # [E, m, 2, H]
    returns = rewards.sum(-1)
    scale = rewards.std(axis=(1, 2, 3))[:, None, None, None]
    mean = (rewards / scale).mean(0)
    return returns[..., 0] - returns[..., 1], mean[:, 0] - mean[:, 1]


def range_of(members):
    theta = 1 / (1 + np.exp(-members))
    return theta.max(0) - theta.min(0)


@pytest.mark.parametrize("seed", range(4))
def test_variquery_asks_the_widest_ranges_of_pairs_across_clusters(seed):
    made = context(BEHAVIOUR, LENGTH, SIZE, seed)
    first, generator = independent(seed)
    ids = np.unique(first)
    latents = stats.zscore(made.embed(ids), axis=0)
    pairs = pairs_across_clusters(ids, latents, 10, SIZE, generator)
    best = np.argsort(-range_of(predictions(pairs)[0]), kind="stable")[:BATCH]
    assert select(PRESETS["variquery"], made, BATCH).pairs.tolist() == pairs[best].tolist()


@pytest.mark.parametrize("accuracy", [None, 0.5, 0.8, 0.81])
@pytest.mark.parametrize("seed", range(4))
def test_duo_filters_halves_and_takes_one_of_each_cluster(accuracy, seed):
    weights = on_policy_weights(BEHAVIOUR, LENGTH, log_probabilities)
    pairs, _ = independent(seed, weights)
    members, differences = predictions(pairs)
    score = range_of(members)
    stay = sorted(range(SIZE), key=lambda i: (-score[i], i))
    if accuracy == 0.81:
        stay = [i for i in stay if members[:, i].min() <= 0 <= members[:, i].max()]
    stay = sorted(stay[: max(BATCH, -(-len(stay) // 2))])
    made = context(BEHAVIOUR, LENGTH, SIZE, seed, train_accuracy=accuracy)
    pool = SimpleNamespace(scores=score[stay], step_differences=differences[stay])
    kmeans = parts.part("picker", "kmeans").start({})
    chosen = kmeans(pool, BATCH, context(BEHAVIOUR, LENGTH, SIZE, seed).selector_generator)
    expected = unordered(pairs[np.array(stay)[chosen]])
    assert unordered(select(PRESETS["duo"], made, BATCH).pairs) == expected


@pytest.mark.parametrize("seed", range(4))
def test_hybrid_is_a_determinantal_process_over_on_policy_pairs(seed):
    weights = on_policy_weights(BEHAVIOUR, LENGTH, log_probabilities)
    pairs, generator = independent(seed, weights)
    made = context(BEHAVIOUR, LENGTH, SIZE, seed)
    ids = np.unique(pairs)
    latents = dict(zip(ids.tolist(), stats.zscore(made.embed(ids), axis=0), strict=True))
    members, differences = predictions(pairs)
    pool = SimpleNamespace(
        scores=range_of(members),
        step_differences=differences,
        latents=np.array([[latents[i] for i in p] for p in pairs.tolist()]),
    )
    chosen = parts.part("picker", "dpp").start({})(pool, BATCH, generator)
    selected = select(PRESETS["hybrid"], made, BATCH)
    assert selected.pairs.tolist() == pairs[chosen].tolist()
    assert selected.score_pool == pytest.approx(pool.scores.mean())
    assert selected.score_selected == pytest.approx(pool.scores[chosen].mean())


@pytest.mark.parametrize("picker", ["kmeans", "dpp"])
def test_no_member_dominates_the_mean_difference(picker):
    def scaled(observations, actions):
        return member_rewards(observations, actions) * np.array([1.0, 1000, 1e-3])[:, None, None]

    def predicting(model):
        return lambda ids: model(*BEHAVIOUR.gather(ids, LENGTH))

    made = (
        context(BEHAVIOUR, LENGTH, SIZE, member_rewards=predicting(model))
        for model in (member_rewards, scaled)
    )
    one, other = (select({"picker": picker}, given, BATCH) for given in made)
    assert one.pairs.tolist() == other.pairs.tolist()


def test_identical_latents_leave_variquery_with_independent_pairs():
    made = context(BEHAVIOUR, LENGTH, SIZE, embed=lambda ids: np.zeros((len(ids), 2)))
    pairs, _ = independent(0)
    assert unordered(select(PRESETS["variquery"], made, SIZE).pairs) == unordered(pairs)


def test_only_selectors_that_need_a_vae_ask_for_latents():
    def refuse(ids):
        raise AssertionError("asked for latents")

    made = context(BEHAVIOUR, LENGTH, SIZE, embed=refuse)
    assert [name for name in PRESETS if needs_latents(PRESETS[name])] == ["variquery", "hybrid"]
    for name in set(PRESETS) - {"variquery", "hybrid"}:
        select(PRESETS[name], made, BATCH)
    rewards_only = {"picker": {"name": "dpp", "beta": 1.0}}
    assert not needs_latents(rewards_only)
    select(rewards_only, made, BATCH)


def test_too_little_behaviour_is_refused():
    with pytest.raises(ValueError, match=r"3 pairs of segments .* too few to ask 4 queries"):
        select({}, context(store([7]), LENGTH, 40), 4)


def test_presets_are_complete_and_json():
    for composition in PRESETS.values():
        assert validate_composition(composition) == composition
        assert json.loads(json.dumps(composition)) == composition


def test_b_prefs_selectors_draw_from_the_last_hundred_episodes():
    """B-Pref's buffer holds no more, nor that of methods built on it; others draw from all."""
    made = context(store([LENGTH] * 300), LENGTH, SIZE)
    recent = {name for name in PRESETS if select(PRESETS[name], made, BATCH).pairs.min() >= 1000}
    k_centers = {"k_center", "k_center_disagreement", "k_center_entropy"}
    assert recent == {*("uniform", "disagreement", "entropy", "policy_rank", "motion"), *k_centers}
    assert {PRESETS[name]["picker"]["actions"] for name in k_centers} == {False}


def test_what_a_composition_leaves_out_is_as_in_random():
    assert validate_composition({}) == {
        "candidates": {"name": "uniform", "pairing": "independent"},
        "filter": None,
        "score": {"name": "none"},
        "keep": None,
        "picker": {"name": "random"},
    }
    assert validate_composition({"picker": "dpp"})["picker"] == {
        "name": "dpp",
        "beta": 0.5,
        "q_min": 0.5,
        "temperature": 1.0,
    }


@pytest.mark.parametrize(
    ("composition", "line"),
    [
        ("top", "must be a mapping"),
        ({"scor": "range"}, "scor: unknown here"),
        ({"score": "ranje"}, "score.name: unknown score 'ranje', did you mean 'range'?"),
        ({"score": ["range"]}, r"score: must be a name or a mapping with a name, not"),
        ({"picker": "dppp"}, "picker.name: unknown picker 'dppp', did you mean 'dpp'?"),
        ({"picker": 3}, "picker: must be a name or a mapping"),
        ({"picker": {"name": "top", "beta": 0.5}}, "picker: unknown setting 'beta': there are n"),
        ({"picker": {"name": "dpp", "beta": 1.5}}, "picker.beta: must be at most 1, not 1.5"),
        ({"picker": {"name": "dpp", "beta": True}}, "picker.beta: must be a number"),
        ({"picker": {"name": "dpp", "beta": float("nan")}}, "picker.beta: nan is not a usable"),
        ({"picker": {"name": "dpp", "temperature": 0}}, "picker.temperature: must be"),
        ({"candidates": "offline"}, "candidates.name: unknown candidates 'offline'"),
        ({"candidates": {"pairing": "x"}}, "candidates.pairing: unknown pairing 'x'"),
        ({"candidates": {"clusters": 3}}, "candidates: unknown setting 'clusters': there"),
        ({"candidates": {"pairing": "cross_cluster", "clusters": 1}}, "candidates.clusters: must"),
        ({"candidates": {"name": "recent", "episodes": 2.5}}, "candidates.episodes: must be a who"),
        ({"filter": {"train_accuracy": 0.8}}, "filter.name: unknown filter nothing"),
        ({"filter": {"name": "consensual", "train_accuracy": 2}}, "filter.train_accuracy: must be"),
        ({"keep": 0}, "keep: must be a number above 0"),
        ({"keep": 1.2}, "keep: must be a number above 0 and at most 1"),
    ],
)
def test_a_wrong_composition_is_refused_in_one_line_that_names_the_key(composition, line):
    with pytest.raises(ValueError, match=f"^{line.replace('?', '[?]')}") as error:
        validate_composition(composition)
    assert "\n" not in str(error.value)
