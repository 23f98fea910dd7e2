"""One answer from what several people said about a query."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from active_rlhf.labelling.queue import ANSWERS, Combine, Said
from active_rlhf.labelling.reliability import dawid_skene

PREFERENCE = {"first": 1.0, "second": 0.0, "equal": 0.5, "skipped": float("nan")}


def first(said: Mapping[int, Sequence[Said]]) -> dict[int, tuple[float, float]]:
    """What the first person said, with confidence 1 (0 if they could not judge)."""
    return {query: _certain(people[0].answer, 1.0) for query, people in said.items()}


def majority(said: Mapping[int, Sequence[Said]]) -> dict[int, tuple[float, float]]:
    """The most frequent answer, with the share of people who gave it as confidence.

    Those who could not judge count only if all did. Where several answers are as frequent, it is
    `equal`.
    """
    combined = {}
    for query, people in said.items():
        counts = Counter(one.answer for one in people if one.answer != "skipped")
        if not counts:
            combined[query] = _certain("skipped", 0.0)
            continue
        most = max(counts.values())
        winners = [answer for answer, count in counts.items() if count == most]
        answer = winners[0] if len(winners) == 1 else "equal"
        combined[query] = _certain(answer, counts[answer] / counts.total())
    return combined


def weighted(said: Mapping[int, Sequence[Said]]) -> dict[int, tuple[float, float]]:
    """The most probable answer by how reliable each person is (Dawid and Skene 1979), with its
    probability as confidence."""
    answers = [
        (query, one.annotator, one.answer) for query, people in said.items() for one in people
    ]
    combined = {}
    for query, probabilities in dawid_skene(answers, ANSWERS).items():
        best = int(np.argmax(probabilities))
        combined[query] = _certain(ANSWERS[best], float(probabilities[best]))
    return combined


def _certain(answer: str, confidence: float) -> tuple[float, float]:
    return PREFERENCE[answer], 0.0 if answer == "skipped" else confidence


COMBINED: dict[str, Combine] = {"first": first, "majority": majority, "weighted": weighted}
