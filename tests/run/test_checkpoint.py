"""Checkpoints: exact, complete or known to be damaged, and never fewer than one after the first."""

import os
import resource
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from active_rlhf.run.checkpoint import (
    LATEST,
    PREVIOUS,
    ROWS,
    Checkpoints,
    Interval,
    Unusable,
    pack,
    unpack,
)

ROW = np.dtype([("observation", np.float32, (3,)), ("reward", np.float64), ("ended", np.bool_)])
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    arrays.arrays(arrays.scalar_dtypes(), arrays.array_shapes(min_dims=0, min_side=0, max_side=4)),
)
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


def same(a: Any, b: Any) -> bool:
    """Equal in type, shape and every bit, NaNs and negative zeros included."""
    if isinstance(a, np.ndarray):
        return (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return type(b) is float and (a.hex() == b.hex())
    return type(a) is type(b) and a == b


@given(TREES)
@settings(deadline=None)
def test_what_is_unpacked_is_what_was_packed(tree):
    assert same(tree, unpack(pack(tree)))


@pytest.mark.parametrize("leaf", [object(), {1, 2}, np.array([object()]), np.float32(1), b"x"])
def test_nothing_is_pickled(leaf):
    with pytest.raises(TypeError, match="a checkpoint cannot hold"):
        pack({"leaf": leaf})


@given(st.binary(max_size=200), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_any_damage_is_noticed(noise, chance):
    whole = pack({"a": np.arange(10), "b": [1.5, "x"]})
    position = chance.randrange(len(whole))
    flipped = bytearray(whole)
    flipped[position] ^= 1 << chance.randrange(8)
    for damaged in (whole[:position], bytes(flipped), whole + b"\0", whole[1:], noise):
        with pytest.raises(Unusable):
            unpack(damaged)


# --- generations -------------------------------------------------------------------------------


def rows(count: int) -> np.ndarray:
    result = np.zeros(count, ROW)
    result["observation"] = np.random.default_rng(0).normal(size=(count, 3))
    result["reward"] = np.arange(count)
    result["ended"][::3] = True
    return result


HISTORY = rows(500)


def state(step: int) -> dict:
    return {"step": step, "weights": np.arange(step, dtype=np.float32)}


class Process:
    """What a process knows of its checkpoints in a folder; a new one is a process started again."""

    def __init__(self, folder: Path, **identity: str):
        self.said: list[str] = []
        self.checkpoints = Checkpoints(folder, {"spec": "s"} | identity, ROW, self.said.append)
        loaded = self.checkpoints.load()
        self.step = 0 if loaded is None else loaded["step"]
        if self.step:
            assert same(loaded, state(self.step))
            found = np.concatenate([*self.checkpoints.rows()])
            assert found.tobytes() == HISTORY[: self.step].tobytes()

    def save(self, step: int) -> None:
        new = HISTORY[self.checkpoints.rows_saved : step]
        self.checkpoints.save(state(step), np.array_split(new, 3))


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two generations, of steps 200 and 300."""
    process = Process(tmp_path / "checkpoint")
    for step in (100, 200, 300):
        process.save(step)
    return tmp_path / "checkpoint"


def test_the_latest_is_used_and_two_are_kept_beside_the_rows(folder):
    assert sorted(path.name for path in folder.iterdir()) == [LATEST, PREVIOUS, ROWS]
    process = Process(folder)
    assert (process.step, process.said) == (300, [])
    assert (folder / ROWS).stat().st_size == 300 * ROW.itemsize


def cut(path: Path, size: int) -> None:
    os.truncate(path, size)


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 4
    path.write_bytes(data)


DAMAGE = {  # any other is noticed too, as above
    "empty": lambda path: cut(path, 0),
    "no payload": lambda path: cut(path, 64),
    "one byte short": lambda path: cut(path, path.stat().st_size - 1),
    "last byte": lambda path: flip(path, -1),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_the_older_one_stands_in_for_a_damaged_one(kind, folder):
    DAMAGE[kind](folder / LATEST)
    process = Process(folder)
    assert process.step == 200
    assert process.said == [f"checkpoint {folder}: latest is damaged, going on from previous"]
    process.save(250)
    DAMAGE[kind](folder / LATEST)
    assert Process(folder).step == 200  # and not the earlier, damaged one


def test_the_older_one_stands_in_for_a_missing_one(folder):
    (folder / LATEST).unlink()
    process = Process(folder)
    assert (process.step, process.said) == (200, [])


@pytest.mark.parametrize("kind", DAMAGE)
def test_with_both_damaged_it_starts_afresh_and_says_so(kind, folder):
    for name in (LATEST, PREVIOUS):
        DAMAGE[kind](folder / name)
    process = Process(folder)
    assert process.step == 0 and not folder.exists()
    damaged = "latest is damaged, previous is damaged; starting afresh"
    assert process.said == [f"checkpoint {folder}: {damaged}"]
    process.save(50)
    assert Process(folder).step == 50


def test_rows_damaged_after_those_of_the_older_one_cost_the_latest_only(folder):
    flip(folder / ROWS, 250 * ROW.itemsize)
    process = Process(folder)
    assert process.step == 200
    damaged = "latest needs rows that are damaged in rows, going on from previous"
    assert process.said == [f"checkpoint {folder}: {damaged}"]
    process.save(300)
    assert Process(folder).step == 300


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda p: flip(p, 99), "previous needs rows that are damaged in rows"),
        (lambda p: cut(p, 1000), "previous needs rows that are damaged in rows"),
        (Path.unlink, "previous cannot be read ([Errno 2] No such file"),
    ],
)
def test_rows_damaged_before_cost_both(damage, why, folder):
    damage(folder / ROWS)
    process = Process(folder)
    (line,) = process.said
    assert process.step == 0 and why in line and line.endswith("; starting afresh")


def test_a_checkpoint_of_something_else_is_not_used(folder):
    process = Process(folder, spec="t", numpy="2")
    assert process.step == 0 and not folder.exists()
    (line,) = process.said
    assert "latest is of other spec and numpy, previous is" in line
    assert line.endswith("; starting afresh")


def test_leftovers_of_a_killed_save_go(folder):
    (folder / ".latest.unfinished-abc").write_bytes(b"half of it")
    with (folder / ROWS).open("ab") as file:
        file.write(HISTORY[300:350].tobytes()[:-5])
    assert Process(folder).step == 300
    assert sorted(path.name for path in folder.iterdir()) == [LATEST, PREVIOUS, ROWS]
    assert (folder / ROWS).stat().st_size == 300 * ROW.itemsize


# --- what may happen to a save -----------------------------------------------------------------


def in_a_child(action: Any) -> int:
    """Call `action` in a separate process; returns its exit code or minus its signal."""
    child = os.fork()
    if child == 0:
        try:
            action()
            os._exit(0)
        except BaseException:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_before(operation: int, action: Any) -> Any:
    """`action`, but for a SIGKILL as its file operation of that number begins."""

    def run() -> None:
        left = operation

        def watch(event: str, _: Any) -> None:
            nonlocal left
            if event in ("open", "os.rename", "os.remove", "os.truncate", "os.chmod", "os.mkdir"):
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(watch)
        action()

    return run


def test_a_kill_between_any_two_file_operations_leaves_one_generation_whole(folder, tmp_path):
    copy, steps = tmp_path / "copy", []
    for operation in range(100):
        shutil.copytree(folder, copy)
        process = Process(copy)
        code = in_a_child(killed_before(operation, lambda: process.save(400)))  # noqa: B023
        after = Process(copy)
        assert after.said == []
        steps.append(after.step)
        shutil.rmtree(copy)
        if code == 0:
            break
        assert code == -signal.SIGKILL
    assert steps == sorted(steps) and set(steps) <= {200, 300, 400} and steps[-1] == 400
    assert 4 < len(steps) < 100


def test_a_full_disk_leaves_the_former_generations_and_the_next_save_works(folder):
    process = Process(folder)

    def save_in_too_little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (310 * ROW.itemsize,) * 2)
        try:
            process.save(500)
        except OSError:
            assert process.checkpoints.rows_saved == 300
            process.save(305)
            return
        raise AssertionError

    assert in_a_child(save_in_too_little_room) == 0
    again = Process(folder)
    assert (again.step, again.said) == (305, [])


def test_rows_are_written_once(tmp_path):
    process = Process(tmp_path / "checkpoint")
    given = []

    def counted(step: int) -> Any:
        part = HISTORY[process.checkpoints.rows_saved : step]
        given.append(len(part))
        yield part

    for step in (100, 150, 400):
        process.checkpoints.save(state(step), counted(step))
    assert given == [100, 50, 250]
    assert Process(tmp_path / "checkpoint").step == 400


@given(
    st.floats(1, 100),
    st.lists(st.floats(0.01, 0.3), min_size=20, max_size=300),
    st.randoms(use_true_random=False),
)
def test_a_kill_costs_at_most_the_interval(seconds, shares, chance):
    """With rollouts of up to 0.3 of the interval, the longest of which may come at any time."""
    now = chance.uniform(0, 1e6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("active_rlhf.run.checkpoint.time.monotonic", lambda: now)
        interval, saved, longest = Interval(seconds), now, 0.0
        for share in shares:
            now += share * seconds
            grown = max(0.0, share * seconds - longest)
            longest = max(longest, share * seconds)
            assert now - saved <= seconds + grown + 1e-9  # but for a rollout longer than any before
            if interval.due():
                assert now - saved >= seconds / 2 - 1e-9
                saved = now
                interval.restart()


def test_without_an_interval_nothing_is_ever_due():
    interval = Interval(0)
    assert not any(interval.due() for _ in range(5))
