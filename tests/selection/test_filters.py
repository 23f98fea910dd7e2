"""Which pairs stay in play."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from active_rlhf.selection.filters.consensual import undecided
from active_rlhf.selection.selector import shortlist


@given(st.lists(st.tuples(*[st.floats(-5, 5)] * 3), min_size=1, max_size=20))
def test_consensual_pairs_have_one_half_between_the_members_probabilities(columns):
    members = np.array(columns).T
    theta = 1 / (1 + np.exp(-members))
    expected = [bool(p.min() <= 0.5 <= p.max()) for p in theta.T]
    # a difference below rounding gives a probability of exactly one half
    clear = (np.abs(members) > 1e-12).all(axis=0)
    assert undecided(members)[clear].tolist() == np.array(expected)[clear].tolist()


@given(st.data())
def test_shortlist_is_the_best_share_of_the_passing_and_never_too_short(data):
    m = data.draw(st.integers(1, 12))
    batch = data.draw(st.integers(1, m))
    scores = np.array(data.draw(st.lists(st.integers(0, 4), min_size=m, max_size=m)), float)
    passing = data.draw(st.none() | st.lists(st.booleans(), min_size=m, max_size=m).map(np.array))
    keep = data.draw(st.none() | st.sampled_from([0.1, 0.5, 0.75, 1.0]))

    def best(indices):
        return sorted(indices, key=lambda i: (-scores[i], i))

    inside = best(i for i in range(m) if passing is None or passing[i])
    outside = best(i for i in range(m) if i not in inside)
    stay = inside + outside[: max(0, batch - len(inside))]
    if keep is not None:
        stay = stay[: max(batch, int(np.ceil(keep * len(stay))))]
    assert shortlist(scores, passing, keep, batch).tolist() == sorted(stay)
    assert len(stay) >= batch
