"""Reading exports: what is accepted and refused; refusals name file, run and remedy."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from active_rlhf.results.export import METRIC, ExportError, read_records, read_runs

ENV = "Hopper-v5"
EPISODES = 12


def rows(method: str = "duo", seed: int = 1, episodes: int = EPISODES, stamp: str = "17") -> list:
    """Rows of one run: episodes of 100 steps, returns that tell run and episode apart."""
    name = f"{ENV}__{method}__{seed}__{stamp}"
    return [(name, seed, 10.0 * seed + k / 7, 100 * (k + 1)) for k in range(episodes)]


def frame(*runs: list) -> pd.DataFrame:
    columns = ["exp_name", "seed", METRIC, "global_step"]
    return pd.DataFrame([row for run in runs for row in run], columns=columns)


def study() -> pd.DataFrame:
    return frame(*(rows(method, seed) for method in ("rand", "duo") for seed in (1, 2)))


@pytest.fixture
def write(tmp_path):
    def write(table: pd.DataFrame, **options) -> Path:
        path = tmp_path / "runs of hopper é.csv"
        table.to_csv(path, index=False, **options)
        return path

    return write


def test_reads_runs_in_the_order_of_the_methods(write):
    runs = read_runs({ENV: write(study())}, {"rand": "Random", "duo": "DUO"})
    assert list(runs) == ["env", "method", "seed", "step", "return"]
    assert list(runs["method"].cat.categories) == ["Random", "DUO"]
    keys = runs[["method", "seed"]].astype({"method": str}).drop_duplicates().to_numpy().tolist()
    assert keys == [["Random", 1], ["Random", 2], ["DUO", 1], ["DUO", 2]]
    unnamed = read_runs({ENV: write(study())})
    assert list(unnamed["method"].cat.categories) == ["duo", "rand"]
    one = runs[(runs["method"] == "DUO") & (runs["seed"] == 2)]
    assert one["return"].tolist() == [row[2] for row in rows("duo", 2)]
    assert one["step"].tolist() == [row[3] for row in rows("duo", 2)]


def test_methods_select_and_several_parts_may_share_a_name(write):
    table = pd.concat([study(), frame(rows("other", 9, episodes=3))])
    runs = read_runs({ENV: write(table)}, {"rand_v2": "Random", "rand": "Random", "duo": "DUO"})
    assert set(runs["method"]) == {"Random", "DUO"}
    assert set(runs["seed"]) == {1, 2}


def test_lengths_and_labels_are_kept_and_their_own_names_do_not_collide(write):
    table = study().assign(episode_length=100, labels=5, step="x", env="y", method="z", length=1.5)
    runs = read_runs({ENV: write(table)})
    assert list(runs) == ["env", "method", "seed", "step", "return", "length", "labels"]
    assert set(runs["labels"]) == {5} and set(runs["length"]) == {100}
    assert set(runs["env"]) == {ENV} and runs["step"].max() == 100 * EPISODES


def put(column: str, value: object, row: int = 4):
    """Write a value into a row of a run."""

    def change(table: pd.DataFrame, mine: pd.Index) -> pd.DataFrame:
        table[column] = table[column].astype(object)
        table.loc[mine[row], column] = value
        return table

    return change


# What is wrong with DUO's run of seed 2: a change of the study, given the lines of the run.
DEFECTS = {
    "unfinished: ends at step 800 of 1200": lambda table, mine: table.drop(mine[8:]),
    "duplicate run: DUO seed 2": lambda table, mine: pd.concat(
        [table, frame(rows("duo", 2, stamp="18"))]
    ),
    "duplicate episode": lambda table, mine: table.loc[np.sort(np.r_[table.index, mine[3]])],
    "steps go backwards at line 42": put("global_step", 150),
    "return is not finite": put(METRIC, np.inf),
    "return is missing or not a number": put(METRIC, "diverged"),
    "step is missing or not a number": put("global_step", np.nan),
    "step is not a whole number": put("global_step", 500.5),
    "step is not a whole number (negative)": put("global_step", -1, 0),
    "seed differs from the one in exp_name": put("seed", 3, slice(None)),
    "labels is missing or not a number": lambda table, mine: put("labels", np.nan)(
        table.assign(labels=1.0), mine
    ),
}
METHODS = {"rand": "Random", "duo": "DUO"}


@pytest.mark.parametrize("said", DEFECTS)
def test_a_defective_run_is_refused_by_name_unless_excluded(write, said):
    table = study()
    path = write(DEFECTS[said](table, table.index[table["exp_name"] == f"{ENV}__duo__2__17"]))
    with pytest.raises(ExportError) as caught:
        read_runs({ENV: path}, METHODS)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert str(path) in message and f"{ENV}__duo__2__1" in message
    assert said.partition(" (")[0] in message and "`exclude:`" in message

    entry = {"env": ENV, "method": "DUO", "seed": 2, "reason": "known"}
    runs = read_runs({ENV: path}, METHODS, [entry])
    left = runs.groupby("method", observed=True)["seed"].unique().map(list).to_dict()
    assert left == {"Random": [1, 2], "DUO": [1]}
    part = read_runs({ENV: path}, METHODS, [entry | {"method": "duo"}])
    pd.testing.assert_frame_equal(part, runs)


def test_a_seed_that_one_method_lacks_is_refused_unless_excluded(write):
    table = study()
    path = write(table[table["exp_name"] != f"{ENV}__duo__2__17"])
    with pytest.raises(
        ExportError, match=r"DUO lacks 1 of 2 seeds \(2\); .statistics: {design: unpaired}"
    ):
        read_runs({ENV: path}, METHODS)
    entry = {"env": ENV, "method": "DUO", "seed": 2, "reason": "node failed"}
    assert len(read_runs({ENV: path}, METHODS, [entry])) == 3 * EPISODES


def test_how_far_short_a_run_may_end(write):
    """Two episodes of 100 steps may be missing, from the longest run or from the known total."""
    ten = frame(rows("duo", 1), rows("duo", 2, episodes=EPISODES - 2))
    assert len(read_runs({ENV: write(ten)})) == 2 * EPISODES - 2
    nine = frame(rows("duo", 1), rows("duo", 2, episodes=EPISODES - 3))
    with pytest.raises(ExportError, match="ends at step 900 of 1200"):
        read_runs({ENV: write(nine)})

    both = write(frame(rows("duo", 1), rows("duo", 2)))
    read_runs({ENV: both}, total_steps=1400)
    read_runs({ENV: both}, total_steps={"Ant-v5": 9999, ENV: 1399})
    with pytest.raises(ExportError, match=r"duo__1.*of 1401.*duo__2"):
        read_runs({ENV: both}, total_steps=1401)


def test_a_hole_in_one_run_does_not_excuse_another(write):
    holed = [row for row in rows("duo", 1) if not 200 < row[3] < 1100]
    path = write(frame(holed, rows("duo", 2, episodes=5), rows("duo", 3), rows("duo", 4)))
    with pytest.raises(ExportError, match="duo__2__17: unfinished"):
        read_runs({ENV: path})


def test_a_missing_episode_is_noticed_if_lengths_are_known(write):
    table = study().assign(episode_length=100)
    fourth = table.index[table["exp_name"] == f"{ENV}__duo__2__17"][3]
    with pytest.raises(ExportError, match="duo__2__17: an episode is missing before line 41"):
        read_runs({ENV: write(table.drop(fourth))})
    with pytest.raises(ExportError, match="rand__1__17: an episode is missing before line 2"):
        read_runs({ENV: write(table.iloc[1:])})
    reset = table.assign(global_step=table["global_step"] + table["global_step"] // 100)
    assert len(read_runs({ENV: write(reset)})) == len(table)  # a step each to reset


def test_a_long_last_episode_does_not_count_as_unfinished(write):
    """Most runs fail early and have short episodes; a good one may stop within a long episode."""
    short = [
        (f"{ENV}__duo__{seed}__1", seed, 1.0, 10 * (k + 1)) for seed in (1, 2) for k in range(120)
    ]
    good = [row for row in rows("duo", 3) if row[3] <= 1000]
    assert len(read_runs({ENV: write(frame(short, good))}, total_steps=1200)) == 240 + 10


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"env": "Ant-v5", "method": "DUO", "seed": 1}, "no such environment"),
        ({"env": ENV, "method": "Duo", "seed": 1}, "no such run"),
        ({"env": ENV, "method": "DUO", "seed": 3}, "no such run"),
    ],
)
def test_an_exclusion_that_matches_nothing_is_an_error(write, entry, said):
    with pytest.raises(ExportError, match=said) as caught:
        read_runs({ENV: write(study())}, METHODS, [entry | {"reason": "?"}])
    assert "exclude: env" in str(caught.value) and str(entry["seed"]) in str(caught.value)


def test_excluding_everything_is_an_error(write):
    entries = [{"env": ENV, "method": "duo", "seed": seed, "reason": "?"} for seed in (1, 2)]
    with pytest.raises(ExportError, match="every run is listed"):
        read_runs({ENV: write(study())}, {"duo": "DUO"}, entries)


def test_a_method_without_runs_names_file_and_key(write):
    path = write(study())
    with pytest.raises(ExportError) as caught:
        read_runs({ENV: path}, {"rand": "Random", "vari_v3": "VARIQuery"})
    assert str(path) in str(caught.value)
    assert "`methods: vari_v3` (VARIQuery); it holds duo, rand" in str(caught.value)


HEAD = f"exp_name,seed,{METRIC},global_step\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not a readable CSV file"),
        (HEAD, "no rows"),
        ("a,b\n1,2\n", "column exp_name is missing"),
        (f"exp_name,seed,global_step\n{ENV}__duo__1__1,1,5\n", f"column {METRIC} is missing"),
        (f"{HEAD}Hopper__1,1,5,5\n", "'Hopper__1' is not <env>__"),
        (f"{HEAD},1,5,5\n", "line 2 has no exp_name"),
        (f"{HEAD}Ant__duo__1__1,1,5,5\n", "it holds Ant"),
        (f"{HEAD}{ENV}__duo__1__1,1,5,5,6\n", "more values"),
        (f"{HEAD}{ENV}__duo__1__1,1\n", "missing or not a number"),
        (f"{HEAD}{ENV}__duo__1__1,1,True,5\n", "not a number"),
        (f"{HEAD}{ENV}__duo__1__1,1,1e999,5\n", "not finite"),
        (f"{HEAD}{ENV}__duo__1__1,1,1e51,5\n", "beyond 1e\\+50"),
        (f"{HEAD}{ENV}__duo__1__1,1,1\x002,5\n", "zero bytes"),
        (f"{'x' * 5000},seed\n1,2\n", "column exp_name is missing"),
    ],
)
def test_unusable_files(tmp_path, text, said):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(ExportError, match=said) as caught:
        read_runs({ENV: path})
    assert str(path) in str(caught.value) and len(str(caught.value)) < 1000


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(ExportError, match="no such file"):
        read_runs({ENV: tmp_path / "none.csv"})
    with pytest.raises(ExportError, match="not a readable CSV file"):
        read_runs({ENV: tmp_path})


def test_records_share_names_order_and_exclusions(write):
    table = pd.DataFrame(
        {
            "exp_name": [f"{ENV}__{m}__{s}__9" for m in ("rand", "duo") for s in (2, 1)] * 2,
            "seed": [2, 1, 2, 1] * 2,
            "session": [1] * 4 + [2] * 4,
            "probe_accuracy": np.arange(8) / 8,
        }
    )
    entry = {"env": ENV, "method": "Random", "seed": 2, "reason": "?"}
    names = METHODS | {"true_reward": "PPO"}
    records = read_records({ENV: write(table)}, names, [entry])
    assert list(records) == ["env", "method", "seed", "session", "probe_accuracy"]
    found = records[["method", "seed", "session"]].astype({"method": str}).to_numpy().tolist()
    runs = [("Random", 1), ("DUO", 1), ("DUO", 2)]
    assert found == [[*run, session] for run in runs for session in (1, 2)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.assign(session=[1, 1]), "session does not increase at line 3"),
        (lambda t: t.assign(labels=["8", "x"]), "labels is x in line 3, expected a number"),
        (lambda t: t.assign(probe_accuracy=np.inf), "probe_accuracy is inf in line 2"),
        (lambda t: t.drop(columns="probe_accuracy"), "column probe_accuracy is missing"),
    ],
)
def test_damaged_records_are_refused(write, change, said):
    name = f"{ENV}__duo__1__9"
    table = pd.DataFrame({"exp_name": name, "seed": 1, "session": [1, 2], "labels": [8, 16]})
    table["probe_accuracy"] = [np.nan, 0.5]
    needed = ("session", "labels"), ("probe_accuracy",)
    assert len(read_records({ENV: write(table)}, None, None, *needed)) == 2
    path = write(change(table))
    with pytest.raises(ExportError, match=said) as caught:
        read_records({ENV: path}, None, None, *needed)
    assert str(path) in str(caught.value)


def test_published_runs_are_read_whole(published):
    runs = read_runs({"Walker2d-v5": published / "runs_walker_400.csv"})
    raw = pd.read_csv(published / "runs_walker_400.csv")
    assert len(runs) == len(raw) == 40 * 998
    assert runs["return"].sum() == pytest.approx(raw[METRIC].sum(), rel=1e-12)


def test_a_published_run_cut_at_671_thousand_steps_is_refused(published, write):
    raw = pd.read_csv(published / "runs_walker_400.csv")
    run = raw["exp_name"].iloc[0]
    path = write(raw[(raw["exp_name"] != run) | (raw["global_step"] <= 671_000)])
    with pytest.raises(ExportError, match=f"{run}: unfinished: ends at step 670.*"):
        read_runs({"Walker2d-v5": path})
