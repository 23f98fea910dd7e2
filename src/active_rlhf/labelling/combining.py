"""One answer from what several people said about a query.

Those who could not judge count only if all of them could not.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from active_rlhf.labelling.queue import Combine, Said
from active_rlhf.labelling.reliability import dawid_skene

PREFERENCE = {"first": 1.0, "second": 0.0, "equal": 0.5, "skipped": float("nan")}
JUDGED = ("first", "second", "equal")
NOBODY = (PREFERENCE["skipped"], 0.0)
AS_PROBABLE = 1e-3  # probabilities this close are the same


def first(said: Mapping[int, Sequence[Said]]) -> dict[int, tuple[float, float]]:
    """What the first person said, with confidence 1."""
    return {
        query: (PREFERENCE[people[0].answer], 1.0) if people else NOBODY
        for query, people in _judged(said).items()
    }


def majority(said: Mapping[int, Sequence[Said]]) -> dict[int, tuple[float, float]]:
    """The most frequent answer, with the share of people who gave it as confidence.

    Where several answers are as frequent, it is `equal`.
    """
    combined = {}
    for query, people in _judged(said).items():
        counts = Counter(one.answer for one in people)
        shares = np.array([counts[answer] / max(len(people), 1) for answer in JUDGED])
        combined[query] = _best(shares) if people else NOBODY
    return combined


def weighted(said: Mapping[int, Sequence[Said]]) -> dict[int, tuple[float, float]]:
    """The most probable answer by how reliable each person is (Dawid and Skene 1979), with its
    probability as confidence.

    Where several answers are as probable, it is `equal`.
    """
    judged = _judged(said)
    answers = [
        (query, one.annotator, one.answer) for query, people in judged.items() for one in people
    ]
    truth = dawid_skene(answers, JUDGED).truth
    return {query: _best(truth[query]) if judged[query] else NOBODY for query in judged}


def _judged(said: Mapping[int, Sequence[Said]]) -> dict[int, list[Said]]:
    """What those said who could judge."""
    return {
        query: [one for one in people if one.answer != "skipped"] for query, people in said.items()
    }


def _best(probabilities: np.ndarray) -> tuple[float, float]:
    """The most probable of JUDGED, with its probability; `equal` where there are several."""
    best = np.flatnonzero(probabilities > probabilities.max() - AS_PROBABLE)
    answer = int(best[0]) if len(best) == 1 else JUDGED.index("equal")
    return PREFERENCE[JUDGED[answer]], float(probabilities[answer])


COMBINED: dict[str, Combine] = {"first": first, "majority": majority, "weighted": weighted}
