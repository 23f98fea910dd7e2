"""Stacked frames come back bit for bit, in any order, and take a fraction of their bytes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from active_rlhf.behaviour.stacks import BLOCK, Stacks, for_file, from_file, joined


def rows_of(generator: np.random.Generator, steps: int, ends: float) -> np.ndarray:
    """Stacks [steps, 3, 4, 5] of episodes in which few pixels change."""
    rows, frames = [], None
    for _ in range(steps):
        if frames is None or generator.random() < ends:
            frames = [generator.integers(256, size=(4, 5), dtype=np.uint8)] * 3
        else:
            new = frames[-1].copy()
            new.flat[generator.integers(20)] = generator.integers(256)
            frames = [*frames[1:], new]
        rows.append(np.array(frames))
    return np.array(rows)


def filled(rows: np.ndarray, lanes: int, pieces: int) -> Stacks:
    """Lanes written in turn, a piece at a time."""
    table, each = Stacks(len(rows), rows.shape[1:]), len(rows) // lanes
    for part in np.array_split(np.arange(each), pieces):
        for lane in range(lanes):
            if len(part):
                place = slice(lane * each + part[0], lane * each + part[-1] + 1)
                table[place] = rows[place]
    return table


@settings(max_examples=30)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 3),
    st.integers(1, 3 * BLOCK),
    st.sampled_from([0.0, 0.1, 1.0]),
    st.integers(1, 9),
)
def test_any_rows_are_those_written(seed, lanes, each, ends, pieces):
    generator = np.random.default_rng(seed)
    rows = rows_of(generator, lanes * each, ends)
    table = filled(rows, lanes, pieces)
    picked = generator.integers(len(rows), size=(3, 7))
    for index in (picked, slice(None), slice(2, 5)):
        np.testing.assert_array_equal(table[index], rows[index])

    other = Stacks(len(rows), rows.shape[1:])
    other.numbers[:] = table.numbers
    journal = b"".join(piece.tobytes() for piece in table.journal(0))
    cut = generator.integers(len(journal) + 1)
    halves = [np.frombuffer(part, np.uint8) for part in (journal[:cut], journal[cut:])]
    other.extend(halves)
    other.load_state_dict(table.state_dict())
    np.testing.assert_array_equal(other[:], rows)

    columns = from_file(for_file({"seen": table[picked], "picked": picked}))
    read = columns["seen"]
    assert columns.keys() == {"seen", "picked"} and read.shape == (3, 7, 3, 4, 5)
    np.testing.assert_array_equal(read[1:, 2], rows[picked][1:, 2])
    np.testing.assert_array_equal(joined([table[picked], read]), rows[np.tile(picked, (2, 1))])


def test_a_table_goes_on_where_another_was_saved():
    rows = rows_of(np.random.default_rng(0), 400, 0.02)
    whole, before, after = (Stacks(400, rows.shape[1:]) for _ in range(3))
    whole[0:400] = rows
    before[0:201] = rows[:201]
    saved = list(before.journal(0))
    after.numbers[:] = before.numbers
    after.extend(saved)
    after.load_state_dict(before.state_dict())
    after[201:400] = rows[201:]
    np.testing.assert_array_equal(after[:], rows)
    later = list(after.journal(sum(map(len, saved))))
    assert b"".join(map(bytes, saved + later)) == b"".join(map(bytes, whole.journal(0)))


def test_frames_are_kept_once_and_small():
    table = Stacks(4000, (4, 84, 84))
    frames = np.zeros((4003, 84, 84), np.uint8)
    frames[np.arange(4003), np.arange(4003) % 84, 20] = 255
    table[0:4000] = np.lib.stride_tricks.sliding_window_view(frames, 4, 0).transpose(0, 3, 1, 2)
    assert table.nbytes < 200 * 4000 + BLOCK * 84 * 84
    with pytest.raises(ValueError, match="2 rows do not fill 3999 to 4000 of 4000"):
        table[3999:4001] = np.zeros((2, 4, 84, 84), np.uint8)
