"""EPIC in closed form, and against its definition on a small table of rewards."""

from itertools import product

import numpy as np
import pytest

from active_rlhf.analysis.epic import Coverage, distance, pearson_distance

STATES, ACTIONS, GAMMA = 4, 3, 0.9
TABLE = np.random.default_rng(0).normal(size=(STATES, ACTIONS, STATES))
OTHER = np.random.default_rng(1).normal(size=TABLE.shape)
POTENTIAL = np.random.default_rng(2).normal(size=STATES) * 10
SHAPING = GAMMA * POTENTIAL[None, None, :] - POTENTIAL[:, None, None] + np.zeros(TABLE.shape)


def everything() -> Coverage:
    """Every transition once, and every pair of an action and a next state."""
    transitions = np.array(list(product(range(STATES), range(ACTIONS), range(STATES))))
    drawn = np.array(list(product(range(ACTIONS), range(STATES))))
    return Coverage(*transitions.T, *drawn.T)


def some(n: int = 50, m: int = 7) -> Coverage:
    rng = np.random.default_rng(3)
    sizes = (STATES, n), (ACTIONS, n), (STATES, n), (ACTIONS, m), (STATES, m)
    return Coverage(*(rng.integers(high, size=size) for high, size in sizes))


def of(table: np.ndarray):
    return lambda *at: table[at]


@pytest.mark.parametrize("over", [everything(), some()], ids=["everything", "some"])
@pytest.mark.parametrize(
    ("other", "wanted"),
    [
        *((3 * TABLE + 2, 0), (TABLE + SHAPING, 0), (2 * TABLE - SHAPING, 0)),
        *((-TABLE, 1), (SHAPING - 0.5 * TABLE, 1)),
    ],
)
def test_shaping_and_scale_do_not_matter_and_the_sign_does(over, other, wanted):
    assert distance(of(TABLE), of(other), over, GAMMA) == pytest.approx(wanted, abs=1e-6)


def test_it_is_the_definition_worked_out_term_by_term():
    def shaped(table: np.ndarray) -> np.ndarray:
        found = np.empty(table.shape)
        for s, a, t in np.ndindex(table.shape):
            from_next = np.mean([table[t, b, u] for b in range(ACTIONS) for u in range(STATES)])
            from_here = np.mean([table[s, b, u] for b in range(ACTIONS) for u in range(STATES)])
            found[s, a, t] = table[s, a, t] + GAMMA * from_next - from_here - GAMMA * table.mean()
        return found.ravel()

    rho = np.corrcoef(shaped(TABLE), shaped(OTHER))[0, 1]
    wanted = np.sqrt((1 - rho) / 2)
    assert 0.3 < wanted < 0.95
    found = distance(of(TABLE), of(OTHER), everything(), GAMMA)
    assert found == pytest.approx(wanted, abs=1e-12)
    assert distance(of(OTHER), of(TABLE), everything(), GAMMA) == found


def test_a_reward_that_never_changes_has_no_distance():
    assert np.isnan(distance(of(TABLE), of(0 * TABLE), everything(), GAMMA))
    rng = np.random.default_rng(0)
    assert pearson_distance(*rng.normal(size=(2, 100_000))) == pytest.approx(np.sqrt(0.5), abs=0.01)
