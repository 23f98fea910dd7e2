import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from active_rlhf.behaviour.ledger import COLUMNS, Ledger
from active_rlhf.run.schedule import held_out_per_session, queries_per_session
from active_rlhf.teachers import Answers


def batch(rng, n, held=0, first=0):
    """A session of n queries, each recognisable by its pair; about a third of each answer."""
    ids = np.arange(first, first + n)
    return {
        "pairs": np.stack([ids, ids + 10_000], axis=1),
        "answers": Answers(rng.choice([0.0, 0.5, 1.0, np.nan], n), rng.random(n)),
        "held_out": rng.permutation(np.arange(n) < held),
    }


def record(ledger, pairs, answers, held_out, session):
    """Ask, and answer at once."""
    ledger.answer(ledger.ask(pairs, session, held_out), answers)


@settings(max_examples=50)
@given(st.data())
def test_a_run_asks_its_budget_and_keeps_every_answer(data):
    sessions = data.draw(st.integers(1, 8))
    initial = data.draw(st.integers(1, 10))
    total = initial + (data.draw(st.integers(sessions - 1, 40)) if sessions > 1 else 0)
    fraction = data.draw(st.sampled_from([0.1, 0.2, 0.5]))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    queries = queries_per_session(total, initial, sessions)
    ledger = Ledger(total)
    given_batches = []
    for session, (n, held) in enumerate(
        zip(queries, held_out_per_session(queries, fraction), strict=True)
    ):
        given_batches.append(batch(rng, n, held, ledger.asked))
        record(ledger, **given_batches[-1], session=session)
        assert ledger.asked + ledger.remaining == total
        assert ledger.asked <= total
        # Whatever came before is still there, unchanged and in order.
        for name in ("pairs", "held_out"):
            expected = np.concatenate([b[name] for b in given_batches])
            np.testing.assert_array_equal(ledger.column(name), expected)
        answers = np.concatenate([b["answers"].preference for b in given_batches])
        np.testing.assert_array_equal(ledger.column("preferences"), answers)
        # Labels are the answered queries, each in exactly one of both halves.
        training, validation = ledger.training(), ledger.validation()
        labelled = {*training.pairs[:, 0], *validation.pairs[:, 0]}
        assert labelled == set(np.flatnonzero(~np.isnan(answers)))
        assert len(training.pairs) + len(validation.pairs) == len(labelled)
        assert not set(training.pairs[:, 0]) & set(np.flatnonzero(ledger.column("held_out")))
        np.testing.assert_array_equal(training.preferences, answers[training.pairs[:, 0]])
    assert ledger.asked == total
    assert ledger.column("held_out").sum() == round(fraction * total)
    np.testing.assert_array_equal(ledger.column("sessions"), np.repeat(range(sessions), queries))
    with pytest.raises(ValueError, match="1 queries asked with 0 left"):
        record(ledger, **batch(rng, 1), session=sessions)
    assert ledger.asked == total


def test_invalid_calls_are_refused_and_change_nothing():
    rng = np.random.default_rng(0)
    ledger = Ledger(10)
    with pytest.raises(ValueError, match="nothing has been asked"):
        ledger.column("pairs")
    record(ledger, **batch(rng, 4), session=0)
    wrong = batch(rng, 3)
    with pytest.raises(ValueError, match="different length"):
        record(ledger, **wrong | {"held_out": np.zeros(2, bool)}, session=1)
    assert ledger.asked == 4 and ledger.pending == 0
    tickets = ledger.ask(wrong["pairs"], 1, wrong["held_out"])
    with pytest.raises(ValueError, match="an answer is"):
        ledger.answer(tickets, Answers(np.array([0, 1, 2.0]), np.ones(3)))
    with pytest.raises(ValueError, match="2 answers to 3"):
        ledger.answer(tickets, Answers(np.zeros(2), np.ones(2)))
    for again in (np.array([0]), tickets[[0, 0]]):
        with pytest.raises(ValueError, match="not all pending"):
            ledger.answer(again, Answers(np.zeros(len(again)), np.ones(len(again))))
    assert ledger.asked == 7 and ledger.pending == 3
    with pytest.raises(ValueError, match="read-only"):
        ledger.column("preferences")[0] = 1.0


@pytest.mark.parametrize("sessions", [0, 1, 3])
def test_save_and_load_round_trip_with_identical_bytes(tmp_path, sessions):
    rng = np.random.default_rng(1)
    ledger = Ledger(12)
    for session in range(sessions):
        record(ledger, **batch(rng, 3, 1), session=session)
    first, second = tmp_path / "a.npz", tmp_path / "b" / "labels.npz"
    behaviour = {"observations": rng.random((3 * sessions, 2, 5, 1), np.float32)}
    ledger.save(first, **behaviour)
    loaded = Ledger.load(first)
    loaded.save(second, **behaviour)
    assert first.read_bytes() == second.read_bytes()
    assert (loaded.budget, loaded.asked) == (12, 3 * sessions)
    for name in COLUMNS if sessions else ():
        np.testing.assert_array_equal(loaded.column(name), ledger.column(name))
        assert loaded.column(name).dtype == ledger.column(name).dtype
    with np.load(first) as file:
        np.testing.assert_array_equal(file["observations"], behaviour["observations"])
    # No time of writing is kept inside: zip's earliest date stands in for it.
    assert {entry.date_time for entry in zipfile.ZipFile(first).infolist()} == {
        (1980, 1, 1, 0, 0, 0)
    }


def test_answers_may_come_late_and_in_any_order(tmp_path):
    """A query without an answer counts toward the budget but is not a label yet."""
    rng = np.random.default_rng(2)
    ledger = Ledger(6)
    first, second = batch(rng, 3), batch(rng, 3, first=3)
    tickets = [ledger.ask(b["pairs"], i, b["held_out"]) for i, b in enumerate((first, second))]
    assert ledger.remaining == 0 and ledger.pending == 6 and not len(ledger.training().pairs)
    ledger.answer(tickets[1][::-1], Answers(np.array([1.0, np.nan, 0.0]), np.ones(3)))
    assert ledger.pending == 3
    np.testing.assert_array_equal(ledger.training().pairs[:, 0], [3, 5])
    np.testing.assert_array_equal(ledger.training().preferences, [0, 1])
    ledger.save(tmp_path / "labels.npz")
    loaded = Ledger.load(tmp_path / "labels.npz")
    assert loaded.pending == 3
    loaded.answer(tickets[0], Answers(np.array([0.5, 0.5, 0.5]), np.ones(3)))
    assert loaded.pending == 0
    np.testing.assert_array_equal(loaded.training().pairs[:, 0], [0, 1, 2, 3, 5])


def test_files_of_before_there_were_pending_queries_are_read(tmp_path):
    rng = np.random.default_rng(3)
    ledger = Ledger(4)
    record(ledger, **batch(rng, 4), session=0)
    old = {name: ledger.column(name) for name in COLUMNS if name != "answered_at"}
    np.savez(tmp_path / "labels.npz", budget=np.int64(4), **old)
    loaded = Ledger.load(tmp_path / "labels.npz")
    assert loaded.pending == 0
    np.testing.assert_array_equal(loaded.training().pairs, ledger.training().pairs)
