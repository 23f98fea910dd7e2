"""Disks that are full or read-only: one line, nothing half-written, nothing lost."""

import contextlib
import itertools
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from run_files import assert_same_results, export_runs
from tiny_study import small

from active_rlhf.cli import main
from active_rlhf.run import reporting
from active_rlhf.run.training import train
from active_rlhf.study.loading import load_study, resolve_run

ENVIRONMENT = "Hopper-v5"
STUDY: dict[str, Any] = small(
    study="disk",
    environments=[ENVIRONMENT],
    selectors=["hybrid"],
    total_steps=2048,
    agent={"rollout_steps": 256},
    labels={"sessions": 4},
    reward_model={"hidden": [32, 32]},
    evaluation={"every": 1024},
)
Mount = Callable[..., Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mounts (or remounts) a small disk with the given options, and returns its folder."""
    folder = tmp_path / "o ü 研究"
    mounted: list[str] = []

    def mount(*options: str) -> Path:
        folder.mkdir(exist_ok=True)
        settings = ",".join([*(["remount"] if mounted else []), *options])
        command = ["mount", "-t", "tmpfs", "-o", settings, "tmpfs", str(folder)]
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        except FileNotFoundError:
            pytest.skip("there is no mount command")
        if done.returncode:
            pytest.skip(f"no disk can be mounted: {done.stderr.strip()}")
        mounted.append(settings)
        return folder

    yield mount
    if mounted:
        subprocess.run(["umount", str(folder)], check=True)


def spec() -> dict[str, Any]:
    return resolve_run(load_study("disk.yaml", data=STUDY), ENVIRONMENT, "hybrid", 1)


def command(folder: Path, out: Path) -> list[str]:
    (folder / "spec.json").write_text(json.dumps(spec().as_dict()))
    return ["train", "--spec", str(folder / "spec.json"), "--out", str(out)]


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> Path:
    """A run with enough room."""
    folder = tmp_path_factory.mktemp("reference")
    assert main(command(folder, folder / "run")) == 0
    return folder / "run"


def occupied(folder: Path) -> int:
    return sum(p.stat().st_blocks * 512 for p in folder.rglob("*") if p.is_file())


@pytest.mark.slow
def test_a_disk_that_is_full_while_a_run_writes(reference, mount, tmp_path, capsys):
    """With more room each time: too little for anything, for a checkpoint, for some results."""
    disk = mount("size=4k")
    failed, ends = 0, []
    capsys.readouterr()
    for room in range(8192, 2_000_000, 49_152):
        mount(f"size={room}")
        options = ["--checkpoint-every", "0.001", "--probe", str(reference / "probe.npz")]
        code = main([*command(tmp_path, disk / "run"), *options])
        *notes, last = capsys.readouterr().err.splitlines() or [""]
        assert all(
            ": checkpoint " in x or ": no checkpoint at " in x or ": going on" in x for x in notes
        )
        if code == 0:
            break
        failed += 1
        assert code == 1
        assert last.startswith(
            f"error: {ENVIRONMENT} hybrid seed 1: {disk / 'run'}: [Errno 28] No sp"
        )
        assert last.endswith("run the same command again: nothing finished is lost")
        names = {path.name for path in (disk / "run").glob("*")}
        assert "run.json" not in names
        assert not list(disk.rglob(".*unfinished*"))
        for name in names - {"progress.json", "checkpoint", "finished.json", "timings.csv"}:
            assert (disk / "run" / name).read_bytes() == (reference / name).read_bytes(), name
        ends.append(len(names))
        if failed % 2:  # the disk of another machine: nothing of the former attempt is there
            shutil.rmtree(disk / "run", ignore_errors=True)
    assert code == 0 and failed > 8 and len(set(ends)) > 2, ends
    assert_same_results(disk / "run", reference)


def test_a_run_outlives_a_disk_that_is_full_for_a_while(reference, mount, monkeypatch, capsys):
    disk, looks = mount("size=8m"), itertools.count(1)
    monkeypatch.setattr(reporting, "FILE_EVERY", 0.0)

    def fill_and_free() -> bool:
        look = next(looks)
        if look == 3:
            with contextlib.suppress(OSError):
                (disk / "ballast").write_bytes(bytes(8 * 2**20))
        elif look == 6:
            (disk / "ballast").unlink()
        return False

    train(spec(), disk / "run", checkpoint_every=1e-3, stopping=fill_and_free)
    assert_same_results(disk / "run", reference)
    assert 1 <= capsys.readouterr().err.count("no checkpoint at step") <= 3


def test_results_on_a_read_only_disk(reference, mount, tmp_path, capsys):
    disk = mount("size=16m")
    shutil.copytree(reference, disk / "run")
    mount("ro")
    capsys.readouterr()
    assert main(command(tmp_path, disk / "run")) == 0  # complete already: nothing to write
    assert "complete already" in capsys.readouterr().out
    assert main(command(tmp_path, disk / "another")) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        f"error: {ENVIRONMENT} hybrid seed 1: {disk}/another: [Errno 30] Read-only"
    )
    assert_same_results(disk / "run", reference)


def test_exports_on_a_full_disk(reference, mount, tmp_path):
    """The former export stays as it was, and no part of the new one remains."""
    study = load_study("disk.yaml", data=STUDY)
    runs = tmp_path / "runs"
    shutil.copytree(reference, runs / ENVIRONMENT / "hybrid" / "1")
    disk = mount("size=16m")
    export_runs(study, ENVIRONMENT, runs, disk / "exports")
    whole = {path.name: path.read_bytes() for path in (disk / "exports").iterdir()}
    (disk / "ballast").write_bytes(bytes(16 * 2**20 - occupied(disk) - 8192))
    with pytest.raises(OSError, match="No space left"):
        export_runs(study, ENVIRONMENT, runs, disk / "exports")
    assert {path.name: path.read_bytes() for path in (disk / "exports").iterdir()} == whole
    (disk / "ballast").unlink()
    export_runs(study, ENVIRONMENT, runs, disk / "exports")
    assert {path.name: path.read_bytes() for path in (disk / "exports").iterdir()} == whole
