"""Several people's answers as one, and how reliable each of them is."""

from collections import Counter, defaultdict
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from some_people import ANSWERS, simulated

from active_rlhf.labelling import reliability
from active_rlhf.labelling.combining import COMBINED, PREFERENCE, majority, weighted
from active_rlhf.labelling.queue import Said
from active_rlhf.labelling.reliability import dawid_skene

ACCURACIES = {"Ada": 0.95, "Bo": 0.9, "Cy": 0.45, "Di": 0.4, "Ed": 0.4}


def by_query(said):
    queries = defaultdict(list)
    for query, person, answer in said:
        queries[query].append(Said(person, answer))
    return queries


def right(combined, truth):
    return np.mean([combined[query][0] == PREFERENCE[truth[query]] for query in combined])


def test_accuracies_are_recovered_and_weighing_people_beats_the_majority():
    truth, said = simulated(np.random.default_rng(1), 1500, ACCURACIES)
    found = dawid_skene(said, ANSWERS)
    for person, accuracy in ACCURACIES.items():
        assert abs(found.accuracy(person) - accuracy) < 0.05
    better, plain = (right(of(by_query(said)), truth) for of in (weighted, majority))
    assert better > plain + 0.08
    sure = [p for _, p in weighted(by_query(said)).values()]
    assert abs(np.mean(sure) - better) < 0.05  # the confidence is what it says


def written_out(answers, classes, prior, rounds):
    """Dawid and Skene's equations 2.3 to 2.5, sum by sum."""
    queries = sorted({q for q, _, _ in answers})
    people = sorted({p for _, p, _ in answers})
    times = Counter(answers)
    n = range(len(classes))
    T = {}
    for q in queries:
        votes = [sum(times[q, p, c] for p in people) for c in classes]
        T[q] = [vote / sum(votes) for vote in votes]
    for _ in range(rounds):
        share = [sum(T[q][j] for q in queries) / len(queries) for j in n]
        pi = {}
        for p in people:
            for j in n:
                seen = [
                    sum(T[q][j] * times[q, p, c] for q in queries)
                    + prior * (0.5 * (j == i) + 0.5 / len(classes))
                    for i, c in enumerate(classes)
                ]
                pi[p, j] = [value / sum(seen) for value in seen]
        for q in queries:
            joint = [
                share[j] * prod(pi[p, j][i] ** times[q, p, classes[i]] for p in people for i in n)
                for j in n
            ]
            T[q] = [value / sum(joint) for value in joint]
    return T


@pytest.mark.parametrize("prior", [1e-9, 1.0])
def test_it_is_dawid_and_skenes(monkeypatch, prior):
    monkeypatch.setattr(reliability, "PRIOR", prior)
    monkeypatch.setattr(reliability, "ROUNDS", 30)
    monkeypatch.setattr(reliability, "ENOUGH", 0.0)
    _, said = simulated(np.random.default_rng(3), 40, {"Ada": 0.9, "Bo": 0.7, "Cy": 0.5})
    expected = written_out(said, ANSWERS, prior, 30)
    for query, truth in dawid_skene(said, ANSWERS).truth.items():
        np.testing.assert_allclose(truth, expected[query], atol=1e-6)


@pytest.mark.parametrize("name", COMBINED)
@given(said=st.lists(st.sampled_from([*ANSWERS, "skipped"]), min_size=1, max_size=30))
def test_where_each_query_has_one_answer_it_is_that(name, said):
    one_each = {q: [Said("ABC"[q % 3], answer)] for q, answer in enumerate(said)}
    combined = COMBINED[name](one_each)
    for query, answer in enumerate(said):
        certain = (PREFERENCE[answer], 0.0 if answer == "skipped" else 1.0)
        np.testing.assert_equal(combined[query], certain)


SEVERAL = st.dictionaries(
    st.integers(0, 5),
    st.lists(st.sampled_from([*ANSWERS, "skipped"]), min_size=1, max_size=4),
    min_size=1,
)
SWAPPED = {"first": "second", "second": "first", "equal": "equal", "skipped": "skipped"}


@pytest.mark.parametrize("name", COMBINED)
@given(said=SEVERAL)
def test_exchanging_the_segments_exchanges_the_answer(name, said):
    def combined(swap):
        return COMBINED[name](
            {
                query: [
                    Said("ABCD"[i], SWAPPED[one] if swap else one) for i, one in enumerate(answers)
                ]
                for query, answers in said.items()
            }
        )

    there, back = combined(False), combined(True)
    for query, (preference, confidence) in there.items():
        assert 0 <= confidence <= 1 and np.isnan(preference) == (set(said[query]) == {"skipped"})
        np.testing.assert_allclose(back[query], (1 - preference, confidence), atol=1e-6)


def test_ties_are_equal_and_those_who_cannot_judge_do_not_count():
    tie = {0: [Said("Ada", "second"), Said("Bo", "first"), Said("Cy", "skipped")]}
    assert majority(tie)[0] == (0.5, 0.0) and weighted(tie)[0][0] == 0.5
    assert COMBINED["first"]({0: tie[0][::-1]})[0] == (1.0, 1.0)
    two = {0: [Said("Ada", "first"), Said("Bo", "first"), Said("Cy", "second")]}
    assert majority(two)[0] == (1.0, pytest.approx(2 / 3))
