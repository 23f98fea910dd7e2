"""How reliable people are, from their answers alone."""

from collections.abc import Sequence

import numpy as np

ROUNDS, ENOUGH = 100, 1e-6
PRIOR = 1.0  # answers that each person is taken to have given before, most of them right


def dawid_skene(
    answers: Sequence[tuple[int, str, str]], classes: Sequence[str]
) -> dict[int, np.ndarray]:
    """The probability of each class for each query [c], by expectation maximisation.

    answers: (query, annotator, class) as often as somebody answered. Each annotator has a matrix of
    how often they answer what, given the true class (Dawid and Skene 1979, equations 2.1 to 2.5),
    smoothed by PRIOR answers, so that a person of few answers is neither trusted nor distrusted
    entirely. Where everybody answered other queries, the answers themselves are returned.
    """
    queries = sorted({query for query, _, _ in answers})
    people = sorted({person for _, person, _ in answers})
    count = np.zeros((len(people), len(queries), len(classes)))
    for query, person, answer in answers:
        count[people.index(person), queries.index(query), classes.index(answer)] += 1
    votes = count.sum(0)
    posterior = votes / votes.sum(1, keepdims=True)
    prior = PRIOR * (0.5 * np.eye(len(classes)) + 0.5 / len(classes))
    for _ in range(ROUNDS):
        share = posterior.mean(0)
        confusion = np.einsum("qt,pqa->pta", posterior, count) + prior
        confusion /= confusion.sum(2, keepdims=True)
        likelihood = np.log(share + 1e-12) + np.einsum("pqa,pta->qt", count, np.log(confusion))
        likelihood -= likelihood.max(1, keepdims=True)
        updated = np.exp(likelihood)
        updated /= updated.sum(1, keepdims=True)
        change, posterior = np.abs(updated - posterior).max(), updated
        if change < ENOUGH:
            break
    return dict(zip(queries, posterior, strict=True))
