"""Studies through Snakemake when something goes wrong around them: the config, the clock, the disk.

Counts are those of tests/faults/README.md.
"""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from studies import Study
from tiny_study import TINY

from active_rlhf.cli import main

PLUGINS = Path(__file__).with_name("plugins")
RUNS = "results/tiny/runs/Hopper-v5"


def output(result: subprocess.CompletedProcess[str]) -> str:
    return result.stdout + result.stderr


# --- bad files -----------------------------------------------------------------------------------

FILES = {
    "missing": None,
    "tabs": b"study: tiny\nagent:\n\tclip: 1\n",
    "not UTF-8": b"study: \xff\n",
    "a tag": b"study: !!python/object/apply:os.system [echo]\n",
    "a key twice": b"study: tiny\nstudy: tiny\n",
}
NAME = "my study ü.yaml"


@pytest.mark.parametrize("case", FILES)
def test_a_bad_study_file_starts_nothing(case, tmp_path, monkeypatch, capsys):
    if FILES[case] is not None:
        (tmp_path / NAME).write_bytes(FILES[case])
    monkeypatch.chdir(tmp_path)
    assert main(["watch", NAME, "--", "touch", "results"]) == 2  # as `make demo` begins
    (line,) = capsys.readouterr().err.splitlines()
    assert re.match(rf"error: {NAME}(:\d+)?: ", line)
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_snakemake_says_the_same_of_a_bad_study_file(tmp_path, monkeypatch, capsys):
    """Of what it can read at all: it accepts keys that are given twice."""
    (tmp_path / NAME).write_bytes(FILES["a key twice"])
    monkeypatch.chdir(tmp_path)
    assert main(["watch", NAME, "--", "false"]) == 2
    result = Study(tmp_path).run(*Study(tmp_path).command(NAME))
    assert result.returncode == 1
    (last,) = [x for x in result.stderr.splitlines() if not x.startswith("Using profile")]
    assert last == capsys.readouterr().err.rstrip("\n")
    assert not (tmp_path / "results").exists()


def test_a_study_file_may_have_any_name(study):
    """Finished under another, it has nothing to do."""
    (study.folder / "study.yaml").rename(study.folder / NAME)
    result = study.run(*study.command(NAME))
    assert result.returncode == 0 and "Nothing to be done" in output(result)


# --- a config edited meanwhile -------------------------------------------------------------------


@pytest.mark.slow
def test_a_study_ends_with_the_config_it_began_with(tmp_path):
    """Also where each job is a Snakemake of its own, as on a cluster."""
    study, selectors = Study(tmp_path), ["true_reward"]
    study.configure(selectors=selectors)
    one = ["--executor", "children", "--jobs", "1", "--cores", "1", "--until", "train"]
    process = study.start(*one, path=[PLUGINS])
    while not list(tmp_path.glob(f"{RUNS}/true_reward/*/run.json")) and process.poll() is None:
        time.sleep(0.02)
    edited = TINY["agent"] | {"gamma": 0.5}
    study.configure(selectors=selectors, agent=edited)
    said, _ = process.communicate()
    assert process.returncode == 0, said
    specs = [json.loads(path.read_text())["spec"] for path in tmp_path.glob(f"{RUNS}/*/*/run.json")]
    assert [spec["agent"]["gamma"] for spec in specs] == [0.99] * 2
    assert study.runs_to_train() == {"true_reward/1", "true_reward/2"}


# --- the clock -----------------------------------------------------------------------------------

YEAR = 365 * 86_400


def shift(folder: Path, seconds: float) -> None:
    for path in [folder, *folder.rglob("*")]:
        moved = path.lstat().st_mtime + seconds
        os.utime(path, (moved, moved))


def test_a_wrong_clock_retrains_nothing(study):
    """Whether it was wrong all along, ahead or behind, or jumped between the runs."""
    for years in (10, -20):
        shift(study.folder / "results", years * YEAR)
        assert study.plan() == {}
    shift(study.folder / RUNS / "random" / "2", 20 * YEAR)
    shift(study.folder / RUNS / "hybrid" / "1", -10 * YEAR)
    shift(study.folder / "results/tiny/exports", 10 * YEAR)
    assert "train" not in study.plan()


def test_runs_from_the_future_wait_for_the_clock_or_for_touch(study):
    run = study.folder / RUNS / "random" / "2"
    shift(run, 86_400)
    shutil.rmtree(study.folder / "results/tiny/exports")
    export = "results/tiny/exports/Hopper-v5.csv"
    result = study.snakemake("--until", "export")
    assert result.returncode == 1
    assert f"than input {RUNS}/random/2/run.json" in result.stderr and "clock skew" in result.stderr
    assert not (study.folder / export).exists()
    (run / "run.json").touch()
    assert study.snakemake("--until", "export").returncode == 0
    assert (study.folder / export).exists() and study.runs_to_train() == set()


# --- damaged results -----------------------------------------------------------------------------


def reword(old: str, new: str):
    def edit(path: Path) -> None:
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return edit


DAMAGE = {
    "an edited run": (
        f"{RUNS}/random/2/run.json",
        reword('"gamma": 0.99', '"gamma": 0.5'),
        "export",
        "other settings than the study",
    ),
    "an edited export": (
        "results/tiny/exports/Hopper-v5.csv",
        reword(",8,", ",9,"),
        "statistics",
        "changed since it was made",
    ),
    "a cut table": (
        "results/tiny/statistics/summary.parquet",
        lambda path: os.truncate(path, path.stat().st_size // 2),
        "summary",
        "damaged",
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damaged_results_are_refused_and_remade_once_deleted(case, study):
    name, damage, rule, said = DAMAGE[case]
    path = study.folder / name
    damage(path)
    shift(path, 1)  # an editor's save is later than what was made from the file
    result = study.snakemake("--until", rule)
    assert result.returncode == 1
    line = result.stderr.splitlines()[-1]
    assert line.startswith("error: ") and str(Path(name).parent) in line
    assert said in line and "delete" in line
    path.unlink()
    assert study.plan().get("train", 0) == (case == "an edited run")


# --- disks ---------------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk mounted as the results folder of a study."""
    folder = tmp_path / "results"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        pytest.skip(f"no disk can be mounted: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def remount(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(disk)], check=True)


def test_a_read_only_results_folder(trained, disk, tmp_path):
    study = Study(tmp_path)
    study.configure()
    remount(disk, "ro")
    result = study.snakemake()
    assert result.returncode == 1
    (line,) = [x for x in result.stderr.splitlines() if x.startswith("error: ")]
    assert line.startswith("error: results/tiny: [Errno 30] Read-only file system: ")
    remount(disk, "rw")
    shutil.copytree(trained.folder / "results", disk, dirs_exist_ok=True)
    shutil.copytree(trained.folder / ".snakemake", tmp_path / ".snakemake", dirs_exist_ok=True)
    remount(disk, "ro")
    assert "Nothing to be done" in study.snakemake().stderr
    study.configure(figures={"interval": "sd"})  # draws the figures anew
    result = study.snakemake()
    assert result.returncode == 1
    assert "Write-protected output files for rule" in result.stderr
    assert "Traceback" not in output(result)


@pytest.mark.slow
def test_a_results_folder_that_is_full(trained, disk, tmp_path):
    shutil.copytree(trained.folder / "results/tiny/runs", disk / "tiny/runs")
    shutil.copytree(trained.folder / ".snakemake", tmp_path / ".snakemake")
    study = Study(tmp_path)
    study.configure()
    used = sum(path.stat().st_blocks * 512 for path in disk.rglob("*"))
    (disk / "ballast").write_bytes(bytes(64 * 2**20 - used - 150_000))
    before = {path: path.read_bytes() for path in disk.glob("tiny/runs/**/*") if path.is_file()}
    wanted = ["--until", "statistics", "overhead"]
    result = study.snakemake(*wanted)
    assert result.returncode == 1
    lines = {x for x in output(result).splitlines() if x.startswith("error: ")}
    assert lines and all("o space left on device; free some space and run" in x for x in lines)
    (disk / "ballast").unlink()
    assert study.snakemake(*wanted).returncode == 0
    assert (disk / "tiny/statistics/comparisons.csv").exists()
    assert before == {path: path.read_bytes() for path in before}
