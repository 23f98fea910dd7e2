"""Labels go to other formats and come back as they were, to the byte."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from active_rlhf.behaviour.ledger import Ledger
from active_rlhf.cli import main
from active_rlhf.errors import InputError
from active_rlhf.labelling.data import PERSON, ROW, read, write
from active_rlhf.teachers import Answers

FINITE = st.floats(allow_nan=False, allow_infinity=False)
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
SAID = st.fixed_dictionaries(
    dict.fromkeys(PERSON, st.none())
    | {"annotator": WORDS, "seconds": st.none() | FINITE, "mirrored": st.integers(0, 1)}
)


@st.composite
def runs(draw, name):
    """A labels.npz as a run writes it, and what people said of it."""
    n, length = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    ledger = Ledger(n + draw(st.integers(0, 2)))
    ids = arrays(np.int64, (n, 2), elements=st.integers(0, 2**62))
    tickets = ledger.ask(draw(ids), 0, draw(arrays(bool, n)))
    answered = draw(arrays(bool, n))
    preference = draw(arrays(float, n, elements=st.sampled_from([0.0, 0.5, 1.0, np.nan])))
    confidence = draw(arrays(float, n, elements=st.floats(0, 1)))
    kept = Answers(preference[answered], confidence[answered])
    ledger.answer(tickets[answered], kept, draw(st.integers(0, 10**9)))
    single, choice = st.floats(width=32, allow_nan=False), st.integers(0, 17)
    continuous = np.float32, (n, 2, length, 1), single
    action = draw(st.sampled_from([continuous, (np.int64, (n, 2, length), choice)]))
    texts = np.array(["null", '{"a": 1}'])
    behaviour = {
        **draw(st.sampled_from([{}, {"replay_origins": texts, "replay_steps": np.arange(2)}])),
        "observations": draw(arrays(np.float32, (n, 2, length, 2), elements=single)),
        "actions": draw(arrays(action[0], action[1], elements=action[2])),
        "returns": draw(arrays(float, (n, 2), elements=FINITE)),
    }
    people = draw(st.lists(st.lists(SAID, max_size=2), min_size=n, max_size=n))
    return name, ledger, behaviour, people


@settings(max_examples=25, deadline=None)
@given(first=runs("DUO@few"), second=runs("random"), suffix=st.sampled_from([".jsonl", ".csv"]))
def test_every_format_gives_back_the_same(first, second, suffix):
    with TemporaryDirectory() as place:
        folder, made = Path(place), []
        for name, ledger, behaviour, people in (first, second):
            ledger.save(folder / f"{name}.npz", **behaviour)
            [own] = read(folder / f"{name}.npz")
            run = ("Hopper-v5", name, 3)
            other = dict.fromkeys(ROW) | {
                "environment": run[0],
                "method": name,
                "seed": 3,
                "purpose": "gold",
                "people": people[0],
            }
            changed = {"run": run, "people": people, "others": [other]}
            made.append(type(own)(**vars(own) | changed))
        write(made, folder / f"all{suffix}", segments=True)
        back = read(folder / f"all{suffix}")
        for one, again in zip(made, back, strict=True):
            assert (again.run, again.people, again.others) == (one.run, one.people, one.others)
            assert list(again.digests) == list(one.digests)
            write([again], folder / "again.npz")
            before = (folder / f"{one.run[1]}.npz").read_bytes()
            assert (folder / "again.npz").read_bytes() == before
        write(made, folder / f"few{suffix}")
        for one, again in zip(made, read(folder / f"few{suffix}"), strict=True):
            assert not again.has_segments and again.people == one.people
            for name, column in again.columns.items():
                np.testing.assert_array_equal(column, one.columns[name])


GOOD = dict.fromkeys(ROW) | {"environment": "E", "method": "m", "seed": 1, "purpose": "query"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", "{}\n", r"a\.jsonl:1: environment: missing"),
        ("a.jsonl", json.dumps(GOOD) + "\nno\n", r"a\.jsonl:2: not a row of labels"),
        ("a.jsonl", json.dumps(GOOD), r"a\.jsonl: the queries of .* not numbered from 0"),
        ("a.csv", "environment,method\n", r"a\.csv:1: seed: missing"),
        ("a.npz", "no", r"a\.npz: not labels"),
        ("a.txt", "no", r"a\.txt: labels are in \.npz, \.jsonl or \.csv, not in \.txt"),
    ],
)
def test_bad_files_are_one_line(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        read(tmp_path / name)


def test_what_cannot_be_written_is_refused(tmp_path, capsys):
    ledger = Ledger(1)
    ledger.ask(np.array([[0, 1]]), 0, np.array([False]))
    shape = (1, 2, 3, 1)
    shown = {"observations": np.ones(shape, np.float32), "actions": np.ones(shape, np.float32)}
    ledger.save(tmp_path / "labels.npz", returns=np.ones((1, 2)), **shown)
    command = ["labels", str(tmp_path / "labels.npz"), "--out"]
    assert main([*command, str(tmp_path / "few.jsonl")]) == 0
    [row] = map(json.loads, (tmp_path / "few.jsonl").read_text().splitlines())
    assert row["answer"] is None and row["answered_at"] == -1
    command[1] = str(tmp_path / "few.jsonl")
    for name, why in (("a.npz", "needs segments"), ("a.txt", "must end in .npz, .jsonl or .csv")):
        assert main([*command, str(tmp_path / name)]) == 2
        assert why in capsys.readouterr().err and not (tmp_path / name).exists()
    assert main(["labels", str(tmp_path / "nothing"), "--out", str(tmp_path / "a.csv")]) == 2
