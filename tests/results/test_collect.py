import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from run_files import STUDY, export_runs, write_run

from active_rlhf.files import sha256
from active_rlhf.results.collect import export_name, gather_overhead
from active_rlhf.results.export import ExportError, read_csv, read_runs
from active_rlhf.study.loading import load_study, resolve_run
from active_rlhf.study.matrix import methods_trained

ENVIRONMENT = "Hopper-v5"


@pytest.fixture
def study():
    return load_study("tiny.yaml", data=STUDY)


@pytest.fixture
def results(tmp_path, study):
    for selector in ("true_reward", "random"):
        for seed in (11, 3):
            spec = resolve_run(study, ENVIRONMENT, selector, seed)
            write_run(tmp_path / "runs" / ENVIRONMENT / selector / str(seed), spec)
    return tmp_path


def export(study, results: Path, name: str = "exports") -> Path:
    export_runs(study, ENVIRONMENT, results / "runs", results / name)
    return results / name


def test_episodes_are_exported_in_the_studys_order_to_the_last_digit(study, results):
    path = export(study, results) / f"{ENVIRONMENT}.csv"
    rows = [line.split(",") for line in path.read_text().splitlines()]
    assert rows[0] == [
        *("exp_name", "seed", "charts/episodic_return", "global_step", "episode_length", "labels"),
        "learned_return",
    ]
    runs = [("random", 3), ("random", 11), ("true_reward", 3), ("true_reward", 11)]
    expected = []
    for selector, seed in runs:
        text = (results / "runs" / ENVIRONMENT / selector / str(seed) / "episodes.csv").read_text()
        for line in text.splitlines()[1:]:
            step, value, length, labels = line.split(",")
            expected.append([str(seed), value, step, length, labels, ""])
    assert [row[1:] for row in rows[1:]] == expected


def test_the_stamp_is_ten_digits_of_the_specs_hash(study):
    spec = resolve_run(study, ENVIRONMENT, "random", 3)
    digest = hashlib.sha256(json.dumps(spec.as_dict(), sort_keys=True).encode()).digest()
    stamp = str(int.from_bytes(digest, "big"))[-10:]
    assert export_name(spec.as_dict()) == f"{ENVIRONMENT}__random__3__{stamp}"


def test_the_same_runs_give_the_same_bytes_and_sums_of_sha256sum(study, results):
    first, second = export(study, results), export(study, results, "again")
    names = sorted(path.name for path in first.iterdir())
    parts = (".csv", ".evaluations.csv", ".overhead.csv", ".sessions.csv", ".sha256")
    assert names == [f"{ENVIRONMENT}{part}" for part in parts]
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes()
    command = ["sha256sum", "--check", "--strict", f"{ENVIRONMENT}.sha256"]
    done = subprocess.run(command, cwd=first, capture_output=True, text=True, check=True)
    assert done.stdout.count(": OK") == 4


@pytest.mark.parametrize("selectors", [["random"], ["random", "true_reward"]])
def test_evaluations_are_those_of_all_runs_and_of_each_once(tmp_path, selectors):
    """Of the baselines too, whether or not one is a selector as well."""
    study = load_study("tiny.yaml", data=STUDY | {"selectors": selectors, "baselines": True})
    for name in methods_trained(study):
        for seed in study.seeds:
            spec = resolve_run(study, ENVIRONMENT, name, seed)
            write_run(tmp_path / "runs" / ENVIRONMENT / name / str(seed), spec)
    export_runs(study, ENVIRONMENT, tmp_path / "runs", tmp_path)
    found = pd.read_csv(tmp_path / f"{ENVIRONMENT}.evaluations.csv")
    runs = found["exp_name"].str.split("__").str[1:3].map(tuple)
    names = ("random", "random_policy", "true_reward")
    assert sorted(runs) == sorted([(n, s) for n in names for s in ("3", "11")] * 2)


def test_excluded_runs_need_not_be_there_and_are_not_read(results):
    """Neither one of a method, nor all of one."""
    entries = [("random", 3, "missing"), ("random", 11, "damaged"), ("true_reward", 3, "sound")]
    exclude = [
        {"env": ENVIRONMENT, "method": method, "seed": seed, "reason": reason}
        for method, seed, reason in entries
    ]
    shutil.rmtree(results / "runs" / ENVIRONMENT / "random" / "3")
    (results / "runs" / ENVIRONMENT / "random" / "11" / "run.json").write_text("{")
    study = load_study("tiny.yaml", data=STUDY | {"exclude": exclude})
    path = export(study, results) / f"{ENVIRONMENT}.csv"
    runs = read_runs({ENVIRONMENT: path}, study.methods, exclude, 4096, untrained=True)
    assert set(zip(runs["method"], runs["seed"], strict=True)) == {("true_reward", 11)}
    with pytest.raises(ExportError, match="no such run"):
        read_runs({ENVIRONMENT: path}, None, exclude, 4096)
    with pytest.raises(ExportError, match="no runs of `methods: random`"):
        read_runs({ENVIRONMENT: path}, study.methods, exclude[2:], 4096, untrained=True)


@pytest.mark.parametrize("part", ["", ".evaluations", ".overhead", ".sessions"])
def test_an_export_that_was_edited_is_refused(study, results, part):
    path = export(study, results) / f"{ENVIRONMENT}{part}.csv"
    text = path.read_text()
    read_csv(path)
    for edited in ("".join(text.splitlines(keepends=True)[:-1]), text.replace("1", "2", 1)):
        path.write_text(edited)
        with pytest.raises(ExportError, match="changed since it was made; delete it") as error:
            read_csv(path)
        assert str(error.value).startswith(str(path))


def test_runs_without_labels_have_no_sessions_but_a_cost(study, results):
    exports = export(study, results)
    sessions = pd.read_csv(exports / f"{ENVIRONMENT}.sessions.csv")
    assert sessions["exp_name"].str.contains("__random__").all() and len(sessions) == 4
    assert sessions["score_pool"].isna().all()
    overhead = pd.read_csv(exports / f"{ENVIRONMENT}.overhead.csv")
    assert overhead["method"].tolist() == ["random", "random", "true_reward", "true_reward"]
    assert (overhead["wall_s"] == 2.0).all() and (overhead["environment_s"] == 0.25).all()


def test_overhead_of_several_environments_has_every_stage(tmp_path):
    head = "env,method,seed,wall_s,cpu_s,gpu_s,peak_rss_mb,host"
    (tmp_path / "a.csv").write_text(f"{head},vae_s\nA,1,3,1.1,1,0,400,x,0.5\n")
    (tmp_path / "b.csv").write_text(f"{head},pick_s\nB,duo,3,2,1,0,400,01,0.25\n")
    gather_overhead([tmp_path / "a.csv", tmp_path / "b.csv"], tmp_path / "all.csv")
    frame = pd.read_csv(tmp_path / "all.csv")
    assert frame["vae_s"].tolist() == [0.5, 0.0] and frame["pick_s"].tolist() == [0.0, 0.25]
    assert (tmp_path / "all.csv").read_text().splitlines()[2].startswith("B,duo,3,2.0,1,0,400,01,")


def edit(name, change):
    def damage(directory: Path) -> None:
        path = directory / name
        path.write_text(change(path.read_text()))

    return damage


def remove(name):
    return lambda directory: (directory / name).unlink()


def replaced(name, old, new):
    return edit(name, lambda text: text.replace(old, new))


CHANGED = "changed since the run wrote it"
DAMAGE = {
    "unfinished": (remove("run.json"), "not complete"),
    "still running": (replaced("run.json", '"complete"', '"running"'), "status"),
    "truncated result": (edit("run.json", lambda t: t[: len(t) // 2]), "not readable as JSON"),
    "other settings": (
        replaced("run.json", '"total_steps": 4096', '"total_steps": 8192'),
        "total_steps is 8192, but the study says 4096",
    ),
    "no cost": (replaced("run.json", '"cpu_s": 1.5', '"cpu_s": null'), "cost"),
    "no episodes file": (remove("episodes.csv"), "no such file"),
    "lost episode": (edit("episodes.csv", lambda t: t[: t[:-1].rindex("\n") + 1]), CHANGED),
    "no hashes": (replaced("run.json", '"files"', '"flies"'), CHANGED),
    "nesting": (edit("run.json", lambda t: "[" * 100_000), "not readable as JSON"),
    "half a line": (edit("evaluations.csv", lambda t: t[: t.rindex(",")]), "labels is nan"),
    "a word": (replaced("episodes.csv", "3000", "many"), "many in line 4"),
    "infinite return": (
        edit("episodes.csv", lambda t: re.sub(r"(?m)^2000,[^,]+", "2000,inf", t)),
        "inf in line 3",
    ),
    "steps in disorder": (replaced("episodes.csv", "3000", "300"), "backwards"),
    "other columns": (replaced("sessions.csv", "asked", "queried"), "column asked is missing"),
    "bytes": (
        lambda directory: (directory / "episodes.csv").write_bytes(b"\xff\xfe\x00\x01"),
        "not a readable CSV file",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_an_unsound_run_is_refused_by_name(study, results, damage):
    change, message = DAMAGE[damage]
    directory = results / "runs" / ENVIRONMENT / "random" / "11"
    change(directory)
    with pytest.raises(ExportError, match=message) as error:
        export(study, results)
    assert str(error.value).startswith(str(directory)) and "\n" not in str(error.value)
    assert str(error.value).endswith(("snakemake trains it again", "let snakemake finish it"))
    assert list((results / "exports").iterdir()) == []


def test_a_run_without_episodes_is_refused_with_what_to_do(study, results):
    directory = results / "runs" / ENVIRONMENT / "random" / "11"
    edit("episodes.csv", lambda t: t.splitlines()[0] + "\n")(directory)
    result = json.loads((directory / "run.json").read_text())
    result["files"]["episodes.csv"] = sha256(directory / "episodes.csv")
    (directory / "run.json").write_text(json.dumps(result))
    with pytest.raises(ExportError, match=r"no episode was finished; raise total_steps"):
        export(study, results)


def test_a_failed_export_leaves_the_last_one_as_it_was(study, results):
    path = export(study, results) / f"{ENVIRONMENT}.csv"
    before = path.read_bytes()
    (results / "runs" / ENVIRONMENT / "random" / "11" / "run.json").unlink()
    with pytest.raises(ExportError):
        export(study, results)
    assert path.read_bytes() == before
