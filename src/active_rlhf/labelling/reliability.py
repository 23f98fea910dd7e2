"""How reliable people are, from their answers alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

ROUNDS, ENOUGH = 100, 1e-6
PRIOR = 1.0  # answers that each person is taken to have given before, most of them right


@dataclass(frozen=True)
class Reliability:
    """What c classes' answers say of queries and people.

    truth: query -> probability of each class [c]; confusion: annotator -> how often they give each
    answer (columns) where each class is true (rows), [c, c]; shares: of each class, [c].
    """

    truth: Mapping[int, np.ndarray]
    confusion: Mapping[str, np.ndarray]
    shares: np.ndarray

    def accuracy(self, annotator: str) -> float:
        """The probability that their answer is the true class."""
        return float(self.shares @ np.diag(self.confusion[annotator]))


def dawid_skene(answers: Sequence[tuple[int, str, str]], classes: Sequence[str]) -> Reliability:
    """What is true and how often each person says it, by expectation maximisation.

    answers: (query, annotator, class) as often as somebody answered. Each annotator has a matrix of
    how often they answer what, given the true class (Dawid and Skene 1979, equations 2.1 to 2.5),
    smoothed by PRIOR answers, so that a person of few answers is neither trusted nor distrusted
    entirely. Where no two people answered the same query nothing can be known of them: what they
    said is then true, and their confusion nan.
    """
    queries = {query: i for i, query in enumerate(sorted({query for query, _, _ in answers}))}
    people = {person: i for i, person in enumerate(sorted({person for _, person, _ in answers}))}
    place = {answer: i for i, answer in enumerate(classes)}
    count = np.zeros((len(people), len(queries), len(classes)))
    for query, person, answer in answers:
        count[people[person], queries[query], place[answer]] += 1
    votes = count.sum(0)
    truth = votes / votes.sum(1, keepdims=True)
    confusion = np.full((len(people), len(classes), len(classes)), np.nan)
    shares = truth.mean(0) if len(truth) else np.full(len(classes), np.nan)
    several = (count.any(2).sum(0) > 1).any()
    prior = PRIOR * (0.5 * np.eye(len(classes)) + 0.5 / len(classes))
    for _ in range(ROUNDS if several else 0):
        shares = truth.mean(0)
        confusion = np.einsum("qt,pqa->pta", truth, count) + prior
        confusion /= confusion.sum(2, keepdims=True)
        likelihood = np.log(shares + 1e-12) + np.einsum("pqa,pta->qt", count, np.log(confusion))
        likelihood -= likelihood.max(1, keepdims=True)
        updated = np.exp(likelihood)
        updated /= updated.sum(1, keepdims=True)
        change, truth = np.abs(updated - truth).max(), updated
        if change < ENOUGH:
            break
    return Reliability(
        dict(zip(queries, truth, strict=True)), dict(zip(people, confusion, strict=True)), shares
    )
