"""Rows come back bit for bit, whatever they hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from active_rlhf.behaviour.rows import SparseRows

NUMBERS = st.one_of(st.just(0.0), st.just(-0.0), st.floats(width=32))
TABLES = arrays(np.float32, st.tuples(st.integers(1, 30), st.integers(1, 20)), elements=NUMBERS)


@given(TABLES, st.integers(0, 30), st.booleans(), st.data())
def test_any_rows_are_those_written(table, cut, backwards, data):
    """In whichever order: environments in step fill several ranges by turns."""
    kept = SparseRows(len(table), table.shape[1])
    for part in (slice(cut, None), slice(0, cut))[:: 1 if backwards else -1]:
        kept[part] = table[part]
    picked = data.draw(arrays(np.int64, (3, 2), elements=st.integers(0, len(table) - 1)))
    for index in (picked, slice(None), slice(2, 5)):
        np.testing.assert_array_equal(kept[index].view(np.uint32), table[index].view(np.uint32))


def test_rows_without_a_place_are_refused():
    kept = SparseRows(3, 2)
    kept[:2] = np.ones((2, 2), np.float32)
    with pytest.raises(ValueError, match="2 rows do not fill 2 to 3 of 3"):
        kept[2:4] = np.ones((2, 2), np.float32)
    for index in (np.array([3]), np.array([-1])):
        with pytest.raises(IndexError):
            kept[index]


def test_zeros_take_almost_no_memory():
    kept = SparseRows(1000, 100)
    rows = np.zeros((1000, 100), np.float32)
    rows[::10, 7] = 3
    kept[:] = rows
    assert kept._used == 100
