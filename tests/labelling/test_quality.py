"""What is said of people: against libraries, published examples and people whose habits we know."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from some_people import ANSWERS, simulated
from statsmodels.stats.inter_rater import cohens_kappa as statsmodels_kappa

from active_rlhf.cli import main
from active_rlhf.labelling.desk import Desk, Given
from active_rlhf.labelling.quality import (
    _share,
    as_rows,
    cohens_kappa,
    krippendorff,
    of_answers,
    read_rows,
    report,
    write,
)
from active_rlhf.labelling.queue import Asked, Film, QueueError, RunsEnd
from active_rlhf.labelling.records import RECORD, write_csv
from active_rlhf.tables.people import people


def rows(said, purpose="query", mirrored=0, returns=(2.0, 1.0)):
    """Answers (query, person, answer) as `records.read` has them."""
    frame = pd.DataFrame(said, columns=["query", "annotator", "answer"])
    frame["showing"] = [f"{purpose} {mirrored} {q} {p}" for q, p, _ in said]
    first, second = returns
    constant = {"purpose": purpose, "mirrored": mirrored, "seconds": 2.0}
    return frame.assign(**constant, first_return=first, second_return=second)


def measured(*frames):
    return of_answers(pd.concat([pd.concat(frames)], keys=[0], names=["run"]))


@given(st.lists(st.integers(0, 20), min_size=9, max_size=9).filter(any))
def test_kappa_is_that_of_statsmodels(counts):
    ours = cohens_kappa(np.array(counts, float))
    with np.errstate(all="ignore"):
        theirs = statsmodels_kappa(np.reshape(counts, (3, 3)), return_results=False)
    np.testing.assert_allclose(ours, theirs if np.isfinite(theirs) else np.nan, atol=1e-9)


def test_alpha_is_that_of_krippendorffs_examples():
    """Computing Krippendorff's alpha-reliability (2011), A (two observers, no missing data, 0.095)
    and, with its classes limited to three, a count of all pairs of values within and across."""
    a = "0 1 0 0 0 0 0 0 1 0", "1 1 1 0 0 1 0 0 0 0"
    said = np.array([line.split() for line in a], int)
    value, (low, high) = krippendorff(said)
    assert value == pytest.approx(0.095, abs=5e-4) and low < value < high
    rng = np.random.default_rng(1)
    said = rng.integers(-1, 3, size=(4, 25))
    units = [[v for v in unit if v >= 0] for unit in said.T]
    units = [unit for unit in units if len(unit) > 1]
    values = [v for unit in units for v in unit]
    n = len(values)
    observed = sum(
        sum(a != b for i, a in enumerate(u) for j, b in enumerate(u) if i != j) / (len(u) - 1)
        for u in units
    )
    expected = sum(a != b for a in values for b in values) / (n - 1)
    assert krippendorff(said)[0] == pytest.approx(1 - observed / expected)
    assert np.isnan(krippendorff(np.zeros((2, 5), int))[0])


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_intervals_of_shares_are_exact(counts):
    k, n = counts
    found = _share("x", pd.Series([True] * k + [False] * (n - k)))
    theirs = binomtest(k, n).proportion_ci()
    np.testing.assert_allclose(
        [found["x"], found["x_low"], found["x_high"]], [k / n, *theirs], atol=1e-9
    )


def test_habits_are_found():
    rng = np.random.default_rng(2)
    truth, said = simulated(rng, 400, {"Ada": 0.95, "Bo": 0.7, "Cy": 0.7}, 0.8, ANSWERS[:2])
    right = {"first": (2.0, 1.0), "second": (1.0, 2.0)}
    frames = [rows([one], returns=right[truth[one[0]]]) for one in said]
    frames += [rows([(900 + i, "Ada", "first")], "gold") for i in range(10)]
    frames += [rows([(900, "Bo", "second"), (901, "Bo", "first"), (902, "Bo", "skipped")], "gold")]
    of_ada = [one for one in said if one[1] == "Ada"]
    frames += [rows(of_ada[:20], "repeat")]
    other = {"first": "second", "second": "first"}
    frames += [rows([(q, p, other[a]) for q, p, a in of_ada[20:30]], "mirror", 1)]
    found = measured(*frames)
    people = found["people"].set_index("annotator")
    assert people.loc["Ada", "answers"] == len(of_ada)
    assert people.loc["Ada", "gold"] == 1 and people.loc["Bo", "gold"] == 0.5
    assert people.loc["Bo", "gold_n"] == 2 and people.loc["Cy", "gold_n"] == 0
    assert people.loc["Ada", "repeat"] == 1 and people.loc["Ada", "repeat_n"] == 20
    assert people.loc["Ada", "mirror"] == 0 and np.isnan(people.loc["Bo", "mirror"])
    assert people.loc["Ada", "seconds"] == 2.0
    for person, accuracy in {"Ada": 0.95, "Bo": 0.7, "Cy": 0.7}.items():
        assert abs(people.loc[person, "true_return"] - accuracy) < 0.06
        assert abs(people.loc[person, "reliability"] - accuracy) < 0.08
    assert people["agreement"].idxmax() == "Ada"
    pairs = found["pairs"].set_index(["annotator", "other"])
    assert len(pairs) == 3
    assert pairs["kappa_low"].lt(pairs["kappa"]).all() and pairs["kappa_high"].lt(1).all()
    assert pairs.loc[("Ada", "Bo"), "agreement"] == pytest.approx(0.68, abs=0.07)
    [overall] = found["overall"].to_dict("records")
    assert overall["alpha_low"] < overall["alpha"] < overall["alpha_high"]
    long = as_rows(found)
    assert set(long["measure"]) >= {"alpha", "kappa", "gold", "left", "reliability"}
    [left] = long[(long.measure == "left") & (long.annotator == "Cy")].to_dict("records")
    assert left["low"] < left["value"] < left["high"] and left["n"] == people.loc["Cy", "left_n"]


def test_who_always_takes_the_left_is_seen():
    left = [rows([(i, "Ada", "first")]) for i in range(20)]
    left += [rows([(50 + i, "Ada", "second")], mirrored=1) for i in range(20)]
    [ada] = measured(*left)["people"].to_dict("records")
    assert ada["left"] == 1 and ada["left_low"] > 0.9 and ada["left_n"] == 40
    assert np.isnan(ada["reliability"]) and ada["agreement_n"] == 0


def test_nobody_has_no_quality(tmp_path):
    found = report([])
    assert found["people"].empty and found["pairs"].empty
    assert found["overall"]["people"].tolist() == [0]
    with pytest.raises(QueueError, match="no such queue"):
        report([tmp_path])


def test_only_standing_answers_count_and_the_record_tells_the_same_as_the_queue(tmp_path):
    run, desk = RunsEnd(tmp_path, {}), Desk(tmp_path)
    films = Film("a", b""), Film("b", b"")
    run.ask({t: Asked(f"{t}", films, (1.0, 0.0), 2) for t in range(4)}, 0, 1)
    for person in ("Ada", "Bo"):
        for i, showing in enumerate(desk.next(person, 4)):
            said = ["equal", "withdrawn"] if i == 0 else ["skipped", "equal"]
            for j, answer in enumerate(said):
                one = Given(f"{person} {i} {j}", showing.id, answer, 1.0 + i)
                desk.record(person, [one])
    run.close()
    desk.close()
    found = report([tmp_path])
    assert found["people"]["equal"].tolist() == [3, 3] == found["people"]["answers"].tolist()
    assert found["pairs"]["agreement"].tolist() == [1.0]
    write_csv(tmp_path, tmp_path / RECORD)
    (tmp_path / "queue.sqlite").unlink()
    for name, frame in report([tmp_path]).items():
        pd.testing.assert_frame_equal(frame, found[name])
    assert report([tmp_path, tmp_path])["overall"]["queries"].tolist() == [6]


def test_the_table_and_the_csv_say_the_same(tmp_path):
    _, said = simulated(np.random.default_rng(3), 60, {"Ada & Co": 0.9, "NA": 0.6}, 0.8)
    made = as_rows(measured(rows(said)))
    write(made, tmp_path / "quality.csv")
    again = read_rows(tmp_path / "quality.csv")
    pd.testing.assert_frame_equal(again, made, check_dtype=False)
    table = people(again)
    assert [row[0].text for row in table.rows] == ["Ada & Co", "NA"]
    assert all("alpha" in text or "kappa" in text for text in table.notes) and len(table.notes) == 2
    alone = people(as_rows(measured(rows([(0, "Ada", "first")]))))
    assert alone.notes == ("No two people answered the same query, so agreement is not known.",)
    assert people(as_rows(report([]))).rows == ()


def test_the_command_names_what_it_cannot_find(tmp_path, capsys):
    assert main(["quality", str(tmp_path / "no")]) == 2
    said = capsys.readouterr().err
    assert said == f"error: {tmp_path}/no: no run here has queue.sqlite or answers.csv\n"
    RunsEnd(tmp_path, {}).close()
    assert main(["quality", str(tmp_path), "--out", str(tmp_path / "quality.csv")]) == 0
    assert read_rows(tmp_path / "quality.csv")["measure"].tolist()[0] == "people"
